//! Page shim <-> its service worker: structured clones over a `MessagePort`.
//!
//! The port is made by the page and handed over with [`HANDSHAKE`]. A message is
//! the enum as a plain object; a chunk's bytes ride along as an `ArrayBuffer` in
//! the property [`BODY`], transferred and never copied.

use serde::{Deserialize, Serialize};

use super::flat::flat;
use super::peer::ChunkFailReason;
use crate::config::{PageSettings, SiteConfig};
use crate::stats::{Stats, Totals};
use crate::{ChunkIndex, ChunkSet, ContentId, PeerId, record};

/// `type` of the `ServiceWorker.postMessage` that hands over the port, as its
/// one transferred object.
pub const HANDSHAKE: &str = "dcdn:port";

/// `type` of the `Client.postMessage` by which a worker that has just started
/// asks the pages out there for new ports: those of its predecessor are dead.
pub const RECONNECT: &str = "dcdn:reconnect";

/// `type` of the `ServiceWorker.postMessage` that keeps the worker alive. Only
/// such events do: traffic on a port does not count.
pub const KEEP_ALIVE: &str = "dcdn:ping";

/// `type` of the `ServiceWorker.postMessage` by which a page names, in `urls`, what
/// it has loaded from its own origin besides media, to be kept for offline use.
pub const SHELL: &str = "dcdn:shell";

/// Milliseconds between two [`KEEP_ALIVE`] while [`ToShim::Busy`] holds. Browsers
/// stop a worker about 30 s after its last event.
pub const KEEP_ALIVE_INTERVAL_MS: u32 = 10_000;

/// Property that carries a chunk's `ArrayBuffer`.
pub const BODY: &str = "body";

/// From the page.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "ToWorkerRecord")]
pub enum ToWorker {
    /// First message on a port.
    Hello {
        /// [`crate::VERSION`].
        version: u16,
        /// What the page's script tag sets over the site's configuration.
        settings: PageSettings,
        /// Path of the page, by which the worker remembers its settings.
        page: String,
        /// The page's `performance.timeOrigin`: the worker reports times from there.
        time_origin: f64,
    },
    /// Asks whether the coordination server can be reached, answered by
    /// [`ToShim::Reachable`]. A page asks before it opens a socket: a socket that
    /// fails is an error in the page's console, a failed fetch in the worker is not.
    Probe,
    /// Peers cannot be looked for: there is no socket, no WebRTC or no consent.
    /// Taken back by the next [`ToWorker::Expecting`].
    NoPeers,
    /// Answer to [`ToShim::Join`], and whenever the number changes: peers of that
    /// swarm that the page is connected to or still connecting to.
    Expecting {
        /// The swarm.
        content: ContentId,
        /// How many may yet serve.
        peers: u32,
    },
    /// A peer's channel is open.
    PeerUp {
        /// The peer.
        peer: PeerId,
        /// The id that the page had on its socket when the connection was made: the
        /// one by which the peer knows it.
        me: PeerId,
        /// What the coordination server expects the peer to hold, of contents that
        /// the page joined. Replaced by the first [`ToWorker::PeerHas`] of each.
        expected: Vec<(ContentId, ChunkSet)>,
    },
    /// A peer's channel is gone; so is all that was asked of it.
    PeerDown {
        /// The peer.
        peer: PeerId,
    },
    /// What a peer holds; replaces what it held.
    PeerHas {
        /// The peer.
        peer: PeerId,
        /// The content.
        content: ContentId,
        /// The chunks.
        chunks: ChunkSet,
    },
    /// Pieces of a requested chunk have come, but not all: the first, and then now and again.
    Progress {
        /// The peer.
        peer: PeerId,
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
        /// Bytes of the chunk so far.
        received: u32,
    },
    /// A requested chunk is whole; its bytes, unverified, are in [`BODY`].
    Chunk {
        /// The peer.
        peer: PeerId,
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// A requested chunk will not come from this peer.
    ChunkFail {
        /// The peer.
        peer: PeerId,
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
        /// Why.
        reason: ChunkFailReason,
    },
    /// Answer to [`ToShim::Salvage`]: the request is taken back. The chunk's first
    /// `received` bytes, unverified, are in [`BODY`] if there are any.
    Salvaged {
        /// The peer.
        peer: PeerId,
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
        /// Bytes from the chunk's start; 0 if there are none, or no such request.
        received: u32,
    },
    /// Asks for [`ToShim::Stats`] of this page.
    StatsRequest {
        /// Comes back with the answer.
        id: u32,
    },
    /// Something that the page's script wants done, answered by [`ToShim::Outcome`]. A
    /// page that has had no answer asks again, under the same number, whoever has
    /// become the worker meanwhile.
    Do {
        /// Comes back with the answer.
        id: u32,
        /// What.
        errand: Errand,
    },
    /// Takes back an [`ToWorker::Do`] that is not answered yet, which ends it.
    Undo {
        /// Its number.
        id: u32,
    },
    /// The page is going away.
    Bye,
}

/// Something that a page's script wants done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ErrandRecord")]
pub enum Errand {
    /// Fetch what is missing of a resource into the store.
    Prefetch {
        /// Path and query.
        url: String,
    },
    /// Remove a resource from the store.
    Forget {
        /// Path and query.
        url: String,
    },
    /// Remove everything from the store.
    Clear,
    /// Remove everything, and the worker.
    Unregister,
}

/// How an [`Errand`] ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether it is done.
    pub ok: bool,
    /// Bytes of the resource that the store now holds, or no longer holds.
    pub bytes: u64,
    /// Why it is not done, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

record!(Outcome { ok, bytes, error or_none });

/// From the worker.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "ToShimRecord")]
pub enum ToShim {
    /// Answer to [`ToWorker::Hello`], also to one of another version, which hears
    /// nothing more. On another version the page lets the port go.
    Welcome {
        /// [`crate::VERSION`].
        version: u16,
        /// The site's configuration with the page's settings laid over it.
        config: SiteConfig,
    },
    /// Answer to [`ToWorker::Probe`].
    Reachable {
        /// Whether a socket would probably open.
        up: bool,
    },
    /// Find and connect to peers of a swarm; with `want` 0 just be found.
    Join {
        /// The swarm.
        content: ContentId,
        /// Peers wanted.
        want: u8,
    },
    /// The swarm is of no more interest.
    Leave {
        /// The swarm.
        content: ContentId,
    },
    /// What this browser can upload of a content; replaces what was said before.
    Have {
        /// The content.
        content: ContentId,
        /// The chunks, all in the store.
        chunks: ChunkSet,
    },
    /// Ask a peer for a chunk.
    Request {
        /// The peer.
        peer: PeerId,
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
        /// Bytes that the chunk must have.
        size: u32,
    },
    /// Take a request back.
    Cancel {
        /// The peer.
        peer: PeerId,
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// A chunk will not come in time: take the request back as [`ToShim::Cancel`]
    /// does, and hand over what has come from the chunk's start. Answered by
    /// [`ToWorker::Salvaged`].
    Salvage {
        /// The peer.
        peer: PeerId,
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// The peer sent wrong bytes: hang up and never connect to it again.
    Ban {
        /// The peer.
        peer: PeerId,
    },
    /// Responses are open (or no longer): the page sends [`KEEP_ALIVE`] meanwhile. Said again
    /// in answer to each of those.
    Busy {
        /// Whether any is.
        open: bool,
        /// What this page was served until now; not there if that is nothing.
        totals: Option<Totals>,
    },
    /// Answer to [`ToWorker::StatsRequest`].
    Stats {
        /// From the request.
        id: u32,
        /// What this page was served; the page adds what it uploaded.
        stats: Stats,
    },
    /// Answer to [`ToWorker::Do`].
    Outcome {
        /// From the errand.
        id: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// Something that the page asked for has moved on, for `dcdn.on`.
    Event {
        /// What.
        event: PageEvent,
    },
}

/// What `dcdn.on(name, fn)` hears of; `name` is the tag.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "PageEventRecord")]
pub enum PageEvent {
    /// A chunk has been delivered to this page.
    Progress {
        /// The resource.
        url: String,
        /// Bytes delivered so far, each byte counted once.
        loaded: u64,
        /// Bytes of the resource.
        total: u64,
        /// Where this chunk came from.
        source: crate::stats::Source,
    },
    /// The whole resource has been delivered to this page.
    Done {
        /// The resource.
        url: String,
    },
    /// A resource could not be delivered, or a peer sent wrong bytes.
    Error {
        /// The resource.
        url: String,
        /// Why, for people.
        message: String,
    },
}

flat! {
    ToWorker("type") from ToWorkerRecord, ToWorkerKind {
        version: u16,
        settings: PageSettings,
        page: String,
        time_origin: f64,
        content: ContentId,
        peers: u32,
        peer: PeerId,
        me: PeerId,
        expected: Vec<(ContentId, ChunkSet)>,
        chunks: ChunkSet,
        chunk: ChunkIndex,
        received: u32,
        reason: ChunkFailReason,
        id: u32,
        errand: Errand,
    } {
        Hello = "hello" { version, settings, page, time_origin },
        Probe = "probe" {},
        NoPeers = "noPeers" {},
        Expecting = "expecting" { content, peers },
        PeerUp = "peerUp" { peer, me, expected },
        PeerDown = "peerDown" { peer },
        PeerHas = "peerHas" { peer, content, chunks },
        Progress = "progress" { peer, content, chunk, received },
        Chunk = "chunk" { peer, content, chunk },
        ChunkFail = "chunkFail" { peer, content, chunk, reason },
        Salvaged = "salvaged" { peer, content, chunk, received },
        StatsRequest = "statsRequest" { id },
        Do = "do" { id, errand },
        Undo = "undo" { id },
        Bye = "bye" {},
    }
}

flat! {
    Errand("errand") from ErrandRecord, ErrandKind {
        url: String,
    } {
        Prefetch = "prefetch" { url },
        Forget = "forget" { url },
        Clear = "clear" {},
        Unregister = "unregister" {},
    }
}

flat! {
    ToShim("type") from ToShimRecord, ToShimKind {
        version: u16,
        config: SiteConfig,
        up: bool,
        content: ContentId,
        want: u8,
        chunks: ChunkSet,
        peer: PeerId,
        chunk: ChunkIndex,
        size: u32,
        open: bool,
        totals: Totals,
        id: u32,
        stats: Stats,
        outcome: Outcome,
        event: PageEvent,
    } {
        Welcome = "welcome" { version, config },
        Reachable = "reachable" { up },
        Join = "join" { content, want },
        Leave = "leave" { content },
        Have = "have" { content, chunks },
        Request = "request" { peer, content, chunk, size },
        Cancel = "cancel" { peer, content, chunk },
        Salvage = "salvage" { peer, content, chunk },
        Ban = "ban" { peer },
        Busy = "busy" { open, totals or_none },
        Stats = "stats" { id, stats },
        Outcome = "outcome" { id, outcome },
        Event = "event" { event },
    }
}

flat! {
    PageEvent("event") from PageEventRecord, PageEventKind {
        url: String,
        loaded: u64,
        total: u64,
        source: crate::stats::Source,
        message: String,
    } {
        Progress = "progress" { url, loaded, total, source },
        Done = "done" { url },
        Error = "error" { url, message },
    }
}
