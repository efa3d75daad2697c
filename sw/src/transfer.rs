//! What the origin sends, on its way into a session's chunks.

use std::rc::Rc;

use dcdn_protocol::stats::Source;
use dcdn_protocol::{ByteRange, ChunkIndex, Layout};
use dcdn_swarm::{Input, OriginRequest};
use futures::channel::oneshot;
use js_sys::Uint8Array;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, AbortSignal, Response};

use crate::chunks::Complete;
use crate::engine::Engine;
use crate::error::Error;
use crate::origin::{self, Answer, Meta};
use crate::session::SessionId;
use crate::stream::Pieces;

impl Engine {
    /// Asks the origin for a range, and tells the core how it goes.
    pub fn fetch_origin(self: &Rc<Self>, id: SessionId, request: OriginRequest, range: ByteRange) {
        let Ok(abort) = AbortController::new() else { return };
        let signal = abort.signal();
        if let Some(session) = self.state().sessions.get_mut(&id) {
            session.origin.insert(request, abort);
        }
        let engine = Rc::clone(self);
        spawn_local(async move {
            let outcome = engine.stream_origin(id, request, range, &signal).await;
            let under_way = match engine.state().sessions.get_mut(&id) {
                Some(session) => session.origin.remove(&request).is_some(),
                None => false,
            };
            match outcome {
                _ if !under_way => {}
                Ok(()) => engine.feed(id, Input::OriginDone { request }),
                Err(error @ Error::Changed) => engine.fail(id, &error),
                Err(_) => engine.feed(id, Input::OriginFailed { request }),
            }
        });
    }

    /// Reads one answer of the origin into the session's chunks.
    async fn stream_origin(
        self: &Rc<Self>,
        id: SessionId,
        request: OriginRequest,
        range: ByteRange,
        signal: &AbortSignal,
    ) -> Result<(), Error> {
        let (url, version, begins) = match self.state().sessions.get(&id) {
            Some(session) => (session.url.clone(), session.meta.clone(), session.begins_at(range)),
            None => return Ok(()),
        };
        let skips = begins > range.start;
        let range = ByteRange::new(begins, range.end);
        let named = version.as_ref().is_some_and(Meta::can_be_named);
        let answer = origin::fetch_range(&url, range, version.as_ref(), signal).await;
        let cold = match self.state().sessions.get_mut(&id) {
            // Taken back meanwhile.
            Some(session) if !session.origin.contains_key(&request) => return Ok(()),
            Some(session) => session.meta.is_none(),
            None => return Ok(()),
        };
        let (got, ranges, meta, shared, response) = match answer {
            Ok(Answer::Content { range, ranges, meta, shared, response }) => {
                (range, ranges, meta, shared, response)
            }
            Ok(Answer::Other(response)) if cold => {
                // A refusal of our Range is not what the page asked for.
                let as_asked = !matches!(response.status(), 206 | 416);
                self.pass_on(id, request, as_asked.then_some(response));
                return Ok(());
            }
            // Plain HTTP may succeed where a request in same-origin mode does not,
            // with a redirect to another origin for one.
            Err(_) if cold => {
                self.pass_on(id, request, None);
                return Ok(());
            }
            Ok(Answer::Other(response)) if response.status() == 200 => return Err(Error::Changed),
            Ok(Answer::Other(response)) => return Err(Error::Status { status: response.status() }),
            Err(error) => return Err(error),
        };
        if cold && !meta.can_be_named() {
            // Another request might be answered with other bytes, and nothing would tell.
            self.leave_to_browser(&url);
            self.pass_on(id, request, (!ranges).then_some(response));
            return Ok(());
        }
        if !shared {
            self.keep_to_ourselves(id);
        }
        // 206 is said of the version that was named, with or without its validators.
        let (layout, new) = self.agree_on_version(id, meta, named && ranges)?;
        self.feed(id, Input::OriginAnswered { request, ranges });
        if new {
            self.feed(id, Input::Described { layout });
        }
        let end = if ranges { range.end.min(layout.length()) } else { layout.length() };
        let Some(body) = response.body() else { return Err(Error::Short) };

        let mut body = Pieces::of(&body);
        let mut offset = got.start;
        let mut tail = None;
        if skips && let Some(session) = self.state().sessions.get_mut(&id) {
            session.chunks.begin_at(layout, offset);
        }
        loop {
            if !ranges && offset < end {
                self.until_wanted(id, request, layout.chunk_at(offset)).await;
            }
            let Some(piece) = body.next().await else { break };
            let piece: Uint8Array = piece?.unchecked_into();
            let complete = {
                let mut state = self.state();
                let Some(session) = state.sessions.get_mut(&id) else { return Ok(()) };
                if !session.origin.contains_key(&request) {
                    return Ok(());
                }
                let complete = session.chunks.fill(layout, offset, &piece);
                session.wake_readers();
                complete
            };
            offset += u64::from(piece.length());
            for chunk in complete {
                match chunk {
                    Complete::Whole(chunk) => {
                        if let Some(session) = self.state().sessions.get_mut(&id) {
                            session.fetched.insert(chunk, Source::Http.into());
                        }
                        self.feed(id, Input::Ready { chunk, from: None });
                        self.check_origin_chunk(id, chunk);
                    }
                    Complete::Mixed(chunk) => self.check_mixed_chunk(id, chunk).await,
                    Complete::Tail(chunk) => tail = self.note_tail(id, chunk),
                }
            }
        }
        if offset < end {
            return Err(Error::Short);
        }
        if let Some(tail) = tail {
            self.until_tail_is_read(id, request, &tail).await;
        }
        Ok(())
    }

    /// Waits until readers want `chunk`, or `request` is of no more interest: an
    /// answer that is the whole content must not be read faster than they read.
    async fn until_wanted(&self, id: SessionId, request: OriginRequest, chunk: ChunkIndex) {
        loop {
            let (pause, moved) = oneshot::channel::<()>();
            {
                let mut state = self.state();
                let Some(session) = state.sessions.get_mut(&id) else { return };
                if !session.origin.contains_key(&request) || session.download.wants(chunk) {
                    return;
                }
                session.paused.push(pause);
            }
            // Ends by being cancelled.
            let _ = moved.await;
        }
    }

    /// As [`Engine::pass`]; `response` is that of `request`.
    fn pass_on(self: &Rc<Self>, id: SessionId, request: OriginRequest, response: Option<Response>) {
        let abort = self.state().sessions.get_mut(&id).and_then(|it| it.origin.remove(&request));
        // What the page reads now must not be aborted with the session; of anything else
        // no more need come.
        if let Some(abort) = abort.filter(|_| response.is_none()) {
            abort.abort();
        }
        self.pass(id, response);
    }

    /// All answers of the origin within a session must be of one version, which the origin
    /// has `confirmed` or says with validators. Returns its layout, and whether that has just
    /// become known.
    fn agree_on_version(
        self: &Rc<Self>,
        id: SessionId,
        meta: Meta,
        confirmed: bool,
    ) -> Result<(Layout, bool), Error> {
        let layout = {
            let mut state = self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return Err(Error::Unavailable) };
            match (&session.meta, session.layout) {
                (Some(known), Some(layout))
                    if known.same_version(&meta) || confirmed && known.may_be(&meta) =>
                {
                    return Ok((layout, false));
                }
                (Some(known), _) => {
                    let is_unknown = known.may_be(&meta);
                    let url = session.url.clone();
                    drop(state);
                    if is_unknown {
                        self.leave_to_browser(&url);
                    }
                    return Err(Error::Changed);
                }
                (None, _) => session.describe(meta, None),
            }
        };
        let Some(layout) = layout else {
            self.pass(id, None);
            return Err(Error::Unavailable);
        };
        Ok((layout, true))
    }
}
