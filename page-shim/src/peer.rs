//! One `RTCPeerConnection`: offer, answer, trickled candidates, and its end.
//!
//! Candidates are sent as they are found; nobody waits for gathering to end. A
//! description always leaves before its candidates.

use std::cell::RefCell;
use std::rc::Rc;

use dcdn_protocol::message::coord::{MAX_CANDIDATE, MAX_SDP, Signal};
use dcdn_protocol::message::peer::PeerMessage;
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use gloo_events::EventListener;
use gloo_timers::callback::Timeout;
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    RtcConfiguration, RtcIceCandidateInit, RtcIceServer, RtcPeerConnection,
    RtcPeerConnectionIceEvent, RtcPeerConnectionState, RtcSdpType, RtcSessionDescriptionInit,
};

use crate::channel::{Channel, ChannelEvent, Outbox};
use crate::error::ShimError;
use crate::task::Task;

/// Milliseconds that a connection may take to open.
const OPEN_TIMEOUT_MS: u32 = 10_000;

/// Milliseconds for which a connection may be silent before it is given up.
const DISCONNECT_TIMEOUT_MS: u32 = 5_000;

/// What a connection has to say.
#[derive(Debug)]
pub enum ConnectionEvent {
    /// To be passed to the peer.
    Signal(Signal),
    /// The channel is open.
    Open,
    /// The peer says something; the bytes after the head.
    Message(PeerMessage, Uint8Array),
    /// The peer sent something that is no message.
    Garbled(ShimError),
    /// It is over, or never came about.
    Closed,
}

/// Where a connection says it.
pub type Emit = Rc<dyn Fn(ConnectionEvent)>;

/// A connection that is open or being opened. Dropping it hangs up.
#[derive(Debug)]
pub struct Connection {
    connection: RtcPeerConnection,
    channel: Rc<Channel>,
    signals: UnboundedSender<Signal>,
    _listeners: [EventListener; 2],
    _negotiation: Task,
    _open_timeout: Timeout,
}

impl Connection {
    /// A connection to which we make the offer.
    ///
    /// # Errors
    /// If the browser does not make one, for instance for a malformed STUN address.
    pub fn call(stun: &[String], emit: Emit) -> Result<Self, ShimError> {
        Self::new(stun, emit, None)
    }

    /// A connection that answers an offer.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub fn answer(stun: &[String], offer: String, emit: Emit) -> Result<Self, ShimError> {
        Self::new(stun, emit, Some(offer))
    }

    fn new(stun: &[String], emit: Emit, offer: Option<String>) -> Result<Self, ShimError> {
        let connection = RtcPeerConnection::new_with_configuration(&configuration(stun))?;
        let channel = Rc::new(Channel::new(&connection, translate(&emit)));
        let trickle = Rc::new(Trickle::new(Rc::clone(&emit)));
        let (signals, incoming) = unbounded();
        let negotiation = negotiate(connection.clone(), offer, incoming, Rc::clone(&trickle));
        Ok(Self {
            _listeners: [
                on_candidate(&connection, trickle),
                on_state(&connection, Rc::clone(&emit)),
            ],
            _open_timeout: Timeout::new(OPEN_TIMEOUT_MS, {
                let (channel, emit) = (Rc::clone(&channel), Rc::clone(&emit));
                move || {
                    if !channel.is_open() {
                        emit(ConnectionEvent::Closed);
                    }
                }
            }),
            _negotiation: Task::spawn(async move {
                if negotiation.await.is_err() {
                    emit(ConnectionEvent::Closed);
                }
            }),
            connection,
            channel,
            signals,
        })
    }

    /// What the peer signals. An offer here is one that ours stands against.
    pub fn signal(&self, signal: Signal) {
        // The negotiation has ended only if the connection has.
        let _ = self.signals.unbounded_send(signal);
    }

    /// The sending side of its channel.
    pub fn outbox(&self) -> &Outbox {
        self.channel.outbox()
    }

    /// Our description with the candidates found so far, if it is in force.
    pub fn described(&self) -> Option<String> {
        let sdp = self.connection.local_description()?.sdp();
        (sdp.len() <= MAX_SDP).then_some(sdp)
    }

    /// The browser's connection, for its statistics.
    pub fn raw(&self) -> &RtcPeerConnection {
        &self.connection
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connection.close();
    }
}

/// An answer that says that there is no room. No browser makes an empty one, and
/// one that does not know this fails to apply it, which comes to the same.
pub fn refusal() -> Signal {
    Signal::Answer { sdp: String::new() }
}

fn configuration(stun: &[String]) -> RtcConfiguration {
    let servers = Array::new();
    for url in stun {
        let server = RtcIceServer::new();
        server.set_urls_str(url);
        servers.push(&server);
    }
    let configuration = RtcConfiguration::new();
    configuration.set_ice_servers(&servers);
    configuration
}

fn translate(emit: &Emit) -> impl Fn(ChannelEvent) + Clone + 'static {
    let emit = Rc::clone(emit);
    move |event| {
        emit(match event {
            ChannelEvent::Open => ConnectionEvent::Open,
            ChannelEvent::Message(message, body) => ConnectionEvent::Message(message, body),
            ChannelEvent::Garbled(error) => ConnectionEvent::Garbled(error),
            ChannelEvent::Closed => ConnectionEvent::Closed,
        });
    }
}

/// Our candidates: held back until our description has left, then sent as they come.
struct Trickle {
    emit: Emit,
    held: RefCell<Option<Vec<Signal>>>,
}

impl Trickle {
    fn new(emit: Emit) -> Self {
        Self { emit, held: RefCell::new(Some(Vec::new())) }
    }

    fn candidate(&self, signal: Signal) {
        if let Some(held) = self.held.borrow_mut().as_mut() {
            held.push(signal);
            return;
        }
        (self.emit)(ConnectionEvent::Signal(signal));
    }

    fn describe(&self, description: Signal) {
        let held = self.held.take().unwrap_or_default();
        for signal in std::iter::once(description).chain(held) {
            (self.emit)(ConnectionEvent::Signal(signal));
        }
    }
}

fn on_candidate(connection: &RtcPeerConnection, trickle: Rc<Trickle>) -> EventListener {
    EventListener::new(connection, "icecandidate", move |event| {
        let event: &RtcPeerConnectionIceEvent = event.unchecked_ref();
        let signal = match event.candidate() {
            None => Signal::Candidate {
                candidate: String::new(),
                sdp_mid: None,
                sdp_m_line_index: None,
            },
            Some(found) => Signal::Candidate {
                candidate: found.candidate(),
                sdp_mid: found.sdp_mid(),
                sdp_m_line_index: found.sdp_m_line_index(),
            },
        };
        let Signal::Candidate { candidate, sdp_mid, .. } = &signal else { return };
        // Some browsers end each section with an empty line of its own; the last one, without a
        // section, is enough.
        let section_end = candidate.is_empty() && sdp_mid.is_some();
        if candidate.len() <= MAX_CANDIDATE && !section_end {
            trickle.candidate(signal);
        }
    })
}

fn on_state(connection: &RtcPeerConnection, emit: Emit) -> EventListener {
    let patience: RefCell<Option<Timeout>> = RefCell::default();
    let target = connection.clone();
    EventListener::new(connection, "connectionstatechange", move |_| {
        match target.connection_state() {
            RtcPeerConnectionState::Failed | RtcPeerConnectionState::Closed => {
                emit(ConnectionEvent::Closed);
            }
            RtcPeerConnectionState::Disconnected => {
                let emit = Rc::clone(&emit);
                let give_up = move || emit(ConnectionEvent::Closed);
                patience.replace(Some(Timeout::new(DISCONNECT_TIMEOUT_MS, give_up)));
            }
            RtcPeerConnectionState::Connected => drop(patience.take()),
            _ => {}
        }
    })
}

/// Exchanges descriptions, then applies candidates for as long as they come.
async fn negotiate(
    connection: RtcPeerConnection,
    offer: Option<String>,
    mut incoming: UnboundedReceiver<Signal>,
    trickle: Rc<Trickle>,
) -> Result<(), ShimError> {
    let mut early = Vec::new();
    if let Some(sdp) = offer {
        describe_remote(&connection, RtcSdpType::Offer, &sdp).await?;
        let sdp = describe_local(&connection, connection.create_answer()).await?;
        trickle.describe(Signal::Answer { sdp });
    } else {
        let sdp = describe_local(&connection, connection.create_offer()).await?;
        trickle.describe(Signal::Offer { sdp });
        let sdp = answer_to_our_offer(&mut incoming, &mut early).await?;
        describe_remote(&connection, RtcSdpType::Answer, &sdp).await?;
    }
    for signal in early {
        add_candidate(&connection, signal).await;
    }
    while let Some(signal) = incoming.next().await {
        add_candidate(&connection, signal).await;
    }
    Ok(())
}

/// Waits for the answer; candidates that come before it wait in `early`.
async fn answer_to_our_offer(
    incoming: &mut UnboundedReceiver<Signal>,
    early: &mut Vec<Signal>,
) -> Result<String, ShimError> {
    while let Some(signal) = incoming.next().await {
        match signal {
            Signal::Answer { sdp } if sdp.is_empty() => return Err(ShimError::Refused),
            Signal::Answer { sdp } => return Ok(sdp),
            // The peer's own offer, against which ours stands: the candidates around it belong to
            // a connection that it is dropping.
            Signal::Offer { .. } => early.clear(),
            Signal::Candidate { .. } => early.push(signal),
        }
    }
    Err(ShimError::Refused)
}

async fn describe_local(
    connection: &RtcPeerConnection,
    made: Promise,
) -> Result<String, ShimError> {
    let description: RtcSessionDescriptionInit = JsFuture::from(made).await?.unchecked_into();
    JsFuture::from(connection.set_local_description(&description)).await?;
    let sdp = description.get_sdp().unwrap_or_default();
    if sdp.len() > MAX_SDP {
        return Err(ShimError::NotAMessage(MAX_SDP));
    }
    Ok(sdp)
}

async fn describe_remote(
    connection: &RtcPeerConnection,
    kind: RtcSdpType,
    sdp: &str,
) -> Result<(), ShimError> {
    let description = RtcSessionDescriptionInit::new(kind);
    description.set_sdp(sdp);
    JsFuture::from(connection.set_remote_description(&description)).await?;
    Ok(())
}

async fn add_candidate(connection: &RtcPeerConnection, signal: Signal) {
    let Signal::Candidate { candidate, sdp_mid, sdp_m_line_index } = signal else { return };
    let init = (!candidate.is_empty()).then(|| {
        let init = RtcIceCandidateInit::new(&candidate);
        init.set_sdp_mid(sdp_mid.as_deref());
        init.set_sdp_m_line_index(sdp_m_line_index);
        init
    });
    let added = connection.add_ice_candidate_with_opt_rtc_ice_candidate_init(init.as_ref());
    // One candidate that does not fit (an unknown address type, an earlier attempt's) leaves the
    // others their chance.
    let _: Result<JsValue, JsValue> = JsFuture::from(added).await;
}
