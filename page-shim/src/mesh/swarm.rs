//! A swarm that the worker asked us to join.

use dcdn_protocol::message::coord::Recommended;
use dcdn_protocol::{ChunkSet, PeerId};

/// Peers remembered for one swarm.
const MAX_NAMED: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Swarm {
    pub want: u8,
    /// Whom the server named, latest first.
    named: Vec<Recommended>,
    /// Joins that the server has still to answer. Each gets an answer, and an
    /// early one for a join that wanted nobody says nothing of a later one.
    pub unanswered: u32,
    /// The last `Expecting` that the worker heard.
    pub told: Option<u32>,
    /// What the server was last told that we hold.
    pub announced: ChunkSet,
    /// When it was.
    pub announced_at: f64,
}

impl Swarm {
    /// The server has named `peers`. What it says now replaces what it said before.
    pub fn named(&mut self, peers: Vec<Recommended>) {
        let mut named = peers;
        self.named.retain(|old| named.iter().all(|new| new.peer != old.peer));
        named.append(&mut self.named);
        named.truncate(MAX_NAMED);
        self.named = named;
    }

    /// Whom the server named, latest first.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.named.iter().map(|named| named.peer)
    }

    /// What `peer` is expected to hold, if the server said so.
    pub fn expected_of(&self, peer: PeerId) -> Option<&ChunkSet> {
        let named = self.named.iter().find(|named| named.peer == peer)?;
        Some(&named.expected).filter(|expected| !expected.is_empty())
    }

    /// The server knows no such peer.
    pub fn forget(&mut self, peer: PeerId) {
        self.named.retain(|named| named.peer != peer);
    }
}
