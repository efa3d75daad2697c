//! Several URLs of one content share one transfer: a session that learns that another one
//! with readers has its content follows that one.
//!
//! What its URL alone decides stays with the session: the responses' headers, its readers,
//! what pages are told, whether it is current. Its core takes the content for stored, and
//! what it would read from the store comes from the session that it follows, which knows of
//! its readers and has their deadlines. Only what has the hash that it should have is passed
//! on: what the server says about one URL does not go for another. If the other session ends,
//! this one goes on by itself.

use std::rc::Rc;

use dcdn_protocol::stats::Source;
use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet};
use dcdn_swarm::{Input, ReaderId};
use js_sys::Uint8Array;
use wasm_bindgen_futures::spawn_local;

use crate::engine::Engine;
use crate::session::{Reader, Session, SessionId};

impl Engine {
    /// Has a session with a content follow another one with the same, if there is one that is
    /// read. Whether it does from now on.
    pub fn follow(self: &Rc<Self>, id: SessionId) -> bool {
        let readers: Vec<ReaderId> = {
            let state = &mut *self.state();
            let content = state.sessions.get(&id).and_then(Session::content);
            let leads = |(other, it): &(&SessionId, &Session)| {
                **other != id
                    && content.is_some()
                    && it.content() == content
                    && it.follows.is_none()
                    && !it.personal
                    && !it.readers.is_empty()
            };
            let leader = state.sessions.iter().find(leads).map(|(leader, _)| *leader);
            let Some(session) = state.sessions.get_mut(&id) else { return false };
            session.follows = leader;
            if leader.is_none() {
                return false;
            }
            session.readers.keys().copied().collect()
        };
        for reader in readers {
            self.tell_leader(id, reader, &self.opened(id, reader));
        }
        true
    }

    /// The session goes on by itself, if it has followed another one.
    pub fn unfollow(self: &Rc<Self>, id: SessionId) {
        let (leader, readers, awaited, lacking) = {
            let state = &mut *self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return };
            let Some(leader) = session.follows.take() else { return };
            let held = session.content().map(|content| state.catalogue.chunks(content));
            let count = session.layout.map_or(0, |layout| layout.chunk_count());
            let lacking = ChunkSet::full(count).without(&held.unwrap_or_default());
            let readers: Vec<ReaderId> = session.readers.keys().copied().collect();
            (leader, readers, std::mem::take(&mut session.awaited), lacking)
        };
        for reader in readers {
            if let Some(leader) = self.state().sessions.get_mut(&leader) {
                leader.readers.remove(&reader);
            }
            self.feed(leader, Input::ReaderClosed { reader });
        }
        self.linger(leader);
        let stored = awaited.into_iter().filter(|chunk| !lacking.contains(*chunk));
        for chunk in stored {
            let engine = Rc::clone(self);
            spawn_local(async move { engine.read_store(id, chunk).await });
        }
        self.feed(id, Input::StoreMissing { chunks: lacking });
    }

    /// The sessions that follow this one go on without it.
    pub fn lead_no_more(self: &Rc<Self>, id: SessionId) {
        for follower in self.sessions_where(|it| it.follows == Some(id)) {
            self.unfollow(follower);
        }
    }

    /// If the session follows another one, a chunk comes from there instead of the store:
    /// now, or when it is there. Whether that is so.
    pub fn await_from_leader(self: &Rc<Self>, id: SessionId, chunk: ChunkIndex) -> bool {
        let (leader, proven) = {
            let mut state = self.state();
            let Some(session) = state.sessions.get_mut(&id) else { return false };
            let Some(leader) = session.follows else { return false };
            session.awaited.insert(chunk);
            let leading = state.sessions.get(&leader);
            (leader, leading.and_then(|leading| leading.chunks.proven(chunk)))
        };
        if let Some(bytes) = proven {
            self.share(leader, chunk, &bytes);
        }
        true
    }

    /// A chunk is there and right: for the sessions that follow this one, too.
    pub fn share(self: &Rc<Self>, id: SessionId, chunk: ChunkIndex, bytes: &Uint8Array) {
        for to in self.sessions_where(|it| it.follows == Some(id) && it.awaited.contains(&chunk)) {
            if let Some(session) = self.state().sessions.get_mut(&to) {
                session.awaited.remove(&chunk);
            }
            if self.accept(to, chunk, bytes.clone(), Source::Cache) {
                self.feed(to, Input::Ready { chunk, from: None });
            }
        }
    }

    /// Tells a session's core that a reader has begun to read.
    pub fn reader_opened(self: &Rc<Self>, id: SessionId, reader: ReaderId) {
        self.feed_reader(id, reader, &self.opened(id, reader));
    }

    /// Tells a session's core what a reader does, and that of the session that it follows.
    pub fn feed_reader(self: &Rc<Self>, id: SessionId, reader: ReaderId, input: &Input) {
        self.feed(id, input.clone());
        self.tell_leader(id, reader, input);
    }

    fn opened(&self, id: SessionId, reader: ReaderId) -> Input {
        let state = self.state();
        let found = state.sessions.get(&id).and_then(|session| session.readers.get(&reader));
        let (range, goes_on) = found.map_or((ByteRange::new(0, 0), false), |it| {
            (ByteRange::new(it.position, it.end), it.goes_on)
        });
        Input::ReaderOpened { reader, range, goes_on }
    }

    fn tell_leader(self: &Rc<Self>, id: SessionId, reader: ReaderId, input: &Input) {
        let leader = {
            let state = &mut *self.state();
            let Some(session) = state.sessions.get(&id) else { return };
            let Some(leader) = session.follows else { return };
            let copy = session.readers.get(&reader).cloned();
            let Some(leading) = state.sessions.get_mut(&leader) else { return };
            match copy {
                Some(copy) => leading.readers.insert(reader, Reader { waker: None, ..copy }),
                None => leading.readers.remove(&reader),
            };
            leader
        };
        self.feed(leader, input.clone());
        match input {
            Input::ReaderOpened { .. } => self.join(leader),
            Input::ReaderClosed { .. } => self.linger(leader),
            _ => {}
        }
    }
}
