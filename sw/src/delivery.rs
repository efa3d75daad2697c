//! From a fetch event to a streamed response.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use dcdn_protocol::message::shim::{PageEvent, ToShim};
use dcdn_protocol::stats::Source;
use dcdn_protocol::{ByteRange, PolicyName};
use dcdn_swarm::{Input, ReaderId};
use futures::channel::oneshot;
use futures::{FutureExt, Stream};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{FetchEvent, Request, Response};

use crate::answer::answer;
use crate::engine::Engine;
use crate::error::Error;
use crate::js::{epoch_ms, property, scope};
use crate::pages::ClientId;
use crate::range::{MEDIA_CAP, RangeSpec};
use crate::route::{self, Asked, CONDITIONS};
use crate::session::{Opening, Reader, SessionId};
use crate::stream;

mod ahead;

/// Milliseconds after its first media request by which a page with our script
/// tag has said hello, on a slow machine too.
const GREETING_MS: u32 = 8000;

/// A request that is ours.
#[derive(Clone)]
struct Call {
    url: String,
    client: ClientId,
    page: String,
    spec: RangeSpec,
    if_range: Option<String>,
    media: bool,
    /// The page wants to know of changes (`cache: "no-cache"`).
    must_check: bool,
    /// One of many that a script plays.
    segment: bool,
}

impl Engine {
    /// Whether the request is one for us to answer. Synchronous, so that the
    /// browser serves all others without us.
    pub fn is_ours(&self, request: &Request) -> bool {
        let url = own_path(request);
        let headers = request.headers();
        let header = |name: &str| headers.get(name).ok().flatten();
        let range = header("Range");
        let asked = Asked {
            is_get: request.method() == "GET",
            url: url.as_deref(),
            destination: &text(request, "destination"),
            cache: &text(request, "cache"),
            authorized: header("Authorization").is_some(),
            has_integrity: !request.integrity().is_empty(),
            is_conditional: CONDITIONS.iter().any(|name| header(name).is_some()),
            range: range.as_deref(),
        };
        let Some(url) = url.as_deref().filter(|_| route::is_ours(&asked)) else { return false };
        let referrer = request.referrer();
        let page = route::path_of(&referrer);
        let in_one_piece = !matches!(asked.destination, "video" | "audio");
        if route::turns_off(&referrer)
            || (in_one_piece && self.is_on_its_own(page) && !self.holds_all(url))
        {
            return false;
        }
        let state = self.state();
        let config = state.site.config_for(page);
        let refused = state.site.is_refused(url, epoch_ms());
        config.enabled && config.policy != PolicyName::Http && !refused
    }

    /// Answers a request that is ours.
    ///
    /// # Errors
    /// What `fetch` would have rejected with.
    pub async fn respond(self: Rc<Self>, event: FetchEvent) -> Result<Response, JsValue> {
        let request = event.request();
        if self.is_ours(&request) {
            match self.deliver(&event).await {
                Ok(response) => return Ok(response),
                Err(Some(response)) => return Ok(response),
                Err(None) => {}
            }
        }
        crate::origin::send(&request).await.map_err(|error| JsValue::from(&error))
    }

    /// The response, or what plain HTTP gives.
    async fn deliver(self: &Rc<Self>, event: &FetchEvent) -> Result<Response, Option<Response>> {
        let call = Call::of(event).ok_or(None)?;
        let (id, cold) = self.open(&call).await;
        let (reader, described) = self.register(&call, id).ok_or(None)?;
        if cold {
            // Beside the origin's first bytes, and asked for after them.
            let engine = Rc::clone(self);
            spawn_local(async move { engine.find_manifest(id, false).await });
        }
        let described = match described {
            Some(waiting) => waiting.await.unwrap_or(Err(None)),
            None => Ok(()),
        };
        if let Err(instead) = described {
            drop(reader);
            return Err(instead);
        }
        self.start_response(&call, reader).map_err(|_| None)
    }

    /// The session that serves the call, and whether its manifest is still to be
    /// looked for. A content that is known is checked for being current before
    /// anything is read.
    async fn open(self: &Rc<Self>, call: &Call) -> (SessionId, bool) {
        if call.must_check {
            self.end_unread(&call.url);
        }
        if let Some((id, settling)) = self.session_for(&call.url, &call.client) {
            if let Some(settled) = settling {
                settled.await;
            }
            return (id, false);
        }
        let (config, known) = {
            let state = self.state();
            (state.site.config_for(&call.page), state.catalogue.urls.contains_key(&call.url))
        };
        let id = self.start_session(&call.url, config, call.segment);
        if known {
            if let Some(offset) = call.spec.start() {
                self.read_early(id, offset);
            }
            let engine = Rc::clone(self);
            let check = call.must_check;
            let settled =
                async move { engine.find_manifest(id, check).await }.boxed_local().shared();
            self.settle(id, Some(settled.clone()));
            settled.await;
            self.settle(id, None);
        }
        (id, !known)
    }

    /// Puts a reader on the session. Returns it with the wait for the session's
    /// description, if that is not there yet.
    fn register(
        self: &Rc<Self>,
        call: &Call,
        id: SessionId,
    ) -> Option<(OpenReader, Option<oneshot::Receiver<Opening>>)> {
        let (reader, waiting, policy) = {
            let state = &mut *self.state();
            let session = state.sessions.get_mut(&id)?;
            let start = match (call.spec.start(), &session.meta) {
                (Some(start), _) => start,
                (None, Some(meta)) => match call.spec.resolve(meta.length, call.media) {
                    crate::range::Resolved::Part(range) => range.start,
                    _ => return None,
                },
                // The end of something of unknown length: the origin knows.
                (None, None) => return None,
            };
            let end = match call.spec {
                RangeSpec::Closed(_, last) => last.saturating_add(1),
                RangeSpec::From(first) if call.media => first.saturating_add(MEDIA_CAP),
                _ => u64::MAX,
            };
            let range = ByteRange::new(start, end);
            let waiting = session.meta.is_none().then(|| {
                let (described, waiting) = oneshot::channel();
                session.waiting.push(described);
                waiting
            });
            let reader = ReaderId(state.next_reader);
            state.next_reader += 1;
            session.readers.insert(
                reader,
                Reader {
                    client: call.client.clone(),
                    position: range.start,
                    end: range.end,
                    goes_on: call.media && matches!(call.spec, RangeSpec::From(_)),
                    waker: None,
                },
            );
            (reader, waiting, session.config.policy)
        };
        self.state().pages.tally(&call.client).requested(&call.url, policy, epoch_ms());
        self.begin_work();
        let open = OpenReader { engine: Rc::clone(self), id, reader };
        self.reader_opened(id, reader);
        self.join(id);
        self.note_silent_page(id, call);
        Some((open, waiting))
    }

    /// A page that never says hello looks for no peers, and its readers need not
    /// wait for any, unless another tab looks for them. It is given [`GREETING_MS`]
    /// once; after that it is known.
    fn note_silent_page(self: &Rc<Self>, id: SessionId, call: &Call) {
        let (has_port, silent, has_helper) = {
            let state = self.state();
            let has_port = state.pages.get(&call.client).is_some();
            let has_helper = state.pages.greeted().any(|(_, page)| !page.no_peers);
            (has_port, state.site.is_silent(&call.page), has_helper)
        };
        if has_port {
            return;
        }
        if silent && !has_helper {
            self.feed(id, Input::Expecting { peers: 0 });
            return;
        }
        if silent || !self.state().pages.wait_for(&call.client) {
            return;
        }
        let (engine, client, page) = (Rc::clone(self), call.client.clone(), call.page.clone());
        spawn_local(async move {
            gloo_timers::future::TimeoutFuture::new(GREETING_MS).await;
            // A page that has been left meanwhile had no time to say anything.
            let is_there = exists(&client).await;
            let news = {
                let state = &mut *engine.state();
                let in_vain = state.pages.waited_in_vain(&client);
                in_vain && is_there && state.site.page_is_silent(&page)
            };
            if news {
                engine.save_site();
            }
        });
    }

    fn start_response(self: &Rc<Self>, call: &Call, open: OpenReader) -> Result<Response, Error> {
        let answer = {
            let mut state = self.state();
            let session = state.sessions.get_mut(&open.id).ok_or(Error::Unavailable)?;
            let meta = session.meta.as_ref().ok_or(Error::Unavailable)?;
            let answer = answer(call.spec, call.if_range.as_deref(), meta, call.media);
            let reader = session.readers.get_mut(&open.reader).ok_or(Error::Unavailable)?;
            reader.position = answer.range.start;
            reader.end = answer.range.end;
            reader.goes_on &= answer.status == 206;
            answer
        };
        if answer.status == 416 {
            return answer.response(None);
        }
        if answer.status == 200 && call.spec != RangeSpec::Whole {
            // Another version than the page has: everything instead of the range.
            self.feed_reader(open.id, open.reader, &Input::ReaderClosed { reader: open.reader });
            self.reader_opened(open.id, open.reader);
        }
        if answer.range.is_empty() {
            self.count(&open, answer.range, Source::Http);
        }
        answer.response(Some(&stream::body(open)?))
    }

    /// The next bytes for a reader, or `None` at its end.
    fn poll_reader(
        self: &Rc<Self>,
        open: &OpenReader,
        context: &Context<'_>,
    ) -> Poll<Option<Result<JsValue, JsValue>>> {
        let (view, range, source) = {
            let mut state = self.state();
            let Some(session) = state.sessions.get_mut(&open.id) else {
                // Not a clean end: the page must not take this for the whole.
                return Poll::Ready(Some(Err(JsValue::from(&Error::Unavailable))));
            };
            let (Some(layout), Some(reader)) =
                (session.layout, session.readers.get_mut(&open.reader))
            else {
                return Poll::Ready(Some(Err(JsValue::from(&Error::Unavailable))));
            };
            if reader.position >= reader.end {
                return Poll::Ready(None);
            }
            match session.chunks.read(layout, reader.position, reader.end) {
                Some((view, source)) => {
                    let start = reader.position;
                    reader.position += u64::from(view.length());
                    (view, ByteRange::new(start, reader.position), source)
                }
                None => {
                    reader.waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        self.count(open, range, source);
        let (reader, position) = (open.reader, range.end);
        self.feed_reader(open.id, reader, &Input::ReaderAdvanced { reader, position });
        Poll::Ready(Some(Ok(view.into())))
    }

    /// Enters a delivery into the page's statistics and tells the page.
    fn count(&self, open: &OpenReader, range: ByteRange, source: Source) {
        let state = &mut *self.state();
        let Some(session) = state.sessions.get(&open.id) else { return };
        let (Some(meta), Some(reader)) = (&session.meta, session.readers.get(&open.reader)) else {
            return;
        };
        let url = session.url.clone();
        let tally = state.pages.tally(&reader.client);
        let delivered = tally.delivered(&url, range, meta.length, source, epoch_ms());
        let Some(page) = state.pages.get(&reader.client) else { return };
        if delivered.is_news {
            page.post(&ToShim::Event {
                event: PageEvent::Progress {
                    url: url.clone(),
                    loaded: delivered.loaded,
                    total: meta.length,
                    source,
                },
            });
        }
        if delivered.completed {
            page.post(&ToShim::Event { event: PageEvent::Done { url } });
        }
    }

    /// Something begins for which pages must keep the worker alive.
    pub fn begin_work(self: &Rc<Self>) {
        self.watch_silence();
        let mut state = self.state();
        state.open_readers += 1;
        if state.open_readers == 1 {
            state.pages.tell_busy(true);
        }
    }

    /// It has ended.
    pub fn end_work(&self) {
        let mut state = self.state();
        state.open_readers -= 1;
        if state.open_readers == 0 {
            state.until_idle.clear();
            state.pages.tell_busy(false);
        }
    }

    fn reader_closed(self: &Rc<Self>, id: SessionId, reader: ReaderId) {
        self.end_work();
        if let Some(session) = self.state().sessions.get_mut(&id) {
            session.readers.remove(&reader);
        }
        self.feed_reader(id, reader, &Input::ReaderClosed { reader });
        self.linger(id);
    }
}

/// A reader as a stream of `Uint8Array`s. Dropped when the response has been
/// read, or when the page lets it go, which stops what it still wanted.
struct OpenReader {
    engine: Rc<Engine>,
    id: SessionId,
    reader: ReaderId,
}

impl Stream for OpenReader {
    type Item = Result<JsValue, JsValue>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.engine.poll_reader(&self, context)
    }
}

impl Drop for OpenReader {
    fn drop(&mut self) {
        // The engine may be in the middle of something that drops us.
        let (engine, id, reader) = (Rc::clone(&self.engine), self.id, self.reader);
        spawn_local(async move { engine.reader_closed(id, reader) });
    }
}

impl Call {
    fn of(event: &FetchEvent) -> Option<Self> {
        let request = event.request();
        let header = |name: &str| request.headers().get(name).ok().flatten();
        let destination = text(&request, "destination");
        let url = own_path(&request)?;
        Some(Self {
            segment: route::is_segment(&destination, &url, header("Range").is_some()),
            url,
            client: event.client_id().unwrap_or_default(),
            page: route::path_of(&request.referrer()).to_owned(),
            spec: RangeSpec::parse(header("Range").as_deref()),
            if_range: header("If-Range"),
            media: matches!(destination.as_str(), "video" | "audio"),
            must_check: text(&request, "cache") == "no-cache",
        })
    }
}

/// Whether a page is still open.
async fn exists(client: &str) -> bool {
    let found = JsFuture::from(scope().clients().get(client)).await;
    found.is_ok_and(|client| !client.is_undefined())
}

/// Path and query of a request to our own origin without credentials in its URL.
fn own_path(request: &Request) -> Option<String> {
    let url = request.url();
    let origin = scope().location().origin();
    let rest = url.strip_prefix(&origin)?;
    rest.starts_with('/').then(|| rest.split('#').next().unwrap_or(rest).to_owned())
}

fn text(request: &Request, name: &str) -> String {
    property(request, name).as_string().unwrap_or_default()
}
