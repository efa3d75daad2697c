//! The page's event loop: worker, server, peers and the page's own coming and
//! going meet here, in one queue and one `match`.

use std::cell::RefCell;
use std::rc::Rc;

use dcdn_protocol::config::{PageSettings, PolicyName, SiteConfig};
use dcdn_protocol::message::coord::{ErrorCode, FromCoord, ToCoord};
use dcdn_protocol::message::shim::{Errand, Outcome, ToShim, ToWorker};
use dcdn_protocol::plain::Write;
use dcdn_protocol::stats::{Stats, Totals, UrlStats};
use dcdn_protocol::{PeerId, VERSION, record};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::channel::oneshot;
use gloo_events::EventListener;
use gloo_timers::callback::Timeout;
use js_sys::{ArrayBuffer, Function};
use vecmap::VecMap;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::PageTransitionEvent;

use crate::bridge::{Bridge, BridgeEvent};
use crate::browser;
use crate::diagnosis::Facts;
use crate::error::ShimError;
use crate::manners::may_have_peers;
use crate::mesh::Coordination;
use crate::node::{Node, NodeEvent, Outlet, PeerReport};
use crate::report::Reports;
use crate::signalling::{Signalling, SocketEvent, Token};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// On the worker's side.
    Worker(BridgeEvent),
    /// On the coordination server's side.
    Coord(SocketEvent),
    /// To the connections to peers.
    Node(NodeEvent),
    /// The server is to hear of what the page was served.
    ReportDue,
    /// The page goes away, perhaps into the back/forward cache.
    Hidden,
    /// The page comes back out of it.
    Restored,
    /// The page's script asks.
    Ask(Question),
}

/// What the page's script asks, with where the answer goes.
#[derive(Debug)]
pub enum Question {
    /// Shake hands again: the worker does not answer.
    Reconnect,
    /// Statistics, from the worker.
    Stats(oneshot::Sender<PageStats>),
    /// Statistics, as they were last known.
    LastStats(oneshot::Sender<PageStats>),
    /// How things stand with peers.
    Report(oneshot::Sender<Report>),
    /// Something to be done by the worker, under a number of the script's own.
    Do(u32, Errand, oneshot::Sender<Outcome>),
    /// That is to end.
    Undo(u32),
    /// Other settings from now on, and the join token.
    Configure(PageSettings, Option<String>),
    /// The visitor consents to having peers, or does not.
    Consent(bool),
}

/// The answer of `dcdn.stats()`.
#[derive(Clone, Debug)]
pub struct PageStats {
    /// Resources, in the order of their first request.
    pub urls: Vec<UrlStats>,
    /// Sums over them.
    pub totals: Totals,
    /// Open connections.
    pub peers: u32,
}

record!(out PageStats { urls, totals, peers });

/// What `dcdn.diagnose()` is made of.
#[derive(Debug)]
pub struct Report {
    /// For the sentences.
    pub facts: Facts,
    /// For the list of peers.
    pub peers: Vec<PeerReport>,
}

/// Starts a page's event loop: shakes hands with the worker that controls the page,
/// or with the first one that does. `token` is its join token. Questions go into the sender
/// that this returns; `listener` hears every event as one object whose `event` is its name.
///
/// # Errors
/// If this is no page, or one without service workers.
pub fn start(
    settings: PageSettings,
    token: Option<String>,
    listener: Function,
) -> Result<(UnboundedSender<Event>, impl Future<Output = ()>), ShimError> {
    let (events, incoming) = unbounded();
    let page = Page::new(settings, token, listener, events.clone())?;
    Ok((events, page.run(incoming)))
}

struct Page {
    settings: PageSettings,
    token: Token,
    /// Why the coordination server has closed the last socket, if it did.
    refused: Option<String>,
    listener: Rc<Function>,
    events: UnboundedSender<Event>,
    bridge: Rc<Bridge>,
    signalling: Rc<RefCell<Option<Signalling>>>,
    node: Node,
    config: SiteConfig,
    asked: VecMap<u32, oneshot::Sender<PageStats>>,
    errands: VecMap<u32, (Errand, oneshot::Sender<Outcome>)>,
    next_question: u32,
    last_stats: Stats,
    reports: Reports,
    report_timer: Option<Timeout>,
    _lifecycle: [EventListener; 2],
}

impl Page {
    fn new(
        settings: PageSettings,
        token: Option<String>,
        listener: Function,
        events: UnboundedSender<Event>,
    ) -> Result<Self, ShimError> {
        let listener = Rc::new(listener);
        let bridge = Rc::new(Bridge::new(sender(&events, Event::Worker))?);
        let signalling: Rc<RefCell<Option<Signalling>>> = Rc::default();
        let outlet = Rc::new(PageOutlet {
            bridge: Rc::clone(&bridge),
            signalling: Rc::clone(&signalling),
            listener: Rc::clone(&listener),
        });
        let config = SiteConfig::default();
        Ok(Self {
            node: Node::new(&config, outlet, sender(&events, Event::Node)),
            settings,
            token: Rc::new(RefCell::new(token)),
            refused: None,
            listener,
            bridge,
            signalling,
            config,
            asked: VecMap::new(),
            errands: VecMap::new(),
            next_question: 0,
            last_stats: Stats::default(),
            reports: Reports::default(),
            report_timer: None,
            _lifecycle: lifecycle(&events)?,
            events,
        })
    }

    async fn run(mut self, mut incoming: UnboundedReceiver<Event>) {
        self.shake_hands();
        while let Some(event) = incoming.next().await {
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Worker(BridgeEvent::Message(message)) => self.on_worker(message),
            Event::Worker(BridgeEvent::Changed) => {
                // It says so itself if it has something to be kept alive for.
                self.bridge.keep_alive(false);
                self.shake_hands();
            }
            Event::Restored => self.shake_hands(),
            Event::Coord(SocketEvent::Open) => self.node.on_socket_open(),
            Event::Coord(SocketEvent::Welcome { me, report_every_ms }) => {
                self.refused = None;
                self.reports.wanted(report_every_ms);
                self.node.on_welcome(me);
                self.plan_report();
            }
            Event::Coord(SocketEvent::Message(FromCoord::Error {
                code: ErrorCode::Token | ErrorCode::AddressLimit,
                message,
                ..
            })) => self.refused = Some(message),
            Event::Coord(SocketEvent::Message(message)) => self.node.on_coord(message),
            Event::Coord(SocketEvent::Down) => self.node.on_socket_down(),
            Event::Node(event) => self.node.on_event(event),
            Event::ReportDue => {
                self.report_timer = None;
                self.report_now();
            }
            Event::Hidden => {
                self.report_now();
                self.tell_worker(&ToWorker::Bye);
                self.disconnect();
            }
            Event::Ask(question) => self.on_question(question),
        }
    }

    fn on_worker(&mut self, message: ToShim) {
        match message {
            ToShim::Welcome { version, config } => self.on_welcome(version, config),
            ToShim::Reachable { up } => {
                if let Some(signalling) = self.signalling.borrow().as_ref() {
                    signalling.reachable(up);
                }
            }
            ToShim::Busy { open, totals } => {
                self.bridge.keep_alive(open);
                if let Some(totals) = totals {
                    self.reports.learn(totals);
                    self.plan_report();
                }
            }
            ToShim::Stats { id, stats } => {
                self.last_stats = stats;
                if let Some(asker) = self.asked.remove(&id) {
                    answer(asker, self.stats());
                }
            }
            ToShim::Outcome { id, outcome } => {
                if let Some((_, asker)) = self.errands.remove(&id) {
                    answer(asker, outcome);
                }
            }
            ToShim::Event { event } => self.tell_page(&event),
            about_peers => self.node.on_worker(about_peers),
        }
    }

    fn on_welcome(&mut self, version: u16, config: SiteConfig) {
        let compatible = version == VERSION;
        let peers = browser::has_peer_connections();
        let consent = may_have_peers(&config, browser::consent());
        let (enabled, persist) = (config.enabled, config.persist_store);
        self.tell_page(&Welcome { event: "welcome", compatible, enabled, peers, consent, persist });
        if !compatible || !enabled {
            self.disconnect();
            for (_, asker) in std::mem::take(&mut self.errands).into_values() {
                answer(asker, not_done("DCDN is no longer in use on this page"));
            }
            return;
        }
        if self.config.coord != config.coord {
            self.signalling.take();
        }
        self.config = config;
        self.node.configure(&self.config);
        // A worker that has taken another's place knows nothing of these.
        for (&id, (errand, _)) in &self.errands {
            self.tell_worker(&ToWorker::Do { id, errand: errand.clone() });
        }
        if !peers || !consent || self.config.policy == PolicyName::Http {
            self.do_without_peers();
            self.tell_worker(&ToWorker::NoPeers);
            return;
        }
        self.node.on_new_worker();
        if self.signalling.borrow().is_none() {
            self.open_socket();
        }
    }

    fn on_question(&mut self, question: Question) {
        match question {
            Question::Reconnect => self.shake_hands(),
            Question::Stats(asker) => {
                let id = self.next_question;
                self.next_question = id.wrapping_add(1);
                self.asked.retain(|_, asker| !asker.is_canceled());
                self.asked.insert(id, asker);
                self.tell_worker(&ToWorker::StatsRequest { id });
            }
            Question::LastStats(asker) => answer(asker, self.stats()),
            Question::Do(id, errand, asker) => {
                self.tell_worker(&ToWorker::Do { id, errand: errand.clone() });
                self.errands.insert(id, (errand, asker));
            }
            Question::Undo(id) => {
                self.tell_worker(&ToWorker::Undo { id });
                if let Some((_, asker)) = self.errands.remove(&id) {
                    answer(asker, not_done("taken back"));
                }
            }
            Question::Report(asker) => answer(asker, self.report()),
            Question::Configure(settings, token) => {
                self.settings = settings;
                self.renew(token);
                self.shake_hands();
            }
            Question::Consent(given) => {
                browser::set_consent(given);
                // The worker's answer says the rest.
                self.shake_hands();
            }
        }
    }

    fn plan_report(&mut self) {
        if self.report_timer.is_none()
            && let Some(wait) = self.reports.due_in(browser::now())
        {
            let due = sender(&self.events, |()| Event::ReportDue);
            let timer = Timeout::new(browser::whole_ms(wait), move || due(()));
            self.report_timer = Some(timer);
        }
    }

    /// Without a socket it waits for one.
    fn report_now(&mut self) {
        let Coordination::Up(_) = self.node.coordination() else { return };
        if let Some(bytes) = self.reports.take(self.node.uploaded(), browser::now())
            && let Some(signalling) = self.signalling.borrow().as_ref()
        {
            // A few numbers always fit.
            let _ = signalling.send(&ToCoord::Report { bytes });
        }
    }

    /// Another token is for the next socket; one that is open stays.
    fn renew(&mut self, token: Option<String>) {
        if *self.token.borrow() == token {
            return;
        }
        self.token.replace(token);
        if let Some(signalling) = self.signalling.borrow().as_ref() {
            signalling.hurry();
        }
    }

    fn shake_hands(&mut self) {
        let Ok(window) = browser::window() else { return };
        let hello = ToWorker::Hello {
            version: VERSION,
            settings: self.settings.clone(),
            page: window.location().pathname().unwrap_or_default(),
            time_origin: window.performance().map_or(0.0, |clock| clock.time_origin()),
        };
        // Without a worker there is nobody to talk to until the next one takes control, and that is
        // an event of its own.
        let _ = self.bridge.shake_hands(&hello);
    }

    fn open_socket(&mut self) {
        let bridge = Rc::clone(&self.bridge);
        let probe = move || {
            // An answer that never comes counts as no.
            let _ = bridge.send(&ToWorker::Probe, None);
        };
        let emit = sender(&self.events, Event::Coord);
        let emit = move |event| emit(event);
        let (coord, token) = (&self.config.coord, Rc::clone(&self.token));
        let started = Signalling::start(coord, token, Box::new(probe), Box::new(emit));
        self.signalling.replace(started.ok());
        if self.signalling.borrow().is_none() {
            self.node.on_socket_down();
        }
    }

    /// Ends everything that reaches out of the page.
    fn disconnect(&mut self) {
        self.do_without_peers();
        self.bridge.close();
    }

    fn do_without_peers(&mut self) {
        self.node.pause();
        self.signalling.take();
    }

    fn stats(&self) -> PageStats {
        let mut stats = self.last_stats.clone();
        stats.totals.bytes_uploaded = self.node.uploaded();
        PageStats { urls: stats.urls, totals: stats.totals, peers: self.node.open_count() }
    }

    fn report(&self) -> Report {
        let facts = Facts {
            peer_connections: browser::has_peer_connections(),
            policy_is_http: self.config.policy == PolicyName::Http,
            consent: may_have_peers(&self.config, browser::consent()),
            restraint: self.node.restraint(),
            coordination: self.node.coordination(),
            refused: self.refused.clone(),
            open: self.node.open_count(),
            counts: self.node.counts(),
        };
        Report { facts, peers: self.node.peers() }
    }

    fn tell_worker(&self, message: &ToWorker) {
        // These messages are plain data, which always clones.
        let _ = self.bridge.send(message, None);
    }

    fn tell_page(&self, event: &impl Write) {
        tell(&self.listener, event);
    }
}

/// Where the node speaks to, in a page.
struct PageOutlet {
    bridge: Rc<Bridge>,
    signalling: Rc<RefCell<Option<Signalling>>>,
    listener: Rc<Function>,
}

impl Outlet for PageOutlet {
    fn worker(&self, message: &ToWorker, body: Option<&ArrayBuffer>) {
        // Plain data always clones, and a buffer that we made can be transferred.
        let _ = self.bridge.send(message, body);
    }

    fn coord(&self, message: &ToCoord) {
        if let Some(signalling) = self.signalling.borrow().as_ref() {
            // Its parts were bounded when they were made, so it fits.
            let _ = signalling.send(message);
        }
    }

    fn peer_changed(&self, peer: PeerId, up: bool, open: u32) {
        let state = if up { "up" } else { "down" };
        tell(&self.listener, &PeerChanged { event: "peer", peer, state, peers: open });
    }
}

/// A peer has come or gone.
struct PeerChanged {
    event: &'static str,
    peer: PeerId,
    state: &'static str,
    peers: u32,
}

record!(out PeerChanged { event, peer, state, peers });

/// A worker has answered a handshake.
struct Welcome {
    event: &'static str,
    /// False if the worker speaks another version.
    compatible: bool,
    /// False if the site has switched DCDN off.
    enabled: bool,
    /// Whether this browser can have peers.
    peers: bool,
    /// Whether it may: the visitor's consent.
    consent: bool,
    /// Whether the site wants the store to last.
    persist: bool,
}

record!(out Welcome { event, compatible, enabled, peers, consent, persist });

fn tell(listener: &Function, event: &impl Write) {
    // The page's script catches what its listeners throw.
    let _ = listener.call1(&JsValue::NULL, &dcdn_plain::to_object(event));
}

fn not_done(why: &str) -> Outcome {
    Outcome { ok: false, bytes: 0, error: Some(why.to_owned()) }
}

fn answer<T>(asker: oneshot::Sender<T>, value: T) {
    // Whoever asked may have stopped waiting.
    let _ = asker.send(value);
}

/// A callback that only translates and enqueues.
fn sender<T: 'static>(events: &UnboundedSender<Event>, wrap: fn(T) -> Event) -> Rc<dyn Fn(T)> {
    let events = events.clone();
    Rc::new(move |event| {
        // The loop ends with the page.
        let _ = events.unbounded_send(wrap(event));
    })
}

fn lifecycle(events: &UnboundedSender<Event>) -> Result<[EventListener; 2], ShimError> {
    let window = browser::window()?;
    let hidden = sender(events, |()| Event::Hidden);
    let restored = sender(events, |()| Event::Restored);
    Ok([
        EventListener::new(&window, "pagehide", move |_| hidden(())),
        EventListener::new(&window, "pageshow", move |event| {
            if event.unchecked_ref::<PageTransitionEvent>().persisted() {
                restored(());
            }
        }),
    ])
}
