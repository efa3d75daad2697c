//! How chunks are divided between origin and peers: the download configurations of
//! thesis section 3.4 by the names it gives them, and our own, [`adaptive`].
//!
//! A policy is asked where a missing chunk should come from *now*; it holds no
//! state and does nothing itself.

pub mod adaptive;
pub mod basic;
pub mod head_start;
pub mod mixed;
pub mod prefetch;

use std::time::Duration;

use dcdn_protocol::{ByteRange, ChunkIndex, PolicyName};

pub use crate::holders::Rank;
use crate::{Link, Settings, Timestamp};

/// Where a chunk should come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The site's server.
    Origin,
    /// One of the peers that hold it and have room: the policy says which.
    Peer(Link),
    /// Nothing yet: ask again when something changes, at the latest then.
    Wait(Option<Timestamp>),
}

/// A peer that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its connection.
    pub link: Link,
    /// How long it will probably take to deliver the chunk.
    pub takes: Duration,
    /// Whether it has delivered any, so that this is more than a guess.
    pub proved: bool,
}

/// What a policy may look at.
#[derive(Debug)]
pub struct View<'a> {
    /// The time.
    pub now: Timestamp,
    /// The chunk in question.
    pub chunk: ChunkIndex,
    /// Whether the chunk lies in the head: [`Policy::head_bytes`] from where the
    /// first reader started, or a short tail behind that.
    pub in_head: bool,
    /// Whether some peer has failed to deliver it.
    pub peer_failed: bool,
    /// Whether the origin has failed and not delivered since.
    pub origin_ailing: bool,
    /// Usable peers that hold it, have not failed it and have room for one more request.
    pub ready: &'a [Candidate],
    /// Whether some usable peer holds it but has no room.
    pub busy: bool,
    /// Whether some peer holds it that is left alone for a while.
    pub resting: bool,
    /// Until when it is worth waiting for peers that may yet come; `None` if
    /// none will, or patience has run out.
    pub peers_until: Option<Timestamp>,
    /// Since when the chunk has been wanted.
    pub wanted_since: Timestamp,
    /// By when it should be whole.
    pub deadline: Timestamp,
    /// When the origin has to be asked at the latest to make the deadline.
    pub origin_by: Timestamp,
    /// How long the origin will probably take to deliver it.
    pub origin_takes: Duration,
    /// Whether asking the origin would bring more bytes than come in now, or those
    /// that a reader waits for.
    pub origin_helps: bool,
    /// Our place among those that want the chunk and lack it.
    pub rank: Rank,
    /// Whether too many bytes have been fetched twice lately.
    pub wasteful: bool,
    /// Whether a player has nothing ahead of its playhead yet, on a line that may be hardly
    /// faster than the film: what is late once cannot be made up for.
    pub behind: bool,
    /// A random number for this decision.
    pub dice: u32,
}

/// The order in which missing chunks are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// At random, as the thesis has it.
    Random,
    /// Those nearest to a reader first.
    Nearest,
    /// What is due soon in order, the rest by how few peers hold it.
    Due,
}

/// A download configuration.
pub trait Policy: std::fmt::Debug {
    /// Bytes from where the first reader starts that come from the origin. Asked the
    /// moment that reader opens, when nothing else is known, and again with the
    /// bytes that the content has from there. 0 for none, or for none yet.
    fn head_bytes(&self, length: Option<u64>) -> u64;

    /// The order in which missing chunks are given out.
    fn order(&self) -> Order;

    /// Where a missing chunk should come from now.
    fn choose(&self, view: &View<'_>) -> Choice;

    /// Whether deadlines are kept: late requests to peers are completed by the
    /// origin, and what is due next is fetched together with what is due.
    fn keeps_deadlines(&self) -> bool {
        false
    }
}

/// The policy that the settings name. `http` never gets as far as a download; it is
/// served as `basic` without peers would be.
pub fn of(settings: &Settings) -> Box<dyn Policy> {
    match settings.policy {
        PolicyName::Basic | PolicyName::Http => Box::new(basic::Basic),
        PolicyName::Prefetch => Box::new(prefetch::Prefetch),
        PolicyName::HeadStart => Box::new(head_start::HeadStart),
        PolicyName::Mixed => Box::new(mixed::Mixed { http_percent: settings.mixed_http_percent }),
        PolicyName::Adaptive => {
            let never_later = settings.slack().is_zero();
            let asks_peers_first = settings.among_peers && !never_later;
            Box::new(adaptive::Adaptive { never_later, asks_peers_first })
        }
    }
}

/// The first part of a content from `start`, of `bytes` bytes.
pub(crate) fn head(start: u64, bytes: u64) -> ByteRange {
    ByteRange::new(start, start.saturating_add(bytes))
}
