//! What is given: the network, the contents, who comes when and for what.

use dcdn_protocol::chunk::InvalidLayout;
use dcdn_protocol::{ContentId, Layout};

use crate::event::{ContentNo, EntityId, FIRST_VIEWER};
use crate::network::NetworkModel;

/// All that a simulation starts from. Nothing changes it.
#[derive(Clone, Debug)]
pub struct World {
    /// Of every draw.
    pub seed: u64,
    /// The network.
    pub net: NetworkModel,
    /// What the site has.
    pub contents: Vec<Content>,
    /// Who comes, in the order of arrival. The first is viewer [`FIRST_VIEWER`].
    pub visits: Vec<Visit>,
    /// When the simulation ends at the latest, in milliseconds.
    pub horizon: u64,
}

/// A file of the site.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    /// How it is cut.
    pub layout: Layout,
    /// From when it exists, in milliseconds.
    pub since: u64,
}

impl Content {
    /// A file that is there from the start.
    ///
    /// # Errors
    /// If it cannot be cut so.
    pub fn new(length: u64, chunk_size: u32) -> Result<Self, InvalidLayout> {
        Ok(Self { layout: Layout::new(length, chunk_size)?, since: 0 })
    }
}

/// One visitor.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// When, in milliseconds.
    pub arrive: u64,
    /// When the visit ends whatever has been seen by then.
    pub leave: Option<u64>,
    /// How long it goes on after everything has been seen, in milliseconds, unless
    /// `leave` is set.
    pub stay_ms: u32,
    /// What for.
    pub plan: Plan,
}

/// What a visitor does.
#[derive(Clone, Copy, Debug)]
pub enum Plan {
    /// Nothing: holds all of a content and is found for it.
    Seed(ContentNo),
    /// Watches a video from its start.
    Video {
        /// The video.
        content: ContentNo,
        /// Its bit rate.
        bytes_per_s: u64,
    },
    /// Looks at a page of images.
    Page {
        /// The first of them.
        first: ContentNo,
        /// How many, one after the other in [`World::contents`].
        count: u32,
    },
    /// Watches live segments as they appear.
    Live {
        /// The first of them.
        first: ContentNo,
        /// How many.
        count: u32,
        /// The bit rate.
        bytes_per_s: u64,
    },
}

impl World {
    /// A content.
    pub fn content(&self, content: ContentNo) -> Content {
        self.contents[content.0 as usize]
    }

    /// The visit of a viewer.
    pub fn visit(&self, viewer: EntityId) -> Visit {
        self.visits[(viewer.0 - FIRST_VIEWER) as usize]
    }
}

/// The id under which the coordination server knows a content.
pub fn content_id(content: ContentNo) -> ContentId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&content.0.to_be_bytes());
    ContentId(id)
}

/// Which content that is.
pub fn content_no(id: ContentId) -> ContentNo {
    ContentNo(u32::from_be_bytes([id.0[0], id.0[1], id.0[2], id.0[3]]))
}
