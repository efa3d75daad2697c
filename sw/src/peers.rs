//! Peers and the sessions that they may serve: who is there, what is asked of them,
//! what becomes of it.

use std::rc::Rc;
use std::time::Duration;

use dcdn_protocol::message::peer::ChunkFailReason;
use dcdn_protocol::message::shim::ToShim;
use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, PeerId};
use dcdn_swarm::{Input, Link};
use gloo_timers::future::TimeoutFuture;
use js_sys::{ArrayBuffer, Uint8Array};
use vecmap::VecSet;
use wasm_bindgen_futures::spawn_local;

use crate::chunks::Chunk;
use crate::engine::{Asked, Engine};
use crate::js::now;
use crate::pages::{ClientId, Page, Pages};
use crate::session::{Session, SessionId};

/// Least time between two requests of one session for other peers.
const FIND_INTERVAL: Duration = Duration::from_secs(5);

/// How long a page may take to hand over what has come of a late chunk, in
/// milliseconds. It has nothing to wait for, so one that takes longer hangs.
const SALVAGE_PATIENCE_MS: u32 = 500;

impl Engine {
    /// Lets the pages of a session's readers look for peers, or another tab if none of
    /// them can.
    pub fn join(self: &Rc<Self>, id: SessionId) {
        {
            let state = &mut *self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return };
            let Some(content) = session.content() else { return };
            let want = session.want();
            for client in looking(session, &state.pages) {
                let Some(page) = state.pages.get(&client) else { continue };
                if session.joined.insert(client) && session.follows.is_none() {
                    page.post(&ToShim::Have { content, chunks: state.catalogue.chunks(content) });
                    page.post(&ToShim::Join { content, want });
                }
            }
        }
        self.expect(id);
    }

    /// Does [`Engine::join`] for every session that is read, after a page has gone that
    /// may have looked for peers for it.
    pub fn join_again(self: &Rc<Self>) {
        for id in self.sessions_where(|session| !session.readers.is_empty()) {
            self.join(id);
        }
    }

    /// Lets the pages that look for peers for a session ask for others.
    pub fn find_peers(&self, id: SessionId) {
        let state = &mut *self.state();
        let Some(session) = state.sessions.get_mut(&id) else { return };
        let Some(content) = session.content() else { return };
        if session.asked_for_peers.is_some_and(|at| now() - at < FIND_INTERVAL) {
            return;
        }
        session.asked_for_peers = Some(now());
        let want = session.want();
        for page in session.joined.iter().filter_map(|client| state.pages.get(client)) {
            page.post(&ToShim::Join { content, want });
        }
    }

    /// Tells a session's core how many peers may yet serve, if that is known.
    pub fn expect(self: &Rc<Self>, id: SessionId) {
        let peers = {
            let state = self.state();
            let Some(session) = state.sessions.get(&id) else { return };
            let Some(content) = session.content() else { return };
            let may_serve = |client: &String| match state.pages.get(client) {
                Some(page) if !page.no_peers => {
                    // Until the page has an answer, there may be somebody.
                    page.expecting.get(&content).copied().unwrap_or(1)
                }
                _ => 0,
            };
            let pages = &session.joined;
            (!pages.is_empty()).then(|| pages.iter().map(may_serve).sum())
        };
        if let Some(peers) = peers {
            self.feed(id, Input::Expecting { peers });
        }
    }

    /// A page's connection to a peer has opened.
    pub fn peer_up(
        self: &Rc<Self>,
        client: &str,
        peer: PeerId,
        me: PeerId,
        expected: Vec<(ContentId, ChunkSet)>,
    ) {
        let Some(link) = self.state().pages.link_up(client, peer, me, expected) else { return };
        // Those without a content yet hear of it when they have one.
        for id in self.sessions_where(|session| session.content().is_some()) {
            self.introduce(id, link);
        }
    }

    /// Tells a session that has just got its content of every connection there is,
    /// and of what is known to be held at their other ends.
    pub fn introduce_all(self: &Rc<Self>, id: SessionId) {
        let (links, holders) = {
            let state = self.state();
            let content = state.sessions.get(&id).and_then(Session::content);
            let links: Vec<Link> = state.pages.links().collect();
            (links, content.map(|content| state.pages.holders(content)).unwrap_or_default())
        };
        for link in links {
            self.introduce(id, link);
        }
        for (link, chunks) in holders {
            self.feed(id, Input::LinkHas { link, chunks });
        }
    }

    fn introduce(self: &Rc<Self>, id: SessionId, link: Link) {
        let up = {
            let state = self.state();
            let content = state.sessions.get(&id).and_then(Session::content);
            let (Some(content), Some(ends)) = (content, state.pages.ends(link)) else { return };
            let expected = state.pages.expected(link, content);
            Input::LinkUp { link, me: ends.me, peer: ends.peer, expected }
        };
        self.feed(id, up);
    }

    /// A peer has said what it holds of a content.
    pub fn peer_has(
        self: &Rc<Self>,
        client: &str,
        peer: PeerId,
        content: ContentId,
        chunks: &ChunkSet,
    ) {
        let link = {
            let mut state = self.state();
            let Some(link) = state.pages.link(client, peer) else { return };
            state.pages.peer_has(link, content, chunks.clone());
            link
        };
        let chunks = chunks.clone();
        self.feed_where(|it| it.content() == Some(content), &Input::LinkHas { link, chunks });
    }

    /// Does [`Engine::expect`] for every session that `client` looks for peers for.
    pub fn expect_all(self: &Rc<Self>, client: &str) {
        for id in self.sessions_where(|session| session.joined.contains(client)) {
            self.expect(id);
        }
    }

    /// Connections are gone, and all that was asked over them.
    pub fn links_gone(self: &Rc<Self>, gone: &[Link]) {
        for link in gone {
            {
                let mut state = self.state();
                state.network.remove(*link);
                state.requested.retain(|(asked, _, _), _| asked != link);
            }
            self.feed_where(|_| true, &Input::LinkDown { link: *link });
        }
    }

    /// Asks a peer for a chunk.
    pub fn request_chunk(self: &Rc<Self>, id: SessionId, link: Link, chunk: ChunkIndex) {
        let mut state = self.state();
        let asked = state
            .sessions
            .get(&id)
            .and_then(|session| Some((session.content()?, session.layout?.size_of(chunk))));
        if let (Some((content, size)), Some((page, peer))) = (asked, state.pages.at(link)) {
            page.post(&ToShim::Request { peer, content, chunk, size });
            let asked = Asked { by: id, salvaging: false };
            state.requested.insert((link, content, chunk), asked);
            return;
        }
        drop(state);
        // Not from within the core's own turn.
        let engine = Rc::clone(self);
        spawn_local(async move {
            engine.feed(id, Input::LinkFailed { link, chunk, reason: ChunkFailReason::Broken });
        });
    }

    /// A chunk has come from a peer, unverified.
    pub fn peer_chunk(self: &Rc<Self>, link: Link, content: ContentId, chunk: Chunk) {
        let asked = self.state().requested.remove(&(link, content, chunk.index));
        // Without an entry it has been taken back, and was accounted for then.
        let Some(asked) = asked else { return };
        let engine = Rc::clone(self);
        spawn_local(async move { engine.check_peer_chunk(asked.by, link, chunk).await });
    }

    /// Takes back a request that is late, for what has come of the chunk's beginning.
    ///
    /// The core hears how it ends in any case: from the page, with the connection's
    /// end, or, if the page does nothing, after [`SALVAGE_PATIENCE_MS`].
    pub fn salvage(self: &Rc<Self>, id: SessionId, link: Link, chunk: ChunkIndex) {
        let key = {
            let state = &mut *self.state();
            let found = state
                .requested
                .iter_mut()
                .find(|((over, _, what), asked)| (*over, *what, asked.by) == (link, chunk, id));
            // Without an entry the chunk has come, and is being verified.
            let (Some((&key, asked)), Some((page, peer))) = (found, state.pages.at(link)) else {
                return;
            };
            asked.salvaging = true;
            page.post(&ToShim::Salvage { peer, content: key.1, chunk });
            key
        };
        let engine = Rc::clone(self);
        spawn_local(async move {
            TimeoutFuture::new(SALVAGE_PATIENCE_MS).await;
            let waits = engine.state().requested.get(&key).is_some_and(|asked| asked.salvaging);
            if waits {
                engine.salvaged(link, key.1, chunk, None);
            }
        });
    }

    /// A page has taken back a request that was late.
    pub fn salvaged(
        self: &Rc<Self>,
        link: Link,
        content: ContentId,
        chunk: ChunkIndex,
        beginning: Option<&ArrayBuffer>,
    ) {
        let asked = self.state().requested.remove(&(link, content, chunk));
        // Without an entry it has come whole, or was accounted for otherwise.
        let Some(Asked { by, .. }) = asked else { return };
        let kept = {
            let mut state = self.state();
            let Some(session) = state.sessions.get_mut(&by) else { return };
            // What cannot be verified is of no use.
            let layout = session.layout.filter(|_| session.content() == Some(content));
            let beginning = beginning.map(|buffer| Uint8Array::new(buffer));
            beginning
                .zip(layout)
                .filter(|(bytes, layout)| session.chunks.begin(*layout, chunk, bytes, link))
        };
        let received = kept.map_or(0, |(bytes, _)| bytes.length());
        self.feed(by, Input::Salvaged { link, chunk, received });
    }
}

/// The pages that look for peers for a session: those that read from it; if they have
/// no shim, one that has.
fn looking(session: &Session, pages: &Pages) -> Vec<ClientId> {
    let can = |client: &ClientId| pages.get(client).is_some_and(Page::is_greeted);
    let readers: VecSet<ClientId> = session.readers.values().map(|it| it.client.clone()).collect();
    let own: Vec<ClientId> = readers.into_iter().filter(can).collect();
    if !own.is_empty() || session.readers.is_empty() || session.joined.iter().any(can) {
        return own;
    }
    let helper = pages.greeted().find(|(_, page)| !page.no_peers);
    helper.map(|(client, _)| client.clone()).into_iter().collect()
}
