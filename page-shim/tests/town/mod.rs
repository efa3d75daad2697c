//! Several nodes in one page, over real connections: their coordination server is
//! a relay in memory, and their workers are lists of what they were told.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::cell::{Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;

use dcdn_page_shim::channel::Outbox;
use dcdn_page_shim::node::{Node, NodeEvent, Outlet};
use dcdn_page_shim::peer::{Connection, ConnectionEvent};
use dcdn_page_shim::task::Task;
use dcdn_protocol::message::coord::{FromCoord, Recommended, Signal, ToCoord};
use dcdn_protocol::message::peer::PeerMessage;
use dcdn_protocol::message::shim::{ToShim, ToWorker};
use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, PeerId, SiteConfig, store};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use gloo_timers::future::TimeoutFuture;
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, Response};

/// Passes signals on, and names everybody who has joined to everybody who joins.
#[derive(Clone, Default)]
pub struct Relay(Rc<RefCell<RelayState>>);

#[derive(Default)]
struct RelayState {
    members: BTreeMap<PeerId, UnboundedSender<FromCoord>>,
    swarms: BTreeMap<ContentId, Vec<Recommended>>,
    offers: BTreeMap<PeerId, Vec<String>>,
}

impl Relay {
    fn enter(&self, peer: PeerId) -> UnboundedReceiver<FromCoord> {
        let (sender, receiver) = unbounded();
        self.0.borrow_mut().members.insert(peer, sender);
        receiver
    }

    fn take(&self, from: PeerId, message: ToCoord) {
        let mut state = self.0.borrow_mut();
        match message {
            ToCoord::Signal { to, signal } => state.send(to, FromCoord::Signal { from, signal }),
            ToCoord::Join { content, want, have } => {
                let swarm = state.swarms.entry(content).or_default();
                let others = swarm.iter().filter(|member| member.peer != from).cloned();
                let peers: Vec<Recommended> = others.take(usize::from(want)).collect();
                swarm.push(Recommended { peer: from, expected: have });
                let ready = state.offers.remove(&from).unwrap_or_default();
                let to: Vec<PeerId> = peers.iter().map(|it| it.peer).take(ready.len()).collect();
                for (&peer, sdp) in to.iter().zip(ready) {
                    state.send(peer, FromCoord::Signal { from, signal: Signal::Offer { sdp } });
                }
                if !to.is_empty() {
                    state.send(from, FromCoord::Offered { to });
                }
                state.send(from, FromCoord::Peers { content, peers });
            }
            ToCoord::Offers { sdps } => {
                state.offers.insert(from, sdps);
            }
            ToCoord::Hello { .. }
            | ToCoord::Have { .. }
            | ToCoord::Leave { .. }
            | ToCoord::Report { .. } => {}
        }
    }
}

impl RelayState {
    fn send(&self, to: PeerId, message: FromCoord) {
        if let Some(member) = self.members.get(&to) {
            // Who has left town gets no mail.
            let _ = member.unbounded_send(message);
        }
    }
}

/// A node, and what its worker hears.
pub struct Resident {
    pub id: PeerId,
    node: Rc<RefCell<Node>>,
    heard: UnboundedReceiver<(ToWorker, Option<ArrayBuffer>)>,
    _task: Task,
}

impl Resident {
    pub fn new(relay: &Relay, id: PeerId, config: &SiteConfig) -> Self {
        let resident = Self::without_socket(relay, id, config);
        resident.open_socket();
        resident
    }

    /// One whose socket is still to open.
    pub fn without_socket(relay: &Relay, id: PeerId, config: &SiteConfig) -> Self {
        let (worker, heard) = unbounded();
        let (events, node_events) = unbounded::<NodeEvent>();
        let from_coord = relay.enter(id);
        let outlet = Rc::new(TestOutlet { id, worker, relay: relay.clone() });
        // What happens to a resident that has left concerns nobody.
        let emit = Rc::new(move |event| drop(events.unbounded_send(event)));
        let node = Rc::new(RefCell::new(Node::new(config, outlet, emit)));
        let looping = Rc::clone(&node);
        let task = Task::spawn(async move {
            let events = node_events.map(Input::Node);
            let mut inputs = futures::stream::select(events, from_coord.map(Input::Coord));
            while let Some(input) = inputs.next().await {
                match input {
                    Input::Node(event) => looping.borrow_mut().on_event(event),
                    Input::Coord(message) => looping.borrow_mut().on_coord(message),
                }
            }
        });
        Self { id, node, heard, _task: task }
    }

    pub fn open_socket(&self) {
        self.node.borrow_mut().on_socket_open();
        self.node.borrow_mut().on_welcome(self.id);
    }

    pub fn node(&self) -> Ref<'_, Node> {
        self.node.borrow()
    }

    pub fn node_mut(&self) -> RefMut<'_, Node> {
        self.node.borrow_mut()
    }

    /// The worker says something.
    pub fn say(&self, message: ToShim) {
        self.node.borrow_mut().on_worker(message);
    }

    /// Waits for the next thing that the worker hears of which `want` makes something.
    pub async fn hear<T>(
        &mut self,
        mut want: impl FnMut(&ToWorker, Option<&ArrayBuffer>) -> Option<T>,
    ) -> T {
        loop {
            let (message, body) = self.heard.next().await.unwrap();
            if let Some(found) = want(&message, body.as_ref()) {
                return found;
            }
        }
    }

    pub async fn hear_exactly(&mut self, expected: &ToWorker) {
        self.hear(|message, _| (message == expected).then_some(())).await;
    }

    /// Everything that the worker has heard and nobody has looked at.
    pub fn heard_so_far(&mut self) -> Vec<ToWorker> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).map(|(message, _)| message).collect()
    }
}

enum Input {
    Node(NodeEvent),
    Coord(FromCoord),
}

struct TestOutlet {
    id: PeerId,
    worker: UnboundedSender<(ToWorker, Option<ArrayBuffer>)>,
    relay: Relay,
}

impl Outlet for TestOutlet {
    fn worker(&self, message: &ToWorker, body: Option<&ArrayBuffer>) {
        // A resident whose test has ended has no worker.
        let _ = self.worker.unbounded_send((message.clone(), body.cloned()));
    }

    fn coord(&self, message: &ToCoord) {
        self.relay.take(self.id, message.clone());
    }

    fn peer_changed(&self, _: PeerId, _: bool, _: u32) {}
}

/// A connection without a node behind it, to say what no node would.
pub struct Stranger {
    pub connection: Rc<Connection>,
    events: UnboundedReceiver<ConnectionEvent>,
    _signals: Task,
}

impl Stranger {
    /// Calls `to` as `id`, and does not wait.
    pub fn calling(relay: &Relay, id: PeerId, to: PeerId) -> Self {
        let (events, received) = unbounded();
        let out = relay.clone();
        let connection = Connection::call(
            &[],
            Rc::new(move |event| match event {
                ConnectionEvent::Signal(signal) => out.take(id, ToCoord::Signal { to, signal }),
                // A stranger that was dropped hears nothing.
                event => drop(events.unbounded_send(event)),
            }),
        );
        let connection = Rc::new(connection.unwrap());
        let mut from_coord = relay.enter(id);
        let signalled = Rc::downgrade(&connection);
        let signals = Task::spawn(async move {
            while let Some(message) = from_coord.next().await {
                if let (FromCoord::Signal { signal, .. }, Some(connection)) =
                    (message, signalled.upgrade())
                {
                    connection.signal(signal);
                }
            }
        });
        Self { connection, events: received, _signals: signals }
    }

    /// A stranger that `resident` knows as connected, and the id it goes by.
    pub async fn connected_to(relay: &Relay, resident: &mut Resident) -> (Self, PeerId) {
        let id = PeerId([0xEE; 16]);
        let mut stranger = Self::calling(relay, id, resident.id);
        stranger.hear(|event| matches!(event, ConnectionEvent::Open).then_some(())).await;
        let expected = Vec::new();
        let up = ToWorker::PeerUp { peer: id, me: resident.id, expected };
        resident.hear_exactly(&up).await;
        (stranger, id)
    }

    pub fn outbox(&self) -> &Outbox {
        self.connection.outbox()
    }

    pub fn tell(&self, message: &PeerMessage) {
        self.outbox().send(message).unwrap();
    }

    pub async fn hear<T>(&mut self, mut want: impl FnMut(&ConnectionEvent) -> Option<T>) -> T {
        loop {
            let event = self.events.next().await.unwrap();
            if let Some(found) = want(&event) {
                return found;
            }
        }
    }

    /// Waits for the next message of which `want` makes something.
    pub async fn hear_message<T>(&mut self, mut want: impl FnMut(&PeerMessage) -> Option<T>) -> T {
        self.hear(|event| match event {
            ConnectionEvent::Message(message, _) => want(message),
            _ => None,
        })
        .await
    }

    pub async fn hear_closed(&mut self) {
        self.hear(|event| matches!(event, ConnectionEvent::Closed).then_some(())).await;
    }
}

/// `length` bytes that differ from place to place and from `seed` to `seed`.
pub fn noise(length: u32, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..length).map(|_| next()).collect()
}

/// Puts a chunk where the worker would.
pub async fn store_chunk(content: ContentId, chunk: ChunkIndex, bytes: &[u8]) {
    let caches = web_sys::window().unwrap().caches().unwrap();
    let cache: Cache = JsFuture::from(caches.open(store::CACHE)).await.unwrap().unchecked_into();
    let body = Uint8Array::from(bytes);
    let response = Response::new_with_opt_js_u8_array(Some(&body)).unwrap();
    let put = cache.put_with_str(&store::chunk_path(content, chunk), &response);
    JsFuture::from(put).await.unwrap();
}

/// Stores chunks `0..count` of `content`, `size` bytes each, and says so to `resident`.
pub async fn hold(resident: &Resident, content: ContentId, count: u32, size: u32) {
    for index in 0..count {
        store_chunk(content, ChunkIndex(index), &noise(size, index)).await;
    }
    resident.say(ToShim::Have { content, chunks: ChunkSet::full(count) });
}

pub fn bytes_of(buffer: &ArrayBuffer) -> Vec<u8> {
    Uint8Array::new(buffer).to_vec()
}

pub fn join(content: ContentId) -> ToShim {
    ToShim::Join { content, want: 5 }
}

/// Waits until `holds`.
pub async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        TimeoutFuture::new(5).await;
    }
}
