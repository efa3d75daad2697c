//! A peer that we are connected or connecting to.

use vecmap::{VecMap, VecSet};

use dcdn_protocol::message::peer::have_interval_ms;
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
    pub asked: VecSet<ContentId>,
    /// Contents that it said it is interested in, with what we last told it of each.
    pub interests: VecMap<ContentId, Told>,
    /// What it said it holds of contents that we joined.
    pub holds: VecMap<ContentId, ChunkSet>,
}

/// What a peer was last told that we hold of a content.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub chunks: ChunkSet,
    pub at: f64,
    /// When it asked to be told.
    pub since: f64,
}

impl Told {
    /// When it may be told again, in the page's milliseconds.
    pub fn due(&self, now: f64) -> f64 {
        // Casts of floats saturate, and what is less than a millisecond does not matter.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let asked_for = (now - self.since) as u64;
        self.at + f64::from(have_interval_ms(asked_for))
    }
}

impl Member {
    pub fn new(me: PeerId) -> Self {
        Self {
            me,
            open: false,
            calling: false,
            asked: VecSet::new(),
            interests: VecMap::new(),
            holds: VecMap::new(),
        }
    }

    /// Whether it should hear that we now hold `chunks` of a content that it asked
    /// about: there are some that it neither was told of nor holds itself, or some
    /// that it was told of are gone.
    pub fn should_hear(&self, content: ContentId, chunks: &ChunkSet) -> bool {
        let Some(Told { chunks: told, .. }) = self.interests.get(&content) else { return false };
        let news = chunks.without(told);
        let unknown = match self.holds.get(&content) {
            Some(held) => news.without(held),
            None => news,
        };
        !unknown.is_empty() || !told.without(chunks).is_empty()
    }

    /// Whether it has shown that it is in the swarm of `content`.
    pub fn may_hold(&self, content: ContentId) -> bool {
        self.interests.contains_key(&content)
            || self.holds.get(&content).is_some_and(|chunks| !chunks.is_empty())
    }
}
