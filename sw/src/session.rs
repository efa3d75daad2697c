//! One content on its way to its readers: the core's decisions and what they
//! have brought so far.

use std::rc::Rc;
use std::task::Waker;
use vecmap::{VecMap, VecSet};

use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::message::coord::{ADAPTIVE_WANT, DEFAULT_WANT};
use dcdn_protocol::{ByteRange, ChunkIndex, ContentId, Layout, Manifest, PolicyName, SiteConfig};
use dcdn_swarm::{Download, OriginRequest, ReaderId, Timestamp};
use futures::channel::oneshot;
use futures::future::{LocalBoxFuture, Shared};
use gloo_timers::callback::Timeout;
use web_sys::{AbortController, Response};

use crate::chunks::{Chunks, Sources, Tail};
use crate::early::Early;
use crate::origin::Meta;
use crate::pages::ClientId;

/// Bytes before a reader that are worth a request of their own, afterwards.
const WORTH_SKIPPING: u64 = 16 * 1024;

/// A session, by a number that is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u32);

/// How a wait for a session's first word ends: `Ok` when the content is
/// described, `Err` when the page gets what plain HTTP gives, with the response
/// if there is one already.
pub type Opening = Result<(), Option<Response>>;

/// Ends when it is known whether the stored version is the present one.
pub type Settling = Shared<LocalBoxFuture<'static, ()>>;

/// What is known of the manifest.
#[derive(Clone, Debug)]
pub enum ManifestState {
    /// Asked for.
    Pending,
    /// Here and in force.
    Ready(Rc<Manifest>),
    /// There is none: nothing can be verified, stored or taken from peers.
    Unavailable,
}

/// One content on its way to its readers.
pub struct Session {
    /// Path and query.
    pub url: String,
    /// Configuration of the page that asked first.
    pub config: SiteConfig,
    /// Decides.
    pub download: Download,
    /// What the responses say, once known.
    pub meta: Option<Meta>,
    /// How it is cut, once known.
    pub layout: Option<Layout>,
    /// The manifest.
    pub manifest: ManifestState,
    /// Why the coordination server shares no manifest, in its words.
    pub refusal: Option<String>,
    /// Whether the origin has said that it is for this visitor alone.
    pub personal: bool,
    /// The session of another URL with the same content, whose chunks are ours too.
    pub follows: Option<SessionId>,
    /// Chunks that are to come from there.
    pub awaited: VecSet<ChunkIndex>,
    /// What is in memory.
    pub chunks: Chunks,
    /// Where each chunk came from that was not in the store before: what is read
    /// from the store later was not for free.
    pub fetched: VecMap<ChunkIndex, Sources>,
    /// What its first reader needs, from the store.
    pub early: Option<Early>,
    /// Chunks whose beginning is still to be fetched, once there is a manifest.
    pub tails: Vec<Tail>,
    /// Whether anything from peers or store has been accepted: from then on the
    /// manifest cannot be dropped without mixing versions.
    pub relies_on_manifest: bool,
    /// Whether a chunk of the origin was as the manifest says: then all of them must be.
    pub agreed: bool,
    /// Who reads, those of sessions that follow this one included.
    pub readers: VecMap<ReaderId, Reader>,
    /// Requests under way.
    pub origin: VecMap<OriginRequest, AbortController>,
    /// Bodies of the origin that wait for readers: dropped when they should look again.
    pub paused: Vec<oneshot::Sender<()>>,
    /// Pages that look for peers for us.
    pub joined: VecSet<ClientId>,
    /// When the pages were last asked for more peers.
    pub asked_for_peers: Option<Timestamp>,
    /// Responses that wait for [`Session::meta`].
    pub waiting: Vec<oneshot::Sender<Opening>>,
    /// The check of a known content for being current, while it is under way.
    pub settling: Option<Settling>,
    /// Wakes the core, and when.
    pub timer: Option<(Timestamp, Timeout)>,
    /// Ends the session some time after its last reader.
    pub linger: Option<Timeout>,
}

/// One response on its way to a page.
#[derive(Clone)]
pub struct Reader {
    /// The page.
    pub client: ClientId,
    /// The next byte that it needs.
    pub position: u64,
    /// One past the last byte that it needs.
    pub end: u64,
    /// Whether it belongs to a player that asks for what follows.
    pub goes_on: bool,
    /// Wakes its stream.
    pub waker: Option<Waker>,
}

impl Session {
    /// A session that knows nothing yet.
    pub fn new(url: &str, config: SiteConfig, download: Download) -> Self {
        Self {
            url: url.to_owned(),
            config,
            download,
            meta: None,
            layout: None,
            manifest: ManifestState::Pending,
            refusal: None,
            personal: false,
            follows: None,
            awaited: VecSet::new(),
            chunks: Chunks::default(),
            fetched: VecMap::new(),
            early: None,
            tails: Vec::new(),
            relies_on_manifest: false,
            agreed: false,
            readers: VecMap::new(),
            origin: VecMap::new(),
            paused: Vec::new(),
            joined: VecSet::new(),
            asked_for_peers: None,
            waiting: Vec::new(),
            settling: None,
            timer: None,
            linger: None,
        }
    }

    /// The manifest in force.
    pub fn manifest(&self) -> Option<&Rc<Manifest>> {
        match &self.manifest {
            ManifestState::Ready(manifest) => Some(manifest),
            ManifestState::Pending | ManifestState::Unavailable => None,
        }
    }

    /// The content, by the manifest in force.
    pub fn content(&self) -> Option<ContentId> {
        self.manifest().map(|manifest| manifest.content_id())
    }

    /// How many peers its pages ask for at a time.
    pub fn want(&self) -> u8 {
        match self.config.policy {
            PolicyName::Adaptive => ADAPTIVE_WANT,
            _ => DEFAULT_WANT,
        }
    }

    /// Takes over what the content is. `None` if it cannot be cut into chunks.
    pub fn describe(&mut self, meta: Meta, layout: Option<Layout>) -> Option<Layout> {
        let layout = match layout {
            Some(layout) => layout,
            None => Layout::of_length(meta.length).ok()?,
        };
        self.meta = Some(meta);
        self.layout = Some(layout);
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(Ok(()));
        }
        Some(layout)
    }

    /// Where an answer of the origin to a request for `range` may begin: at the range's
    /// start, or in the middle of its first chunk if nobody reads what is before that.
    pub fn begins_at(&self, range: ByteRange) -> u64 {
        let size = u64::from(self.layout.map_or(DEFAULT_CHUNK_SIZE, Layout::chunk_size));
        let index = range.start / size;
        let first = ByteRange::new(range.start, (index + 1) * size);
        if u32::try_from(index).is_ok_and(|index| self.chunks.has(ChunkIndex(index))) {
            return range.start;
        }
        let begins = self.needed_from(first).unwrap_or(range.start);
        if begins - range.start < WORTH_SKIPPING { range.start } else { begins }
    }

    /// The first of `bytes` that a reader needs.
    pub fn needed_from(&self, bytes: ByteRange) -> Option<u64> {
        let parts = self
            .readers
            .values()
            .map(|reader| ByteRange::new(reader.position, reader.end).intersection(bytes));
        parts.filter(|part| !part.is_empty()).map(|part| part.start).min()
    }

    /// Whether somebody reads from it, or is about to.
    pub fn is_in_use(&self) -> bool {
        !self.readers.is_empty() || self.settling.is_some()
    }

    /// Whether a page reads from it.
    pub fn is_read_by(&self, client: &str) -> bool {
        self.readers.values().any(|reader| reader.client == client)
    }

    /// Lets every stream look again.
    pub fn wake_readers(&mut self) {
        for reader in self.readers.values_mut() {
            if let Some(waker) = reader.waker.take() {
                waker.wake();
            }
        }
    }
}
