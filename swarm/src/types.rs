//! What goes into the core and what comes out.

use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet, Layout};

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
    /// The store does not hold `chunk` after all, or holds it damaged.
    StoreMissing {
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// How many peers may yet serve: connected or connecting.
    Expecting {
        /// That many.
        peers: u32,
    },
    /// A connection is gone, and all that was asked over it.
    LinkDown {
        /// The connection.
        link: Link,
    },
    /// All the chunks that a peer holds. The first one says that its connection is
    /// up; an open connection of which nothing is known is of no use.
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
    },
    /// A requested chunk will not come over this connection.
    LinkFailed {
        /// The connection.
        link: Link,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// A chunk from a peer did not have the hash that the manifest gives.
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

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask the origin for `range`. Its end may lie beyond the content's as long as
    /// the length is unknown. Answered by [`Input::Ready`] for each chunk and then
    /// [`Input::OriginDone`] or [`Input::OriginFailed`].
    FetchOrigin {
        /// The request.
        request: OriginRequest,
        /// Whole chunks.
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
