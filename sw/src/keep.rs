//! Keeping what is verified, within the store's budget. Nobody waits for any of this,
//! and whatever fails, the content is just not kept.
//!
//! What takes entries away, or writes the catalogue, runs one after the other in
//! [`Keeper::chores`]; chunks and manifests are written side by side between them. So a
//! chunk that is stored again while its predecessor is being deleted comes after it.

mod chores;
mod removal;

use std::rc::Rc;

use dcdn_protocol::store::Entry;
use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, Manifest};
use dcdn_swarm::Input;
use futures::channel::oneshot;
use futures::future::{LocalBoxFuture, Shared};
use js_sys::Uint8Array;
use vecmap::VecMap;

use crate::catalogue;
use crate::engine::{Engine, State};
use crate::error::Error;
use crate::js::{epoch_ms, warn};
use crate::room::{self, Plan, Wanted};
use crate::store;
use crate::store::Known;

/// Bytes that may wait to be written. A network that brings more than the disk takes
/// must not fill the memory; what is beyond is not kept.
const MAX_BEING_WRITTEN: u64 = 64 * 1024 * 1024;

/// How often a chunk is offered to a browser that has no room for it.
const MAX_ATTEMPTS: u32 = 3;

/// How long nothing is stored after the browser has refused that often, in milliseconds.
const REFUSAL_MS: f64 = 60_000.0;

/// What is going on in the store.
#[derive(Default)]
pub struct Keeper {
    /// Chunks that are being written, with their bytes.
    writing: VecMap<(ContentId, ChunkIndex), u32>,
    /// The default budget, once the browser has been asked.
    default_budget: Option<u64>,
    /// What the browser has turned out to grant in fact.
    granted: Option<u64>,
    /// How often room has been made because the browser had none.
    ways_made: u32,
    /// Nothing is stored until then, in milliseconds since the epoch.
    refused_until: f64,
    /// The last of what must be done one after the other.
    chores: Option<Chore>,
    /// Chores that are not done yet.
    chores_left: u32,
    /// Whether the catalogue is about to be written.
    catalogue_due: bool,
    /// Dropped by [`Keeper::tell_watchers`].
    watchers: Vec<oneshot::Sender<()>>,
}

type Chore = Shared<LocalBoxFuture<'static, ()>>;

impl Keeper {
    /// Bytes that are being written.
    pub fn backlog(&self) -> u64 {
        self.writing.values().copied().map(u64::from).sum()
    }

    /// Something may have become of a chunk, or of a session's manifest.
    pub fn tell_watchers(&mut self) {
        // Those that wait are woken by what they wait for being dropped.
        self.watchers.clear();
    }

    /// Ends when something may have become of a chunk that was to be stored.
    pub fn news(&mut self) -> oneshot::Receiver<()> {
        let (watcher, news) = oneshot::channel();
        self.watchers.push(watcher);
        news
    }

    /// Whether chunks of `content` are being written.
    pub fn is_writing(&self, content: ContentId) -> bool {
        self.writing.keys().any(|(of, _)| *of == content)
    }

    fn bytes_of(&self, content: ContentId) -> u64 {
        let of_it = self.writing.iter().filter(|((of, _), _)| *of == content);
        of_it.map(|(_, bytes)| u64::from(*bytes)).sum()
    }
}

impl Engine {
    /// Stores a verified chunk.
    pub async fn keep(self: &Rc<Self>, content: ContentId, chunk: ChunkIndex, bytes: &Uint8Array) {
        self.try_to_keep(content, chunk, bytes).await;
        self.state().keeper.tell_watchers();
    }

    async fn try_to_keep(
        self: &Rc<Self>,
        content: ContentId,
        chunk: ChunkIndex,
        bytes: &Uint8Array,
    ) {
        if self.state().catalogue.chunks(content).contains(chunk) {
            return;
        }
        let size = bytes.length();
        let budget = self.budget().await;
        if !self.reserve(content, chunk, size, budget) {
            return;
        }
        self.unsettle();
        let outcome =
            self.write(size.into(), async || store::put_chunk(content, chunk, bytes).await);
        let outcome = outcome.await;
        self.state().keeper.writing.remove(&(content, chunk));
        self.save_catalogue();
        match outcome {
            Ok(()) => self.note_stored(content, chunk),
            Err(error) if error.is_quota() || !self.state().site.config.enabled => {}
            Err(error) => warn(&format!("a chunk could not be stored: {error}")),
        }
    }

    /// Makes room for a chunk and notes that it is being written, unless it may not be.
    fn reserve(
        self: &Rc<Self>,
        content: ContentId,
        chunk: ChunkIndex,
        size: u32,
        budget: u64,
    ) -> bool {
        let plan = {
            let state = self.state();
            let keeper = &state.keeper;
            let is_known = state.catalogue.contents.contains_key(&content);
            if !is_known
                || keeper.writing.contains_key(&(content, chunk))
                || keeper.backlog() + u64::from(size) > MAX_BEING_WRITTEN
                || epoch_ms() < keeper.refused_until
                || !state.site.config.enabled
            {
                return false;
            }
            state.room_for(Some((content, size.into())), budget)
        };
        self.carry_out_plan(&plan, Some((content, chunk)));
        if plan.fits {
            self.state().keeper.writing.insert((content, chunk), size);
        }
        plan.fits
    }

    /// The chunk is there: the core and the pages may hear of it.
    fn note_stored(self: &Rc<Self>, content: ContentId, chunk: ChunkIndex) {
        let chunks = {
            let mut state = self.state();
            let Some(held) = state.catalogue.contents.get_mut(&content) else {
                // Let go meanwhile.
                drop(state);
                self.delete_soon(vec![Entry::Chunk(content, chunk)]);
                return;
            };
            held.chunks.insert(chunk);
            held.used_ms = epoch_ms();
            held.chunks.clone()
        };
        let stored: ChunkSet = [chunk].into_iter().collect();
        self.feed_where(|s| s.content() == Some(content), &Input::Stored { chunks: stored });
        self.announce(content, &chunks);
    }

    /// Stores a manifest that has been put in force.
    pub async fn keep_manifest(self: &Rc<Self>, known: &Known) {
        if !self.state().site.config.enabled {
            return;
        }
        self.unsettle();
        let bytes = known.manifest.hashes.len() * dcdn_protocol::manifest::HASH_LEN;
        let outcome = self.write(bytes as u64, async || store::put_manifest(known).await).await;
        self.save_catalogue();
        if let Err(error) = outcome
            && !error.is_quota()
            && self.state().site.config.enabled
        {
            warn(&format!("a manifest could not be stored: {error}"));
        }
    }

    /// Writes an entry, and makes room for it if the browser has none.
    async fn write(
        self: &Rc<Self>,
        bytes: u64,
        put: impl AsyncFn() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut attempts = 0;
        loop {
            self.chores_done().await;
            if !self.state().site.config.enabled {
                return Err(Error::Unavailable);
            }
            let ways_made = self.state().keeper.ways_made;
            let outcome = put().await;
            attempts += 1;
            if !outcome.as_ref().is_err_and(Error::is_quota) {
                return outcome;
            }
            if attempts == MAX_ATTEMPTS {
                self.state().keeper.refused_until = epoch_ms() + REFUSAL_MS;
                return outcome;
            }
            // What another chunk has had cleared away meanwhile may do for both.
            if self.state().keeper.ways_made == ways_made {
                self.make_way(bytes);
            }
        }
    }

    /// Brings the store down to its budget, if that has shrunk.
    pub async fn trim(self: &Rc<Self>) {
        let budget = self.budget().await;
        let plan = self.state().room_for(None, budget);
        self.carry_out_plan(&plan, None);
    }

    /// Notes that the manifest's URL is its content.
    pub fn note(&self, manifest: &Manifest) {
        let content = manifest.content_id();
        self.state().catalogue.describe(&manifest.url, content, manifest.layout, epoch_ms());
    }

    fn carry_out_plan(self: &Rc<Self>, plan: &Plan, wanted: Option<(ContentId, ChunkIndex)>) {
        if !plan.out.is_empty() {
            self.let_go(&plan.out);
        }
        let Some((content, near)) = wanted.filter(|_| plan.own > 0) else { return };
        let gone = {
            let state = self.state();
            let held = state.catalogue.contents.get(&content);
            let layout = held.and_then(catalogue::Held::layout);
            held.zip(layout)
                .map(|(held, layout)| room::farthest(&held.chunks, layout, near, plan.own))
        };
        if let Some(gone) = gone {
            self.give_up(content, &gone);
        }
    }

    /// The browser has refused to write: makes room for `bytes` in what it has turned
    /// out to grant.
    fn make_way(self: &Rc<Self>, bytes: u64) {
        let plan = {
            let mut state = self.state();
            let used = state.catalogue.bytes();
            state.keeper.ways_made += 1;
            state.keeper.granted = Some(used);
            state.room_for(None, used.saturating_sub(bytes))
        };
        self.carry_out_plan(&plan, None);
    }

    /// Bytes that the store may hold now.
    pub async fn budget(&self) -> u64 {
        let (site, default, granted) = {
            let state = self.state();
            let keeper = &state.keeper;
            (state.site.config.store_bytes, keeper.default_budget, keeper.granted)
        };
        let budget = match site.or(default) {
            Some(budget) => budget,
            None => {
                let budget = store::default_budget().await;
                self.state().keeper.default_budget = Some(budget);
                budget
            }
        };
        granted.map_or(budget, |granted| granted.min(budget))
    }
}

impl State {
    /// What has to go for so many bytes more of a content.
    fn room_for(&self, wanted: Option<(ContentId, u64)>, budget: u64) -> Plan {
        let used = self.catalogue.bytes() + self.keeper.backlog();
        let whole = |content| self.catalogue.contents.get(&content).map_or(0, |held| held.length);
        let wanted =
            wanted.map(|(content, bytes)| Wanted { content, bytes, whole: whole(content) });
        let bytes = wanted.map_or(0, |wanted| wanted.bytes);
        // As it is nearly always, and then nothing needs to be put in order.
        if used + bytes <= budget && wanted.is_none_or(|wanted| wanted.whole <= budget) {
            return Plan { fits: true, ..Plan::default() };
        }
        let in_use = |content| {
            let read =
                |it: &crate::session::Session| it.content() == Some(content) && it.is_in_use();
            self.sessions.values().any(read) || self.keeper.is_writing(content)
        };
        let shelves = self.catalogue.shelves(in_use, |content| self.keeper.bytes_of(content));
        room::make_room(&shelves, wanted, budget)
    }
}
