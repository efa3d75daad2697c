//! What goes into the core and what comes out.

use dcdn_protocol::message::peer::ChunkFailReason;
use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet, Layout, PeerId};

/// One open connection to a peer, by a number that the caller chooses and never reuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(pub u32);

/// One consumer of the content, by a number that the caller chooses and never reuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderId(pub u32);

/// One HTTP request to the origin, numbered by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginRequest(pub u32);

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A reader wants `range`; its end may lie beyond the content's.
    ReaderOpened {
        /// The reader.
        reader: ReaderId,
        /// The bytes that it wants.
        range: ByteRange,
        /// Whether its user will go on behind the range: a player that asked for all
        /// from somewhere and is answered in parts.
        goes_on: bool,
    },
    /// A reader has been given everything before `position`.
    ReaderAdvanced {
        /// The reader.
        reader: ReaderId,
        /// Offset in the content of the next byte that it needs.
        position: u64,
    },
    /// A reader is finished or gone.
    ReaderClosed {
        /// The reader.
        reader: ReaderId,
    },
    /// The content's length has become known, from the manifest or the origin.
    Described {
        /// How it is cut.
        layout: Layout,
    },
    /// The manifest is there: what peers send can be checked from now on.
    ManifestReady,
    /// There is no manifest and there will be none: the origin alone can serve.
    ManifestUnavailable,
    /// Chunks that the store holds, besides those known already.
    Stored {
        /// The chunks.
        chunks: ChunkSet,
    },
    /// The store does not hold these after all, or holds them damaged.
    StoreMissing {
        /// The chunks.
        chunks: ChunkSet,
    },
    /// How many peers may yet serve: connected or connecting.
    Expecting {
        /// That many.
        peers: u32,
    },
    /// A connection has opened. Said once of each, before anything else about it.
    LinkUp {
        /// The connection.
        link: Link,
        /// The id by which the peer knows this browser.
        me: PeerId,
        /// The peer's id.
        peer: PeerId,
        /// What the coordination server expects the peer to hold of this content;
        /// empty if it said nothing. Good for requests until [`Input::LinkHas`].
        expected: ChunkSet,
    },
    /// A connection is gone, and all that was asked over it.
    LinkDown {
        /// The connection.
        link: Link,
    },
    /// All the chunks that a peer holds; replaces what was known or expected.
    LinkHas {
        /// The connection.
        link: Link,
        /// The chunks.
        chunks: ChunkSet,
    },
    /// Part of a requested chunk has come.
    LinkProgress {
        /// The connection.
        link: Link,
        /// The chunk.
        chunk: ChunkIndex,
        /// Bytes of the chunk that have come so far.
        received: u32,
    },
    /// A requested chunk will not come over this connection.
    LinkFailed {
        /// The connection.
        link: Link,
        /// The chunk.
        chunk: ChunkIndex,
        /// Why.
        reason: ChunkFailReason,
    },
    /// Answer to [`Command::Salvage`]: the request is taken back, and the first
    /// `received` bytes of the chunk are kept, unverified, for the origin to complete.
    Salvaged {
        /// The connection.
        link: Link,
        /// The chunk.
        chunk: ChunkIndex,
        /// Bytes kept, fewer than the chunk has; 0 if there is nothing of use.
        received: u32,
    },
    /// A chunk from a peer, or one that the origin completed, did not have the hash
    /// that the manifest gives. Nothing of it is kept.
    LinkLied {
        /// The connection.
        link: Link,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// A chunk is whole and may be given to readers: verified, or from the origin.
    Ready {
        /// The chunk.
        chunk: ChunkIndex,
        /// The connection that it came over; `None` for origin and store.
        from: Option<Link>,
    },
    /// The origin has answered a request, and its bytes follow.
    OriginAnswered {
        /// The request.
        request: OriginRequest,
        /// Whether it sends what was asked for. If not, it does not know ranges and
        /// sends the content from its start to its end.
        ranges: bool,
    },
    /// A request to the origin has delivered what it was for.
    OriginDone {
        /// The request.
        request: OriginRequest,
    },
    /// A request to the origin has failed; chunks not [`Input::Ready`] by now are missing.
    OriginFailed {
        /// The request.
        request: OriginRequest,
    },
    /// Time has passed, or something that downloads share has changed.
    Tick,
}

impl Input {
    /// Whether it may leave room, on the connections that all downloads share, for
    /// requests of the others: they want a [`Input::Tick`] then.
    pub fn frees_room(&self) -> bool {
        matches!(
            self,
            Self::Ready { from: Some(_), .. }
                | Self::LinkFailed { .. }
                | Self::LinkLied { .. }
                | Self::Salvaged { .. }
                | Self::ReaderClosed { .. }
                | Self::Tick
        )
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask the origin for `range`. Its end may lie beyond the content's as long as
    /// the length is unknown. Answered by [`Input::Ready`] for each chunk and then
    /// [`Input::OriginDone`] or [`Input::OriginFailed`].
    FetchOrigin {
        /// The request.
        request: OriginRequest,
        /// Whole chunks, but that the first begins where [`Input::Salvaged`] left off.
        range: ByteRange,
    },
    /// Nobody wants what is left of a request to the origin.
    CancelOrigin {
        /// The request.
        request: OriginRequest,
    },
    /// Read a chunk from the store. Answered by [`Input::Ready`] or [`Input::StoreMissing`].
    ReadStore {
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// Ask a peer for a chunk. Answered by [`Input::LinkProgress`] and then
    /// [`Input::Ready`], [`Input::LinkFailed`] or [`Input::LinkLied`].
    RequestChunk {
        /// The connection.
        link: Link,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// A chunk is no longer wanted from a peer. If it still comes it may be used.
    CancelChunk {
        /// The connection.
        link: Link,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// A chunk will not come in time from a peer: take the request back and keep
    /// what has come from the chunk's start. Answered by [`Input::Salvaged`], unless
    /// the chunk comes whole before.
    Salvage {
        /// The connection.
        link: Link,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// The peers that there are do not suffice: ask the coordination server for others.
    FindPeers,
    /// The peer sent wrong bytes: hang up and never call it again.
    Ban {
        /// The connection.
        link: Link,
    },
    /// No reader needs this chunk in memory any more.
    Release {
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// The readers cannot be served: the origin keeps failing and nobody else
    /// holds what they want. They must see an error, never a clean end.
    Fail,
}
