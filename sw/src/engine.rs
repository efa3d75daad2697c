//! The loop: what happens goes into a session's core, the commands that come out
//! are carried out here, one arm each.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;
use vecmap::VecMap;

use dcdn_protocol::message::shim::{PageEvent, ToShim};
use dcdn_protocol::{ChunkIndex, ContentId, SiteConfig};
use dcdn_swarm::{Command, Download, Input, Link, Network, Settings, Timestamp};
use futures::channel::oneshot;
use gloo_timers::callback::Timeout;
use wasm_bindgen_futures::spawn_local;
use web_sys::Response;

use crate::catalogue::Catalogue;
use crate::early::Manifests;
use crate::error::Error;
use crate::js::{now, seed};
use crate::keep::Keeper;
use crate::pages::Pages;
use crate::probe::Probe;
use crate::session::{ManifestState, Session, SessionId, Settling};
use crate::site::Site;

/// How long a session outlives its last reader, in milliseconds: a player that
/// asks range by range, or a page that shows the same picture again, goes on
/// with the same version and the same peers.
const LINGER_MS: u32 = 15_000;

/// The worker's state and the loop around it.
pub struct Engine(RefCell<State>);

/// All that the worker knows.
#[derive(Default)]
pub struct State {
    /// Remembered of the site.
    pub site: Site,
    /// What the store holds.
    pub catalogue: Catalogue,
    /// What is going on in the store.
    pub keeper: Keeper,
    /// The pages.
    pub pages: Pages,
    /// Whether the coordination server answers, if a page will ask for it.
    pub probe: Option<Probe>,
    /// Manifests that need not be read again.
    pub manifests: Manifests,
    /// Conduct of the connections, shared by all cores.
    pub network: Network,
    /// Contents on their way.
    pub sessions: VecMap<SessionId, Session>,
    /// What was asked of peers and is not answered yet.
    pub requested: VecMap<(Link, ContentId, ChunkIndex), Asked>,
    /// Responses being read and errands being run; while there are any, pages keep the
    /// worker alive.
    pub open_readers: usize,
    /// Dropped when there are none any more.
    pub until_idle: Vec<oneshot::Sender<()>>,
    /// When an event was last heard of.
    pub heard: Timestamp,
    /// Whether it is being watched how long that is ago.
    pub watches: bool,
    /// Next reader's number.
    pub next_reader: u32,
    next_session: u32,
}

/// A request to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// By whom.
    pub by: SessionId,
    /// Whether it has been taken back for what has come of the chunk's beginning,
    /// and the page has still to say how much that is.
    pub salvaging: bool,
}

impl Engine {
    /// An engine that remembers `site` and `catalogue`.
    pub fn new(site: Site, catalogue: Catalogue) -> Rc<Self> {
        Rc::new(Self(RefCell::new(State { site, catalogue, ..State::default() })))
    }

    /// The state. Never held across an await or a call to [`Engine::feed`].
    pub fn state(&self) -> RefMut<'_, State> {
        self.0.borrow_mut()
    }

    /// Ends when no response is being read.
    pub async fn idle(&self) {
        let idle = {
            let mut state = self.state();
            if state.open_readers == 0 {
                return;
            }
            let (until_idle, idle) = oneshot::channel();
            state.until_idle.push(until_idle);
            idle
        };
        // Ends by being cancelled.
        let _ = idle.await;
    }

    /// Starts a session. `segment`: for one of the pieces of a film that a player asks for
    /// one after another.
    pub fn start_session(&self, url: &str, config: SiteConfig, segment: bool) -> SessionId {
        let mut state = self.state();
        let id = SessionId(state.next_session);
        state.next_session += 1;
        let mut settings = Settings {
            policy: config.policy,
            slack: Duration::from_millis(config.slack_ms.into()),
            slack_percent: config.slack_percent,
            mixed_http_percent: config.mixed_http_percent,
            among_peers: false,
            seed: seed(),
        };
        if segment {
            settings = settings.for_segment(state.pages.links().next().is_some(), &state.network);
        }
        let session = Session::new(url, config, Download::new(&settings));
        state.sessions.insert(id, session);
        id
    }

    /// Tells a session's core what has happened, and does what it decides.
    pub fn feed(self: &Rc<Self>, id: SessionId, input: Input) {
        let frees_room = input.frees_room();
        self.feed_one(id, input);
        if !frees_room {
            return;
        }
        for other in self.sessions_where(|session| session.download.has_readers()) {
            if other != id {
                self.feed_one(other, Input::Tick);
            }
        }
    }

    /// As [`Engine::feed`] to every session for which `applies` holds.
    pub fn feed_where(self: &Rc<Self>, applies: impl Fn(&Session) -> bool, input: &Input) {
        for id in self.sessions_where(applies) {
            self.feed(id, input.clone());
        }
    }

    /// The sessions for which `applies` holds.
    pub fn sessions_where(&self, applies: impl Fn(&Session) -> bool) -> Vec<SessionId> {
        let state = self.state();
        let found = state.sessions.iter().filter(|(_, session)| applies(session));
        found.map(|(id, _)| *id).collect()
    }

    fn feed_one(self: &Rc<Self>, id: SessionId, input: Input) {
        let commands: Vec<Command> = {
            let state = &mut *self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return };
            session.download.handle(input, now(), &mut state.network);
            std::iter::from_fn(|| session.download.poll_command()).collect()
        };
        for command in commands {
            self.carry_out(id, &command);
        }
        if let Some(session) = self.state().sessions.get_mut(&id) {
            // Dropping what they wait for makes them look again.
            session.paused.clear();
        }
        self.set_timer(id);
    }

    fn carry_out(self: &Rc<Self>, id: SessionId, command: &Command) {
        match *command {
            Command::FetchOrigin { request, range } => self.fetch_origin(id, request, range),
            Command::CancelOrigin { request } => {
                let mut state = self.state();
                let Some(session) = state.sessions.get_mut(&id) else { return };
                if let Some(abort) = session.origin.remove(&request) {
                    abort.abort();
                }
            }
            Command::ReadStore { chunk } => {
                let engine = Rc::clone(self);
                spawn_local(async move { engine.read_store(id, chunk).await });
            }
            Command::RequestChunk { link, chunk } => self.request_chunk(id, link, chunk),
            Command::CancelChunk { link, chunk } => {
                let mut state = self.state();
                let Some(content) = state.sessions.get(&id).and_then(Session::content) else {
                    return;
                };
                state.requested.remove(&(link, content, chunk));
                if let Some((page, peer)) = state.pages.at(link) {
                    page.post(&ToShim::Cancel { peer, content, chunk });
                }
            }
            Command::Salvage { link, chunk } => self.salvage(id, link, chunk),
            Command::FindPeers => self.find_peers(id),
            Command::Ban { link } => {
                let state = self.state();
                let Some((page, peer)) = state.pages.at(link) else { return };
                page.post(&ToShim::Ban { peer });
                if let Some(session) = state.sessions.get(&id) {
                    let message = format!("peer {peer} sent wrong bytes and is banned");
                    let event = PageEvent::Error { url: session.url.clone(), message };
                    page.post(&ToShim::Event { event });
                }
            }
            Command::Release { chunk } => {
                let mut state = self.state();
                let Some(session) = state.sessions.get_mut(&id) else { return };
                let keep = !matches!(session.manifest, ManifestState::Unavailable);
                session.chunks.release(chunk, keep);
            }
            Command::Fail => self.fail(id, &Error::Unavailable),
        }
    }

    fn set_timer(self: &Rc<Self>, id: SessionId) {
        let engine = Rc::clone(self);
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(&id) else { return };
        let due = session.download.poll_timeout();
        if due == session.timer.as_ref().map(|(at, _)| *at) {
            return;
        }
        session.timer = due.map(|at| {
            let wait = u32::try_from((at - now()).as_millis()).unwrap_or(u32::MAX);
            // A timer may fire a fraction of a millisecond early. What it does drops
            // the timer, so that comes after its callback.
            let timer = Timeout::new(wait.saturating_add(1), move || {
                spawn_local(async move { engine.wake(id, at) });
            });
            (at, timer)
        });
    }

    /// The timer for `at` has gone off.
    fn wake(self: &Rc<Self>, id: SessionId, at: Timestamp) {
        if let Some(session) = self.state().sessions.get_mut(&id) {
            session.timer.take_if(|(due, _)| *due == at);
        }
        self.feed(id, Input::Tick);
    }

    /// The page gets what plain HTTP gives: there is nothing here for us. Possible
    /// only before anything has been delivered.
    pub fn pass(self: &Rc<Self>, id: SessionId, response: Option<Response>) {
        let Some(mut session) = self.remove_session(id) else { return };
        let mut response = response;
        for waiting in session.waiting.drain(..) {
            let _ = waiting.send(Err(response.take()));
        }
    }

    /// The content cannot be delivered: readers get an error, never a clean end;
    /// whoever has been given nothing yet gets what plain HTTP gives.
    pub fn fail(self: &Rc<Self>, id: SessionId, error: &Error) {
        let Some(mut session) = self.remove_session(id) else { return };
        let clients: Vec<_> = session.readers.values().map(|it| it.client.clone()).collect();
        session.wake_readers();
        for waiting in session.waiting.drain(..) {
            let _ = waiting.send(Err(None));
        }
        if matches!(error, Error::Changed) {
            self.unname(&session.url);
        }
        let state = self.state();
        let event = PageEvent::Error { url: session.url.clone(), message: error.to_string() };
        for client in clients {
            if let Some(page) = state.pages.get(&client) {
                page.post(&ToShim::Event { event: event.clone() });
            }
        }
    }

    /// Ends a session and all that is under way for it. Those that follow it go on without it.
    pub fn remove_session(self: &Rc<Self>, id: SessionId) -> Option<Session> {
        self.unfollow(id);
        self.lead_no_more(id);
        let state = &mut *self.state();
        let session = state.sessions.remove(&id)?;
        state.keeper.tell_watchers();
        for abort in session.origin.values() {
            abort.abort();
        }
        let asked: Vec<_> = state
            .requested
            .iter()
            .filter(|(_, asked)| asked.by == id)
            .map(|(asked, _)| *asked)
            .collect();
        for (link, content, chunk) in asked {
            state.requested.remove(&(link, content, chunk));
            let size = session.layout.map_or(0, |layout| layout.size_of(chunk));
            state.network.answered(link, size);
            if let Some((page, peer)) = state.pages.at(link) {
                page.post(&ToShim::Cancel { peer, content, chunk });
            }
        }
        Some(session)
    }

    /// Ends the session some time after its last reader.
    pub fn linger(self: &Rc<Self>, id: SessionId) {
        let engine = Rc::clone(self);
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(&id) else { return };
        if session.readers.is_empty() {
            session.linger = Some(Timeout::new(LINGER_MS, move || {
                spawn_local(async move { engine.end_if_unread(id) });
            }));
        }
    }

    fn end_if_unread(self: &Rc<Self>, id: SessionId) {
        let unread = self.state().sessions.get(&id).is_some_and(|it| it.readers.is_empty());
        if unread {
            self.remove_session(id);
        }
    }

    /// Ends the sessions of `url` that nobody reads from: whoever asks next begins anew.
    pub fn end_unread(self: &Rc<Self>, url: &str) {
        for id in self.sessions_where(|it| it.url == url && it.settling.is_none()) {
            self.end_if_unread(id);
        }
    }

    /// A session of `url` that a request of `client` may join, and what it waits
    /// for. A page that is loaded anew starts anew, so that it sees the present
    /// version.
    pub fn session_for(&self, url: &str, client: &str) -> Option<(SessionId, Option<Settling>)> {
        let mut state = self.state();
        let (id, session) = state.sessions.iter_mut().find(|(_, session)| {
            session.url == url && (session.is_in_use() || session.joined.contains(client))
        })?;
        session.linger = None;
        Some((*id, session.settling.clone()))
    }

    /// Notes what a session waits for.
    pub fn settle(&self, id: SessionId, settling: Option<Settling>) {
        if let Some(session) = self.state().sessions.get_mut(&id) {
            session.settling = settling;
        }
    }
}

#[cfg(all(test, target_arch = "wasm32"))]
mod tests;
