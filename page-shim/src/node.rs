//! The page as a peer among peers: carries out what [`Mesh`] decides, on real
//! connections, and moves chunks in and out.

mod spares;
mod transfers;

use std::rc::Rc;

use dcdn_protocol::message::coord::{ErrorCode, FromCoord, Signal, ToCoord};
use dcdn_protocol::message::peer::PeerMessage;
use dcdn_protocol::message::shim::{ToShim, ToWorker};
use dcdn_protocol::{ChunkSet, ContentId, PeerId, SiteConfig, VERSION};
use gloo_timers::callback::Timeout;
use js_sys::{ArrayBuffer, Uint8Array};
use vecmap::VecMap;

use self::spares::Spare;
use self::transfers::broken;
use crate::browser;
use crate::download::{ChunkKey, Downloads};
use crate::error::ShimError;
use crate::manners::Restraint;
use crate::mesh::{Command, Coordination, Counts, Mesh, OfferVerdict};
use crate::peer::{self, Connection, ConnectionEvent, Emit};
use crate::upload::{Uplink, Uploads};

/// Messages of one peer that make no sense, after which it is hung up.
const MAX_MISTAKES: u32 = 32;

/// Where a node speaks to.
pub trait Outlet {
    /// To the worker, with a chunk's bytes if it is about one.
    fn worker(&self, message: &ToWorker, body: Option<&ArrayBuffer>);
    /// To the coordination server. Lost if there is no socket.
    fn coord(&self, message: &ToCoord);
    /// To the page: `peer` has come or gone, and now `open` connections are open.
    fn peer_changed(&self, peer: PeerId, up: bool, open: u32);
}

/// Something that happened to a node.
#[derive(Debug)]
pub enum NodeEvent {
    /// On a connection.
    Link(LinkEvent),
    /// Something is due.
    Due,
}

/// Something that happened on a connection.
#[derive(Debug)]
pub struct LinkEvent {
    /// Which connection: what one that is dropped says is of no interest.
    attempt: u32,
    event: ConnectionEvent,
}

/// One connected peer, for `dcdn.diagnose()`.
#[derive(Clone, Debug)]
pub struct PeerReport {
    /// The peer.
    pub peer: PeerId,
    /// Bytes of chunks received from it.
    pub bytes_in: u64,
    /// Bytes of chunks sent to it.
    pub bytes_out: u64,
    /// The browser's connection, for its state and statistics.
    pub connection: web_sys::RtcPeerConnection,
}

/// A page's connections and transfers.
pub struct Node {
    outlet: Rc<dyn Outlet>,
    emit: Rc<dyn Fn(NodeEvent)>,
    mesh: Mesh,
    /// Says when the mesh is due.
    timer: Option<Timer>,
    links: VecMap<PeerId, Link>,
    /// Connections that are no peer's yet.
    spares: Vec<Spare>,
    uplink: Rc<Uplink>,
    attempts: u32,
    /// What the worker has to offer, whether it is offered or not.
    holdings: VecMap<ContentId, ChunkSet>,
    /// Whether it was held back when last looked at.
    held_back: bool,
}

/// A timer, and when it goes off.
struct Timer {
    at: f64,
    _timeout: Timeout,
}

/// One peer: its connection and what goes over it.
struct Link {
    attempt: u32,
    connection: Connection,
    downloads: Downloads,
    uploads: Uploads,
    /// Whether its channel has opened.
    up: bool,
    received: u64,
    /// When the worker last heard of its progress.
    told_at: f64,
    mistakes: u32,
}

impl Node {
    /// A node without connections. What happens to it is given to `emit`, and
    /// wanted back by [`Node::on_event`].
    pub fn new(config: &SiteConfig, outlet: Rc<dyn Outlet>, emit: Rc<dyn Fn(NodeEvent)>) -> Self {
        let mut node = Self {
            outlet,
            emit,
            mesh: Mesh::new(config.max_peers),
            timer: None,
            links: VecMap::new(),
            spares: Vec::new(),
            uplink: Rc::default(),
            attempts: 0,
            holdings: VecMap::new(),
            held_back: false,
        };
        node.configure(config);
        node
    }

    /// The site's configuration has come, perhaps again.
    pub fn configure(&mut self, config: &SiteConfig) {
        self.mesh.set_max_peers(config.max_peers);
        self.uplink.configure(config);
    }

    /// Whether the coordination server can be talked to.
    pub fn coordination(&self) -> Coordination {
        self.mesh.coordination()
    }

    /// Open connections.
    pub fn open_count(&self) -> u32 {
        self.mesh.open_count()
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.mesh.counts()
    }

    /// Bytes of chunks sent so far.
    pub fn uploaded(&self) -> u64 {
        self.uplink.total()
    }

    /// Why nothing is uploaded, if nothing is.
    pub fn restraint(&self) -> Option<Restraint> {
        self.uplink.restraint()
    }

    /// Every peer that we are connected or connecting to.
    pub fn peers(&self) -> Vec<PeerReport> {
        let report = |(&peer, link): (&PeerId, &Link)| PeerReport {
            peer,
            bytes_in: link.received,
            bytes_out: link.uploads.sent(),
            connection: link.connection.raw().clone(),
        };
        self.links.iter().map(report).collect()
    }

    /// The worker says something. What is not about peers is ignored.
    pub fn on_worker(&mut self, message: ToShim) {
        let now = browser::now();
        match message {
            ToShim::Join { content, want } => {
                if want > 0 {
                    self.make_ready();
                }
                self.mesh.join(content, want, now);
            }
            ToShim::Leave { content } => self.mesh.leave(content),
            ToShim::Have { content, chunks } => {
                self.holdings.insert(content, chunks);
                self.held_back = self.restraint().is_some();
                self.offer(content, now);
            }
            ToShim::Request { peer, content, chunk, size } => {
                self.request(peer, ChunkKey { content, chunk }, size);
            }
            ToShim::Cancel { peer, content, chunk } => {
                self.cancel(peer, ChunkKey { content, chunk });
            }
            ToShim::Salvage { peer, content, chunk } => {
                self.salvage(peer, ChunkKey { content, chunk });
            }
            ToShim::Ban { peer } => self.mesh.ban(peer, now),
            ToShim::Welcome { .. }
            | ToShim::Reachable { .. }
            | ToShim::Busy { .. }
            | ToShim::Stats { .. }
            | ToShim::Outcome { .. }
            | ToShim::Event { .. } => {}
        }
        self.carry_out();
    }

    /// A handshake has been answered, perhaps by a worker that knows nothing:
    /// requests of before are void, and it hears how things stand.
    pub fn on_new_worker(&mut self) {
        for (&peer, link) in &mut self.links {
            for key in link.downloads.cancel_all() {
                let ChunkKey { content, chunk } = key;
                link.tell(&PeerMessage::Cancel { content, chunk });
                self.outlet.worker(&broken(peer, key), None);
            }
        }
        self.mesh.restate();
        self.carry_out();
    }

    /// The socket is open, and hello is said.
    pub fn on_socket_open(&mut self) {
        self.mesh.greeting(browser::now());
        self.carry_out();
    }

    /// The server has answered, and `me` is our id on the socket.
    pub fn on_welcome(&mut self, me: PeerId) {
        self.mesh.welcomed(me);
    }

    /// There is no socket.
    pub fn on_socket_down(&mut self) {
        self.spares.clear();
        self.mesh.unreachable();
        self.carry_out();
    }

    /// The coordination server says something.
    pub fn on_coord(&mut self, message: FromCoord) {
        let now = browser::now();
        match message {
            FromCoord::Offered { to } => self.on_offered(to),
            FromCoord::Peers { content, peers } => {
                let named = u8::try_from(peers.len()).unwrap_or(u8::MAX);
                self.mesh.named(content, peers, now);
                self.carry_out();
                if self.mesh.wants(content) {
                    self.note_named(named);
                }
            }
            FromCoord::Signal { from, signal: Signal::Offer { sdp } } => {
                self.on_offer(from, sdp, now);
            }
            FromCoord::Signal { from, signal } => {
                if let Some(link) = self.links.get(&from) {
                    link.connection.signal(signal);
                }
            }
            FromCoord::Error { code: ErrorCode::UnknownPeer, peer: Some(peer), .. } => {
                self.mesh.unknown(peer, now);
            }
            FromCoord::Error { code: ErrorCode::TooManySwarms, .. } => self.mesh.refused_swarms(),
            // The other errors are followed by the socket's end, or about nothing that waits.
            FromCoord::Error { .. } | FromCoord::Goodbye { .. } | FromCoord::Welcome { .. } => {}
        }
        self.carry_out();
    }

    /// Something has happened to this node.
    pub fn on_event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::Link(event) => self.on_link(event),
            NodeEvent::Due => {
                self.timer = None;
                self.mind_manners();
                self.mesh.tick(browser::now());
                self.carry_out();
            }
        }
    }

    fn on_link(&mut self, LinkEvent { attempt, event }: LinkEvent) {
        let Some((&peer, link)) = self.links.iter_mut().find(|(_, it)| it.attempt == attempt)
        else {
            return self.on_spare(attempt, event);
        };
        match event {
            ConnectionEvent::Signal(signal) => {
                self.outlet.coord(&ToCoord::Signal { to: peer, signal });
            }
            ConnectionEvent::Open => {
                link.up = true;
                self.mesh.opened(peer);
                self.carry_out();
                self.outlet.peer_changed(peer, true, self.mesh.open_count());
            }
            ConnectionEvent::Message(message, body) => {
                self.on_peer_message(peer, message, &body);
            }
            ConnectionEvent::Garbled(error) => {
                if !link.complain(&error.to_string()) {
                    self.hang_up(peer);
                }
            }
            ConnectionEvent::Closed => self.hang_up(peer),
        }
        self.carry_out();
    }

    /// The page goes away: every connection ends.
    pub fn pause(&mut self) {
        self.spares.clear();
        self.mesh.hang_up_all();
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(command) = self.mesh.poll() {
            match command {
                Command::Call(peer) => self.call(peer),
                Command::HangUp(peer) => self.drop_link(peer),
                Command::Tell(peer, message) => {
                    if let Some(link) = self.links.get(&peer) {
                        link.tell(&message);
                    }
                }
                Command::Worker(message) => self.outlet.worker(&message, None),
                Command::Coord(message) => {
                    if matches!(message, ToCoord::Join { want, .. } if want > 0) {
                        self.send_offers();
                    }
                    self.outlet.coord(&message);
                }
            }
        }
        self.set_timer();
    }

    fn set_timer(&mut self) {
        let due = self.mesh.poll_timeout();
        if due == self.timer.as_ref().map(|timer| timer.at) {
            return;
        }
        self.timer = due.map(|at| {
            let emit = Rc::clone(&self.emit);
            let wait = browser::whole_ms(at - browser::now());
            Timer { at, _timeout: Timeout::new(wait, move || emit(NodeEvent::Due)) }
        });
    }

    fn call(&mut self, peer: PeerId) {
        let Some((spare, signals)) = self.take_spare(peer) else {
            return self.connect(peer, Connection::call);
        };
        self.link(peer, spare.attempt, spare.connection);
        for signal in signals {
            self.outlet.coord(&ToCoord::Signal { to: peer, signal });
        }
    }

    fn connect(
        &mut self,
        peer: PeerId,
        open: impl FnOnce(&[String], Emit) -> Result<Connection, ShimError>,
    ) {
        let (attempt, emit) = self.next_attempt();
        let opened = open(&self.uplink.site.borrow().stun, emit);
        match opened {
            Ok(connection) => self.link(peer, attempt, connection),
            Err(_) => self.mesh.closed(peer, browser::now()),
        }
    }

    /// The number of another connection, and where that says what happens to it.
    fn next_attempt(&mut self) -> (u32, Emit) {
        self.attempts += 1;
        let attempt = self.attempts;
        let emit = Rc::clone(&self.emit);
        (attempt, Rc::new(move |event| emit(NodeEvent::Link(LinkEvent { attempt, event }))))
    }

    fn link(&mut self, peer: PeerId, attempt: u32, connection: Connection) {
        let uploads = Uploads::new(connection.outbox().clone(), Rc::clone(&self.uplink));
        self.links.insert(peer, Link::new(attempt, connection, uploads));
    }

    fn on_offer(&mut self, from: PeerId, sdp: String, now: f64) {
        match self.mesh.offered(from, now) {
            OfferVerdict::Accept => {
                self.drop_link(from);
                self.connect(from, |stun, emit| Connection::answer(stun, sdp, emit));
            }
            OfferVerdict::OursStands => {
                if let Some(link) = self.links.get(&from) {
                    link.connection.signal(Signal::Offer { sdp });
                }
            }
            OfferVerdict::Full => {
                self.outlet.coord(&ToCoord::Signal { to: from, signal: peer::refusal() });
            }
            OfferVerdict::Ignore => {}
        }
    }

    fn on_peer_message(&mut self, peer: PeerId, message: PeerMessage, body: &Uint8Array) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        match message {
            PeerMessage::Hello { version } if version == VERSION => {}
            PeerMessage::Hello { .. } => self.hang_up(peer),
            PeerMessage::Interested { content } => {
                self.mesh.interested(peer, content, browser::now());
            }
            PeerMessage::Have { content, chunks } => {
                self.mesh.peer_has(peer, content, chunks, browser::now());
            }
            PeerMessage::Request { content, chunk } => {
                self.on_request(peer, ChunkKey { content, chunk });
            }
            PeerMessage::Cancel { content, chunk } => {
                link.uploads.cancel(ChunkKey { content, chunk });
            }
            PeerMessage::Chunk { content, chunk, offset, size } => {
                self.on_piece(peer, ChunkKey { content, chunk }, offset, size, body);
            }
            PeerMessage::ChunkFail { content, chunk, reason } => {
                if link.downloads.cancel(ChunkKey { content, chunk }) {
                    let fail = ToWorker::ChunkFail { peer, content, chunk, reason };
                    self.outlet.worker(&fail, None);
                }
            }
            // Answering would only make two pages complain to each other for ever.
            PeerMessage::Error { .. } => {}
        }
    }

    /// Tells peers and server what is offered, if that has changed with the surroundings.
    fn mind_manners(&mut self) {
        let held_back = self.restraint().is_some();
        if held_back == self.held_back {
            return;
        }
        self.held_back = held_back;
        let contents: Vec<ContentId> = self.holdings.keys().copied().collect();
        for content in contents {
            self.offer(content, browser::now());
        }
    }

    fn offer(&mut self, content: ContentId, now: f64) {
        let held = self.holdings.get(&content).filter(|_| !self.held_back);
        self.mesh.have(content, held.cloned().unwrap_or_default(), now);
    }

    /// Ends the connection to `peer`, which the mesh does not know of yet.
    fn hang_up(&mut self, peer: PeerId) {
        self.mesh.closed(peer, browser::now());
        self.drop_link(peer);
    }

    fn drop_link(&mut self, peer: PeerId) {
        let Some(link) = self.links.remove(&peer) else { return };
        if link.up {
            self.outlet.peer_changed(peer, false, self.mesh.open_count());
        }
    }
}

impl Link {
    fn new(attempt: u32, connection: Connection, uploads: Uploads) -> Self {
        let downloads = Downloads::default();
        Self {
            attempt,
            connection,
            downloads,
            uploads,
            up: false,
            received: 0,
            told_at: 0.0,
            mistakes: 0,
        }
    }

    fn tell(&self, message: &PeerMessage) {
        // A channel that does not send is closing, which is heard of on its own.
        let _ = self.connection.outbox().send(message);
    }

    /// Tells the peer that it made no sense. False when it has done so too often.
    fn complain(&mut self, message: &str) -> bool {
        self.mistakes += 1;
        self.tell(&PeerMessage::Error { message: message.to_owned() });
        self.mistakes < MAX_MISTAKES
    }
}
