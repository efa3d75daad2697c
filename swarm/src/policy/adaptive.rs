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

use super::{Candidate, Choice, Order, Policy, Rank, View};
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
        let has_no_time = overdue || view.behind;
        if has_no_time && view.peer_failed && view.origin_helps && !view.origin_ailing {
            // One peer was late with it already.
            return Choice::Origin;
        }
        let trusted = |it: &&Candidate| {
            // The origin must still be able to make up for a guess that was wrong.
            !view.behind || it.proved || view.origin_ailing || view.now + it.takes <= view.origin_by
        };
        let best = view.ready.iter().filter(trusted).min_by_key(|it| (it.takes, it.link));
        if let Some(best) = best {
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
        let all_strangers = best.is_none() && !view.ready.is_empty() && !view.busy;
        if view.in_head || overdue || all_strangers {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Link, Timestamp};
    use dcdn_protocol::ChunkIndex;

    const POLICY: Adaptive = Adaptive { never_later: false, asks_peers_first: false };

    fn candidate(link: u32, takes: u64, proved: bool) -> Candidate {
        Candidate { link: Link(link), takes: Duration::from_millis(takes), proved }
    }

    /// A chunk that is due in 3 s and takes the origin 1 s, of a player on a thin line.
    fn view(ready: &[Candidate]) -> View<'_> {
        View {
            now: Timestamp(1000),
            chunk: ChunkIndex(5),
            in_head: false,
            peer_failed: false,
            origin_ailing: false,
            ready,
            busy: false,
            resting: false,
            peers_until: None,
            wanted_since: Timestamp(0),
            deadline: Timestamp(4000),
            origin_by: Timestamp(3000),
            origin_takes: Duration::from_millis(1000),
            origin_helps: true,
            rank: Rank { before: 0, members: 1 },
            wasteful: false,
            behind: true,
            dice: 0,
        }
    }

    #[test]
    fn on_a_thin_line_a_stranger_is_asked_only_while_the_origin_can_make_up_for_it() {
        let (soon, late) = ([candidate(1, 1900, false)], [candidate(1, 2100, false)]);
        assert_eq!(POLICY.choose(&view(&soon)), Choice::Peer(Link(1)));
        assert_eq!(POLICY.choose(&view(&late)), Choice::Origin);
        let ahead = View { behind: false, ..view(&late) };
        assert_eq!(POLICY.choose(&ahead), Choice::Peer(Link(1)), "there is time to lose");
        let ailing = View { origin_ailing: true, ..view(&late) };
        assert_eq!(POLICY.choose(&ailing), Choice::Peer(Link(1)), "there is nobody else");
    }

    #[test]
    fn on_a_thin_line_who_has_delivered_is_preferred_to_a_stranger() {
        let ready = [candidate(1, 2100, false), candidate(2, 2500, true)];
        assert_eq!(POLICY.choose(&view(&ready)), Choice::Peer(Link(2)));
        let busy = View { busy: true, ..view(&ready[..1]) };
        let wait = Choice::Wait(Some(Timestamp(3000)));
        assert_eq!(POLICY.choose(&busy), wait, "of those that are busy one may be known");
    }

    #[test]
    fn on_a_thin_line_what_one_peer_was_late_with_is_not_asked_of_another() {
        let ready = [candidate(1, 200, true)];
        let failed = View { peer_failed: true, ..view(&ready) };
        assert_eq!(POLICY.choose(&failed), Choice::Origin);
        let ahead = View { behind: false, ..failed };
        assert_eq!(POLICY.choose(&ahead), Choice::Peer(Link(1)));
    }
}
