//! A peer that we are connected or connecting to.

use std::collections::{BTreeMap, BTreeSet};

use dcdn_protocol::{ChunkSet, ContentId, PeerId};

#[derive(Debug)]
pub(super) struct Member {
    /// The id by which it knows us. A new socket gives us another one, and the
    /// connection goes on under the old.
    pub me: PeerId,
    pub open: bool,
    /// We made the offer, and it has not been answered by a connection yet.
    pub calling: bool,
    /// Contents that we said we are interested in.
    pub asked: BTreeSet<ContentId>,
    /// Contents that it said it is interested in.
    pub interests: BTreeSet<ContentId>,
    /// What it said it holds of contents that we joined.
    pub holds: BTreeMap<ContentId, ChunkSet>,
}

impl Member {
    pub fn new(me: PeerId) -> Self {
        Self {
            me,
            open: false,
            calling: false,
            asked: BTreeSet::new(),
            interests: BTreeSet::new(),
            holds: BTreeMap::new(),
        }
    }

    /// Whether it has shown that it is in the swarm of `content`.
    pub fn may_hold(&self, content: ContentId) -> bool {
        self.interests.contains(&content)
            || self.holds.get(&content).is_some_and(|chunks| !chunks.is_empty())
    }
}
