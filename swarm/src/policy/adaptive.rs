//! Our own configuration: every chunk has a deadline, and inside it peers are
//! preferred; the origin covers what peers would miss.
//!
//! The deadline is when the playhead needs the chunk or when the origin alone would
//! have delivered it, whichever is later, plus the site's slack. The slack is the
//! thesis's dial between the visitor's experience and the site's bandwidth: with 0
//! nothing comes later than over plain HTTP.
//!
//! ```text
//!  first bytes ──────────────────────────────► origin, at once; not of a film's next
//!                                              segment
//!  a peer holds it and makes the deadline ───► the peer that is first to have it here
//!  a peer holds it and has no time ──────────► wait, at most until the origin must be asked
//!  nobody holds it ──────────────────────────► origin now if it is our turn to fetch it
//!                                              for all; else wait, the longer the more
//!                                              members come before us
//!  the origin must be asked to be in time ───► origin
//! ```

use std::time::Duration;

use super::{Choice, Order, Policy, Rank, View};
use crate::origin::MAX_ORIGIN_RUN;
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;

pub use super::head_start::HEAD_BYTES;

/// When a chunk is looked at again whose holders have no time.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub struct Adaptive {
    /// The slack is 0: the origin's bytes flow from the start as without us, until
    /// peers are seen to be ahead of them.
    pub never_later: bool,
    /// There is no head: nothing comes from the origin before it is known who holds what.
    pub asks_peers_first: bool,
}

impl Policy for Adaptive {
    fn head_bytes(&self, _: Option<u64>) -> u64 {
        if self.never_later {
            return u64::from(MAX_ORIGIN_RUN) * u64::from(DEFAULT_CHUNK_SIZE);
        }
        if self.asks_peers_first { 0 } else { HEAD_BYTES }
    }

    fn order(&self) -> Order {
        Order::Due
    }

    fn keeps_deadlines(&self) -> bool {
        true
    }

    fn choose(&self, view: &View<'_>) -> Choice {
        if self.never_later && view.in_head && !view.origin_ailing {
            // Nothing is known yet that a guess about a peer could be held against.
            return Choice::Origin;
        }
        let overdue = view.origin_by <= view.now;
        if overdue && view.peer_failed && view.origin_helps && !view.origin_ailing {
            // One peer was late with it already.
            return Choice::Origin;
        }
        if let Some(best) = view.ready.iter().min_by_key(|it| (it.takes, it.link)) {
            // Whose guesses have been too hopeful lately allows twice the time, and so does
            // who has none to lose.
            let is_careful = view.wasteful || self.never_later;
            let takes = if is_careful { best.takes * 2 } else { best.takes };
            let in_time = view.now + takes <= view.deadline;
            if in_time || takes <= view.origin_takes || view.origin_ailing || !view.origin_helps {
                return Choice::Peer(best.link);
            }
            return Choice::Origin;
        }
        if view.busy && (view.origin_ailing || !view.origin_helps) {
            return Choice::Wait(Some(view.now + LOOK_AGAIN));
        }
        if view.in_head || overdue {
            return Choice::Origin;
        }
        if view.busy || view.resting {
            return Choice::Wait(Some(view.origin_by));
        }
        let turn = self.turn(view);
        if turn <= view.now { Choice::Origin } else { Choice::Wait(Some(turn)) }
    }
}

impl Adaptive {
    /// When it is our turn to fetch for all what nobody holds: the first of the
    /// members at once, the others one after another in the last quarter of the time
    /// that there is. A backup that comes too early makes the origin's line slower for
    /// the first.
    fn turn(&self, view: &View<'_>) -> crate::Timestamp {
        if let Some(until) = view.peers_until {
            // Whoever is still to come may hold it, or have the turn.
            return until.min(view.origin_by);
        }
        let Rank { before, members } = view.rank;
        if before == 0 {
            return view.wanted_since;
        }
        let time = view.origin_by - view.wanted_since;
        view.wanted_since + time * (3 * members + before) / (4 * members)
    }
}
