//! Verifying: manifests, hashes, what is read from the store.

use std::rc::Rc;

use dcdn_protocol::message::peer::ChunkFailReason;
use dcdn_protocol::stats::Source;
use dcdn_protocol::{ChunkHash, ChunkIndex, ChunkSet};
use dcdn_swarm::{Input, Link};
use futures::channel::oneshot;
use gloo_timers::callback::Timeout;
use js_sys::Uint8Array;
use wasm_bindgen_futures::spawn_local;

use crate::chunks::Chunk;
use crate::engine::Engine;
use crate::error::Error;
use crate::js::{epoch_ms, sha256};
use crate::origin::{self, Described, Meta};
use crate::session::{ManifestState, SessionId};
use crate::store::Known;

/// How long a known content waits to hear from the coordination server that it is still
/// current, in milliseconds, before the origin is asked.
const REVALIDATION_MS: u32 = 3000;

/// How long it waits for the origin, before it is served as it is.
const ORIGIN_SILENCE_MS: u32 = 10_000;

/// How long a manifest waits for the origin's headers, in milliseconds.
const ORIGIN_PATIENCE_MS: u32 = 1000;

impl Engine {
    /// Finds the manifest of a session's resource: the stored one if the server
    /// says that it is current, else the server's. If it cannot be asked, the stored one
    /// stands unless the origin has something else.
    ///
    /// With `check` the server is asked even if the stored one is fresh.
    pub async fn find_manifest(self: &Rc<Self>, id: SessionId, check: bool) {
        let (url, coord, known) = {
            let state = self.state();
            let Some(session) = state.sessions.get(&id) else { return };
            let known = state.catalogue.urls.get(&session.url).copied();
            (session.url.clone(), session.config.coord.clone(), known)
        };
        let stored = match known {
            Some(content) => self.stored_manifest(&url, content).await,
            None => None,
        };
        if let Some(known) = stored.as_ref().filter(|it| !check && self.needs_no_check(it)) {
            self.adopt(id, known.clone(), false);
            return;
        }
        let etag = stored.as_ref().and_then(|known| known.etag.as_deref());
        let asked = origin::fetch_manifest(&coord, &url, etag);
        let answer = match &stored {
            Some(_) => within(REVALIDATION_MS, asked).await,
            None => asked.await,
        };
        self.hear_origin_first(id).await;
        let answer = match (answer, &stored) {
            (Err(error), Some(known)) if !matches!(error, Error::NotShared(_)) => {
                self.ask_origin(id, known).await
            }
            (answer, _) => answer,
        };
        match (answer, stored) {
            (Ok(Described::Manifest(known)), _) => self.adopt(id, known, true),
            (Ok(Described::Unchanged), Some(known)) => {
                let known = Known { checked_ms: epoch_ms(), ..known };
                let lasts = known.is_fresh(known.checked_ms);
                self.adopt(id, known, lasts);
            }
            (Err(Error::NotShared(reason)), _) => {
                self.leave_to_browser(&url);
                if let Some(session) = self.state().sessions.get_mut(&id) {
                    session.refusal = Some(reason);
                }
                self.do_without_manifest(id);
            }
            (Err(Error::Changed), _) => self.do_without_manifest(id),
            (Err(_), Some(known)) => self.adopt(id, known, false),
            (Err(Error::NoManifest(reason)), None) => {
                if let Some(session) = self.state().sessions.get_mut(&id) {
                    session.refusal = Some(reason);
                }
                self.do_without_manifest(id);
            }
            (Ok(Described::Unchanged) | Err(_), None) => self.do_without_manifest(id),
        }
    }

    /// The origin's word on a stored content, of which the coordination server says nothing.
    async fn ask_origin(self: &Rc<Self>, id: SessionId, known: &Known) -> Result<Described, Error> {
        if self.state().sessions.get(&id).is_none_or(|session| session.meta.is_some()) {
            // It has been asked already, and what it has said decides.
            return Err(Error::Unavailable);
        }
        let version = Meta::of_manifest(&known.manifest);
        let asked = origin::check(&known.manifest.url, &version);
        if within(ORIGIN_SILENCE_MS, asked).await? {
            return Ok(Described::Unchanged);
        }
        self.keep_to_ourselves(id);
        Err(Error::Changed)
    }

    /// Whether a stored content can be served without asking anybody: it is fresh, and
    /// nothing of it is missing that might come in another version.
    fn needs_no_check(&self, known: &Known) -> bool {
        let manifest = &known.manifest;
        let held = self.state().catalogue.chunks(manifest.content_id());
        known.is_fresh(epoch_ms()) && held.is_full(manifest.layout.chunk_count())
    }

    /// Waits for the origin's own word on what the content is, if it has been asked
    /// and does not take long. It is the truth, and a response that has begun with
    /// a manifest of another version could only end in an error.
    async fn hear_origin_first(&self, id: SessionId) {
        let described = {
            let mut state = self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return };
            if session.meta.is_some() || session.origin.is_empty() {
                return;
            }
            let (described, waiting) = oneshot::channel();
            session.waiting.push(described);
            waiting
        };
        let heard = async { described.await.map_err(|_| Error::Unavailable) };
        // However it ends, what the session knows by then decides.
        let _ = within(ORIGIN_PATIENCE_MS, heard).await;
    }

    /// Puts a manifest in force, unless what the origin has said so far is of
    /// another version or for this visitor alone. It is written to the store if it,
    /// or when it was checked, is `new`.
    fn adopt(self: &Rc<Self>, id: SessionId, known: Known, new: bool) {
        let manifest = Rc::clone(&known.manifest);
        let content = manifest.content_id();
        let meta = Meta::of_manifest(&manifest);
        let held = {
            let state = &mut *self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return };
            let fits = manifest.url == session.url
                && !session.personal
                && meta.can_be_named()
                && session.meta.as_ref().is_none_or(|known| known.same_version(&meta))
                && session.layout.is_none_or(|layout| layout == manifest.layout);
            if !fits {
                None
            } else {
                if session.meta.is_none() {
                    session.describe(meta, Some(manifest.layout));
                }
                session.manifest = ManifestState::Ready(Rc::clone(&manifest));
                state.manifests.note(&known);
                let catalogue = &mut state.catalogue;
                catalogue.describe(&manifest.url, content, manifest.layout, epoch_ms());
                Some(catalogue.chunks(content))
            }
        };
        let Some(held) = held else {
            self.do_without_manifest(id);
            return;
        };
        let held =
            if self.follow(id) { ChunkSet::full(manifest.layout.chunk_count()) } else { held };
        if new {
            let engine = Rc::clone(self);
            spawn_local(async move { engine.keep_manifest(&known).await });
        } else {
            self.save_catalogue();
        }
        self.feed(id, Input::Described { layout: manifest.layout });
        self.feed(id, Input::Stored { chunks: held });
        self.feed(id, Input::ManifestReady);
        self.state().keeper.tell_watchers();
        self.introduce_all(id);
        let unverified = match self.state().sessions.get(&id) {
            Some(session) => session.chunks.unverified(),
            None => return,
        };
        for chunk in unverified {
            self.check_origin_chunk(id, chunk);
        }
        self.complete_tails(id);
        self.join(id);
    }

    /// From the next request on, and for a day, `url` is none of ours.
    pub fn leave_to_browser(self: &Rc<Self>, url: &str) {
        self.state().site.refuse(url, epoch_ms());
        self.save_site();
    }

    /// The origin has said that the content is for this visitor alone, or may be another
    /// one for the next: nobody gets it from us, and from the next request on the
    /// browser sees to it.
    pub fn keep_to_ourselves(self: &Rc<Self>, id: SessionId) {
        self.lead_no_more(id);
        let (url, undo) = {
            let state = &mut *self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return };
            if std::mem::replace(&mut session.personal, true) {
                return;
            }
            state.site.refuse(&session.url, epoch_ms());
            let undo = session.manifest().is_some() && !session.relies_on_manifest;
            (session.url.clone(), undo)
        };
        self.save_site();
        self.forget_url(&url);
        if undo {
            self.do_without_manifest(id);
        }
    }

    /// The origin alone serves this session.
    pub fn do_without_manifest(self: &Rc<Self>, id: SessionId) {
        self.unfollow(id);
        self.lead_no_more(id);
        if let Some(session) = self.state().sessions.get_mut(&id) {
            session.manifest = ManifestState::Unavailable;
            session.chunks.cannot_be_verified();
            session.tails.clear();
        }
        self.state().keeper.tell_watchers();
        self.feed(id, Input::ManifestUnavailable);
    }

    /// Verifies a chunk that the origin has delivered, and keeps it. The readers
    /// do not wait for this: what the origin says is so.
    pub fn check_origin_chunk(self: &Rc<Self>, id: SessionId, chunk: ChunkIndex) {
        let Some((manifest, bytes)) = self.state().sessions.get(&id).and_then(|session| {
            let manifest = session.manifest().filter(|_| !session.personal)?;
            Some((Rc::clone(manifest), session.chunks.whole(chunk)?))
        }) else {
            return;
        };
        let engine = Rc::clone(self);
        spawn_local(async move {
            if !is_right(&bytes, manifest.hash_of(chunk)).await {
                engine.origin_disagrees(id);
                return;
            }
            let was_wrong_before = match engine.state().sessions.get_mut(&id) {
                Some(session) => {
                    session.agreed = true;
                    session.chunks.verified(chunk);
                    session.manifest().is_none() && !session.personal
                }
                None => false,
            };
            if was_wrong_before {
                engine.origin_disagrees(id);
                return;
            }
            engine.share(id, chunk, &bytes);
            engine.keep(manifest.content_id(), chunk, &bytes).await;
        });
    }

    /// The origin's bytes are not those of the manifest. The origin is the truth;
    /// but if anything has been taken on the manifest's word, or was as it says, going on
    /// would mix two versions, and the validators do not tell them apart.
    fn origin_disagrees(self: &Rc<Self>, id: SessionId) {
        let (url, mixes) = match self.state().sessions.get(&id) {
            Some(session) => (session.url.clone(), session.relies_on_manifest || session.agreed),
            None => return,
        };
        if mixes {
            self.leave_to_browser(&url);
            self.fail(id, &Error::Changed);
        } else {
            self.do_without_manifest(id);
        }
    }

    /// Verifies a chunk that a peer has begun and the origin completed. Until then
    /// nobody sees a byte of it.
    pub async fn check_mixed_chunk(self: &Rc<Self>, id: SessionId, chunk: ChunkIndex) {
        let Some((manifest, (link, bytes))) = self.state().sessions.get(&id).and_then(|session| {
            Some((Rc::clone(session.manifest()?), session.chunks.suspect(chunk)?))
        }) else {
            return;
        };
        let right = is_right(&bytes, manifest.hash_of(chunk)).await;
        {
            let mut state = self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return };
            // Meanwhile somebody else may have brought it, or nobody wants it any more.
            if session.chunks.suspect(chunk).is_none_or(|(now, _)| now != link) {
                return;
            }
            if !right {
                session.chunks.reject(chunk);
            } else if let Some(sources) = session.chunks.clear(chunk) {
                session.relies_on_manifest = true;
                session.fetched.insert(chunk, sources);
                session.wake_readers();
            }
        }
        if !right {
            self.feed(id, Input::LinkLied { link, chunk });
            return;
        }
        self.feed(id, Input::Ready { chunk, from: None });
        self.share(id, chunk, &bytes);
        let engine = Rc::clone(self);
        spawn_local(async move { engine.keep(manifest.content_id(), chunk, &bytes).await });
    }

    /// Verifies a chunk from a peer. Until then nobody sees a byte of it.
    pub async fn check_peer_chunk(self: &Rc<Self>, id: SessionId, link: Link, chunk: Chunk) {
        let Chunk { index, bytes } = chunk;
        let manifest = {
            let state = &mut *self.state();
            let Some(session) = state.sessions.get(&id) else {
                state.network.answered(link, bytes.length());
                return;
            };
            session.manifest().cloned()
        };
        let Some(manifest) = manifest else {
            self.feed(
                id,
                Input::LinkFailed { link, chunk: index, reason: ChunkFailReason::Broken },
            );
            return;
        };
        if !is_right(&bytes, manifest.hash_of(index)).await {
            self.feed(id, Input::LinkLied { link, chunk: index });
            return;
        }
        if !self.accept(id, index, bytes.clone(), Source::P2p) {
            self.feed(
                id,
                Input::LinkFailed { link, chunk: index, reason: ChunkFailReason::Broken },
            );
            return;
        }
        self.feed(id, Input::Ready { chunk: index, from: Some(link) });
        self.share(id, index, &bytes);
        self.keep(manifest.content_id(), index, &bytes).await;
    }

    /// Reads a chunk from the store for a session.
    pub async fn read_store(self: &Rc<Self>, id: SessionId, chunk: ChunkIndex) {
        if self.await_from_leader(id, chunk) {
            return;
        }
        let missing = Input::StoreMissing { chunks: [chunk].into_iter().collect() };
        let manifest = self.state().sessions.get(&id).and_then(|s| s.manifest().cloned());
        let Some(manifest) = manifest else {
            self.feed(id, missing);
            return;
        };
        let content = manifest.content_id();
        let bytes = self.stored_chunk(id, content, chunk).await;
        if let Some(bytes) = bytes
            && is_right(&bytes, manifest.hash_of(chunk)).await
            && self.accept(id, chunk, bytes.clone(), Source::Cache)
        {
            self.state().catalogue.used(content, epoch_ms());
            self.feed(id, Input::Ready { chunk, from: None });
            self.share(id, chunk, &bytes);
            return;
        }
        self.drop_damaged(content, chunk);
        self.feed(id, missing);
    }

    /// Puts a verified chunk before the readers, as long as its manifest is in force.
    pub fn accept(
        &self,
        id: SessionId,
        chunk: ChunkIndex,
        bytes: Uint8Array,
        from: Source,
    ) -> bool {
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(&id) else { return false };
        if session.manifest().is_none() {
            return false;
        }
        session.relies_on_manifest = true;
        let from = match from {
            Source::Cache => session.fetched.get(&chunk).copied().unwrap_or(Source::Cache.into()),
            network => *session.fetched.entry(chunk).or_insert(network.into()),
        };
        session.chunks.put(chunk, bytes, from);
        session.wake_readers();
        true
    }
}

pub async fn is_right(bytes: &Uint8Array, hash: Option<ChunkHash>) -> bool {
    match (sha256(bytes).await, hash) {
        (Ok(actual), Some(expected)) => actual == expected,
        _ => false,
    }
}

/// What `future` gives, or [`Error::Unavailable`] after `ms`.
async fn within<T>(ms: u32, future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let (late, timed_out) = oneshot::channel::<()>();
    let _timer = Timeout::new(ms, move || {
        let _ = late.send(());
    });
    futures::pin_mut!(future);
    match futures::future::select(future, timed_out).await {
        futures::future::Either::Left((result, _)) => result,
        futures::future::Either::Right(_) => Err(Error::Unavailable),
    }
}
