//! Whoever begins to read in the middle of a chunk gets its bytes from there on first. What
//! is before them is fetched afterwards, since only a whole chunk can be verified and kept.

use std::rc::Rc;

use dcdn_protocol::stats::Source;
use dcdn_protocol::{ByteRange, ChunkIndex, Manifest};
use dcdn_swarm::{Input, OriginRequest};
use futures::channel::oneshot;
use wasm_bindgen_futures::spawn_local;
use web_sys::AbortController;

use crate::chunks::Tail;
use crate::content::is_right;
use crate::engine::Engine;
use crate::error::Error;
use crate::js::body_of;
use crate::origin::{self, Answer, Meta};
use crate::session::{ManifestState, Session, SessionId};

/// Tails that wait for a manifest at the most: 2 MiB.
const MAX_TAILS: usize = 8;

impl Engine {
    /// The origin has sent a chunk from where a reader began to its end.
    pub fn note_tail(self: &Rc<Self>, id: SessionId, chunk: ChunkIndex) -> Option<Tail> {
        let tail = {
            let mut state = self.state();
            let session = state.sessions.get_mut(&id)?;
            let tail = session.chunks.tail(chunk)?;
            let may_be_kept = !matches!(session.manifest, ManifestState::Unavailable);
            if may_be_kept && session.tails.len() < MAX_TAILS {
                session.tails.push(tail.clone());
            }
            tail
        };
        self.complete_tails(id);
        Some(tail)
    }

    /// Fetches what chunks lack before the place where a reader began, if there is a
    /// manifest to verify them with.
    pub fn complete_tails(self: &Rc<Self>, id: SessionId) {
        let (url, manifest, tails) = {
            let mut state = self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return };
            let Some(manifest) = session.manifest().filter(|_| !session.personal) else { return };
            let manifest = Rc::clone(manifest);
            (session.url.clone(), manifest, std::mem::take(&mut session.tails))
        };
        for tail in tails {
            let (engine, url, manifest) = (Rc::clone(self), url.clone(), Rc::clone(&manifest));
            spawn_local(async move {
                let chunk = tail.index;
                // What fails costs the store a chunk, and no reader anything.
                if let Ok(true) = complete(&url, &manifest, &tail).await {
                    if let Some(session) = engine.state().sessions.get_mut(&id) {
                        session.fetched.insert(chunk, Source::Http.into());
                    }
                    engine.has_whole(id, &tail);
                    engine.keep(manifest.content_id(), chunk, &tail.bytes).await;
                } else if let Some(session) = engine.state().sessions.get_mut(&id) {
                    session.let_go_of_tail(chunk);
                }
            });
        }
    }

    /// A tail has become a whole chunk: for readers, if any need it still.
    fn has_whole(self: &Rc<Self>, id: SessionId, tail: &Tail) {
        let chunk = tail.index;
        {
            let mut state = self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return };
            session.let_go_of_tail(chunk);
            if !session.chunks.complete(tail) {
                return;
            }
        }
        self.feed(id, Input::Ready { chunk, from: None });
        self.share(id, chunk, &tail.bytes);
    }

    /// Waits until nobody reads a tail, or it is whole, or somebody needs more than that:
    /// until then the core must not think that it has to be asked for again.
    pub async fn until_tail_is_read(&self, id: SessionId, request: OriginRequest, tail: &Tail) {
        loop {
            let (pause, moved) = oneshot::channel::<()>();
            {
                let mut state = self.state();
                let Some(session) = state.sessions.get_mut(&id) else { return };
                let Some(layout) = session.layout else { return };
                let bytes = layout.range_of(tail.index);
                let is_read = session
                    .needed_from(bytes)
                    .is_some_and(|from| from >= bytes.start + u64::from(tail.missing));
                let is_tail = session.chunks.tail(tail.index).is_some();
                if !session.origin.contains_key(&request) || !is_tail || !is_read {
                    return;
                }
                session.paused.push(pause);
            }
            // Ends by being cancelled.
            let _ = moved.await;
        }
    }
}

impl Session {
    /// Frees the memory of a tail that no reader needs any more.
    fn let_go_of_tail(&mut self, chunk: ChunkIndex) {
        let bytes = self.layout.map(|layout| layout.range_of(chunk));
        let is_read = bytes.is_some_and(|bytes| self.needed_from(bytes).is_some());
        if !is_read && self.chunks.tail(chunk).is_some() {
            self.chunks.release(chunk, false);
        }
    }
}

/// Fetches the beginning of a chunk into its place. Whether the chunk is right then.
async fn complete(url: &str, manifest: &Manifest, tail: &Tail) -> Result<bool, Error> {
    let start = manifest.layout.range_of(tail.index).start;
    let range = ByteRange::new(start, start + u64::from(tail.missing));
    let version = Meta::of_manifest(manifest);
    let signal = AbortController::new()?.signal();
    let answer = origin::fetch_range(url, range, Some(&version), &signal).await?;
    let Answer::Content { range: got, ranges: true, meta, response, .. } = answer else {
        return Ok(false);
    };
    if got != range || !meta.may_be(&version) {
        return Ok(false);
    }
    let beginning = body_of(&response).await?;
    if beginning.length() != tail.missing {
        return Ok(false);
    }
    tail.bytes.set(&beginning, 0);
    Ok(is_right(&tail.bytes, manifest.hash_of(tail.index)).await)
}
