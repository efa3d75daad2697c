//! What entities send each other and themselves.

use dcdn_protocol::message::peer::ChunkFailReason;
use dcdn_protocol::{ChunkIndex, ChunkSet};

/// Somebody: the site's server, the coordination server or a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(pub u32);

/// The site's server.
pub const ORIGIN: EntityId = EntityId(0);

/// The coordination server.
pub const COORD: EntityId = EntityId(1);

/// The first viewer; the others follow in the order of their arrival.
pub const FIRST_VIEWER: u32 = 2;

/// A content, by its place in [`crate::world::World::contents`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentNo(pub u32);

/// A viewer's session, by a number that the viewer does not use again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// One thing that happens to one entity. The fields before `what` order what
/// happens in the same millisecond, whoever simulated its cause first.
#[derive(Debug)]
pub struct Event {
    /// Whom it happens to.
    pub to: EntityId,
    /// Who caused it.
    pub from: EntityId,
    /// Counts what `from` has caused.
    pub seq: u32,
    /// What.
    pub what: What,
}

const _: () = assert!(size_of::<Event>() <= 32, "millions of events wait at a time");

/// What happens. Rare and large things are boxed.
#[derive(Debug)]
pub enum What {
    // A viewer's own.
    /// The page has loaded its part of DCDN.
    PageReady,
    /// [`dcdn_swarm::Download::poll_timeout`] of a session.
    Tick(Slot),
    /// The uplink has sent what it was sending.
    UplinkFree,
    /// News of what is held may be sent to a peer again.
    HaveDue,
    /// Growth of what is held may be reported to the coordination server again.
    ReportDue,
    /// The application wants to look at its readers.
    AppWake,
    /// The store has answered.
    StoreRead { slot: Slot, chunk: ChunkIndex },
    /// A session without readers may be over.
    LingerOver(Slot),
    /// A manifest has waited long enough for the origin's word.
    ManifestPatience(Slot),
    /// The visit ends.
    Leave,
    /// A connection has had its time to open.
    OpenTimeout { peer: EntityId, attempt: u32 },
    /// The caller's end of a connection opens.
    CallOpened { peer: EntityId, attempt: u32 },
    /// A chunk has passed the downlink.
    ChunkIn { serial: u32, bad: bool },
    /// Bytes of the origin have passed the downlink.
    OriginIn { slot: Slot, request: u32, upto: u32 },

    // From peer to peer.
    /// The called end opens.
    AnswerOpened,
    /// See `PeerMessage::Interested`.
    Interested(ContentNo),
    /// See `PeerMessage::Have`: one run of chunks.
    HaveRun { content: ContentNo, start: u32, end: u32 },
    /// See `PeerMessage::Have`: several runs.
    HaveSet(Box<(ContentNo, ChunkSet)>),
    /// See `PeerMessage::Request`; the serial comes back with the answer.
    Request { content: ContentNo, chunk: ChunkIndex, serial: u32 },
    /// See `PeerMessage::Cancel`.
    Cancel { serial: u32 },
    /// The last piece of a chunk.
    Chunk { serial: u32, bad: bool },
    /// A piece of a chunk that takes long; the last is due at `end` ms.
    Progress { serial: u32, received: u32, end: u32 },
    /// See `PeerMessage::ChunkFail`.
    ChunkFail { serial: u32, reason: ChunkFailReason },
    /// The connection ends, or is found to have ended.
    Bye,
    /// The sender vanished in the middle of a chunk, which nobody notices yet.
    Cut { serial: u32 },

    // To and from the coordination server.
    /// Opens the socket and says hello; answered by the same.
    Hello,
    /// Asks for a manifest; answered by the same.
    Manifest(ContentNo),
    /// See `ToCoord::Join`.
    Join(Box<Join>),
    /// A page's holding has grown.
    Report(Box<(ContentNo, ChunkSet)>),
    /// A signal to, or from, `peer`.
    Signal { peer: EntityId, signal: Signal },
    /// The server does not know `peer` (any more).
    Unknown { peer: EntityId },
    /// See `FromCoord::Peers`.
    Named(Box<Named>),
    /// The socket closes.
    Disconnected,

    // To and from the origin.
    /// A GET of a range.
    Fetch(Box<Fetch>),
    /// A GET is aborted.
    CancelFetch { slot: Slot, request: u32 },
    /// So many bytes of the range have been sent by now.
    OriginBytes { slot: Slot, request: u32, upto: u32 },
    /// The request has failed.
    OriginFailed { slot: Slot, request: u32 },
    /// The origin's own: requests may have more to send.
    OriginWork,
    /// The origin's own: a request may send its next unit.
    OriginNext { place: u32, generation: u32 },
    /// The origin's own: it goes down.
    OriginDown,
}

/// A signal without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An offer.
    Offer,
    /// An answer that accepts.
    Accept,
    /// An answer that declines.
    Decline,
}

/// See [`What::Join`].
#[derive(Debug)]
pub struct Join {
    /// The swarm.
    pub content: ContentNo,
    /// Peers wanted.
    pub want: u8,
    /// What the page holds.
    pub have: ChunkSet,
}

/// See [`What::Named`].
#[derive(Debug)]
pub struct Named {
    /// The swarm.
    pub content: ContentNo,
    /// Its members, with what they last reported to hold.
    pub peers: Vec<(EntityId, ChunkSet)>,
}

/// See [`What::Fetch`].
#[derive(Debug)]
pub struct Fetch {
    /// Comes back with the answer.
    pub slot: Slot,
    /// Comes back with the answer.
    pub request: u32,
    /// The content.
    pub content: ContentNo,
    /// First byte.
    pub start: u64,
    /// One past the last byte; may lie beyond the content's end.
    pub end: u64,
    /// What the viewer's line can take, in bytes per millisecond.
    pub rate: u32,
    /// One-way delay between viewer and origin in milliseconds.
    pub delay: u32,
    /// Whether the connection has its slow start before it.
    pub fresh: bool,
}
