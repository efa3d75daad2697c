//! The signalling socket: opened when the server is reachable, kept open, and
//! opened again with growing waits when it goes.
//!
//! What was asked of the server is not kept here: [`crate::mesh::Mesh`] asks for
//! all of it again whenever a socket opens.

use std::cell::RefCell;
use std::rc::Rc;

use dcdn_protocol::message::coord::{FromCoord, MAX_MESSAGE, ToCoord};
use dcdn_protocol::{GroupId, PeerId, VERSION};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::channel::oneshot;
use futures::future::{Either, select};
use gloo_events::EventListener;
use gloo_timers::future::TimeoutFuture;
use js_sys::{ArrayBuffer, Math, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{BinaryType, MessageEvent, WebSocket};

use crate::backoff::{Backoff, after_goodbye};
use crate::browser;
use crate::error::ShimError;
use crate::task::Task;
use crate::wire;

/// Path of the signalling socket under the coordination server's base URL.
const PATH: &str = "/dcdn/ws";

/// Milliseconds that the worker may take to answer a probe.
const PROBE_TIMEOUT_MS: u32 = 5_000;

/// Milliseconds after which a socket has proved itself: the waits start anew.
const PROVEN_MS: f64 = 30_000.0;

/// Close code of a page that goes away (RFC 6455, section 7.4.1).
const NORMAL_CLOSURE: u16 = 1000;

/// What comes from the server's side.
#[derive(Debug)]
pub enum SocketEvent {
    /// A socket is open, and hello is said.
    Open,
    /// The server has answered.
    Welcome {
        /// Our id on the socket.
        me: PeerId,
        /// How often the server wants to hear what the page was served; `None` for never.
        report_every_ms: Option<u32>,
    },
    /// The server says something.
    Message(FromCoord),
    /// There is no socket: it closed, or the server is out of reach.
    Down,
}

/// The page's join token, which may be another the next time that a socket opens.
pub type Token = Rc<RefCell<Option<String>>>;

/// The socket, now or soon. Dropping it closes it for good.
pub struct Signalling {
    link: Rc<Link>,
    _task: Task,
    _online: EventListener,
}

/// What the task and its owner share.
struct Link {
    url: String,
    group: GroupId,
    token: Token,
    probe: Box<dyn Fn()>,
    emit: Box<dyn Fn(SocketEvent)>,
    socket: RefCell<Option<WebSocket>>,
    probed: RefCell<Option<oneshot::Sender<bool>>>,
    nudged: RefCell<Option<oneshot::Sender<()>>>,
}

impl Signalling {
    /// Opens a socket to the coordination server at `coord` (empty: the page's own
    /// origin) as soon as it is reachable, which `probe` asks about and
    /// [`Signalling::reachable`] answers. Each socket shows the `token` that there is then.
    ///
    /// # Errors
    /// If this is no page.
    pub fn start(
        coord: &str,
        token: Token,
        probe: Box<dyn Fn()>,
        emit: Box<dyn Fn(SocketEvent)>,
    ) -> Result<Self, ShimError> {
        let window = browser::window()?;
        let link = Rc::new(Link {
            url: socket_url(coord, &window.location().origin()?),
            group: browser::group(),
            token,
            probe,
            emit,
            socket: RefCell::default(),
            probed: RefCell::default(),
            nudged: RefCell::default(),
        });
        let nudge = Rc::clone(&link);
        Ok(Self {
            _online: EventListener::new(&window, "online", move |_| nudge.hurry()),
            _task: Task::spawn(stay_connected(Rc::clone(&link))),
            link,
        })
    }

    /// Tries again now if it waits to: something has changed.
    pub fn hurry(&self) {
        self.link.hurry();
    }

    /// The worker's answer to a probe.
    pub fn reachable(&self, up: bool) {
        if let Some(waiting) = self.link.probed.take() {
            // Nobody to tell if the answer came too late.
            let _ = waiting.send(up);
        }
    }

    /// Sends a message. Lost if the socket is not open.
    ///
    /// # Errors
    /// If the message does not fit.
    pub fn send(&self, message: &ToCoord) -> Result<(), ShimError> {
        let socket = self.link.socket.borrow();
        let Some(socket) = socket.as_ref() else { return Ok(()) };
        send(socket, message)
    }
}

impl Link {
    fn hurry(&self) {
        if let Some(waiting) = self.nudged.take() {
            // Nobody to wake if the wait has just ended.
            let _ = waiting.send(());
        }
    }
}

impl Drop for Signalling {
    fn drop(&mut self) {
        let Some(socket) = self.link.socket.take() else { return };
        if socket.ready_state() == WebSocket::CONNECTING {
            // To close it now would be an error in the page's console.
            let opened = socket.clone();
            let close = Closure::once_into_js(move || close(&opened));
            socket.set_onopen(Some(close.unchecked_ref()));
        } else {
            close(&socket);
        }
    }
}

fn close(socket: &WebSocket) {
    // Throws only for a code that is not ours to use.
    let _ = socket.close_with_code(NORMAL_CLOSURE);
}

async fn stay_connected(link: Rc<Link>) {
    let mut backoff = Backoff::default();
    loop {
        let started = browser::now();
        let mut goodbye = None;
        if is_reachable(&link).await {
            // Why it failed makes no difference to what comes next.
            goodbye = session(&link).await.unwrap_or_default();
            link.socket.take();
        }
        (link.emit)(SocketEvent::Down);

        if goodbye.is_some() || browser::now() - started > PROVEN_MS {
            backoff = Backoff::default();
        }
        let pause = match goodbye {
            Some(within_ms) => after_goodbye(within_ms, Math::random()),
            None => backoff.next(Math::random()),
        };
        if wait(&link, pause).await == Woken::Early {
            backoff = Backoff::default();
        }
    }
}

/// A socket that fails is an error in the page's console; a probe that fails is not.
async fn is_reachable(link: &Link) -> bool {
    let (answered, answer) = oneshot::channel();
    link.probed.replace(Some(answered));
    (link.probe)();
    match select(answer, TimeoutFuture::new(PROBE_TIMEOUT_MS)).await {
        Either::Left((answer, _)) => answer == Ok(true),
        Either::Right(_) => false,
    }
}

#[derive(PartialEq, Eq)]
enum Woken {
    ByTime,
    Early,
}

async fn wait(link: &Link, ms: f64) -> Woken {
    let (nudged, nudge) = oneshot::channel();
    link.nudged.replace(Some(nudged));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a minute at most")]
    let timeout = TimeoutFuture::new(ms as u32);
    match select(nudge, timeout).await {
        Either::Left(_) => Woken::Early,
        Either::Right(_) => Woken::ByTime,
    }
}

/// One socket from its opening to its end. Of a server that has said goodbye, over how many
/// milliseconds its pages are to spread their return.
async fn session(link: &Link) -> Result<Option<u32>, ShimError> {
    let socket = WebSocket::new(&link.url)?;
    socket.set_binary_type(BinaryType::Arraybuffer);
    link.socket.replace(Some(socket.clone()));
    let (mut events, _listeners) = listen(&socket);
    let mut goodbye = None;
    while let Some(event) = events.next().await {
        match event {
            RawEvent::Open => {
                let token = link.token.borrow().clone();
                send(&socket, &ToCoord::Hello { version: VERSION, group: link.group, token })?;
                (link.emit)(SocketEvent::Open);
            }
            // A message that this version does not know is not for this version.
            RawEvent::Message(None) => {}
            RawEvent::Message(Some(FromCoord::Welcome { version, peer: me, report_every_ms })) => {
                if version != VERSION {
                    socket.close_with_code(NORMAL_CLOSURE)?;
                    break;
                }
                (link.emit)(SocketEvent::Welcome { me, report_every_ms });
            }
            RawEvent::Message(Some(FromCoord::Goodbye { within_ms })) => goodbye = Some(within_ms),
            RawEvent::Message(Some(message)) => (link.emit)(SocketEvent::Message(message)),
            RawEvent::Close => break,
        }
    }
    Ok(goodbye)
}

enum RawEvent {
    Open,
    Message(Option<FromCoord>),
    Close,
}

fn listen(socket: &WebSocket) -> (UnboundedReceiver<RawEvent>, [EventListener; 3]) {
    let (events, receiver) = unbounded();
    let forward = |name, translate: fn(&MessageEvent) -> RawEvent| {
        let events = events.clone();
        EventListener::new(socket, name, move |event| {
            // Nobody to tell once the session has ended.
            let _ = events.unbounded_send(translate(event.unchecked_ref()));
        })
    };
    let listeners = [
        forward("open", |_| RawEvent::Open),
        forward("message", |event| RawEvent::Message(parse(event))),
        forward("close", |_| RawEvent::Close),
    ];
    (receiver, listeners)
}

fn parse(event: &MessageEvent) -> Option<FromCoord> {
    let buffer = event.data().dyn_into::<ArrayBuffer>().ok()?;
    if buffer.byte_length() as usize > MAX_MESSAGE {
        return None;
    }
    let bytes = Uint8Array::new(&buffer).to_vec();
    wire::message(&bytes).ok()
}

fn send(socket: &WebSocket, message: &ToCoord) -> Result<(), ShimError> {
    if socket.ready_state() != WebSocket::OPEN {
        return Ok(());
    }
    Ok(socket.send_with_u8_array(&wire::head(message)?)?)
}

/// `http` becomes `ws` and `https` becomes `wss`.
fn socket_url(coord: &str, origin: &str) -> String {
    let base = if coord.is_empty() { origin } else { coord.trim_end_matches('/') };
    match base.strip_prefix("http") {
        Some(rest) => format!("ws{rest}{PATH}"),
        None => format!("{base}{PATH}"),
    }
}

#[cfg(test)]
mod tests {
    use super::socket_url;

    #[test]
    fn the_socket_is_at_the_pages_own_origin_unless_the_site_says_otherwise() {
        let origin = "http://127.0.0.1:8080";
        assert_eq!(socket_url("", origin), "ws://127.0.0.1:8080/dcdn/ws");
        assert_eq!(socket_url("https://c.example/x/", origin), "wss://c.example/x/dcdn/ws");
        assert_eq!(socket_url("wss://c.example", origin), "wss://c.example/dcdn/ws");
    }
}
