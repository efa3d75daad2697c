//! One signalling socket, from its opening to its end.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use dcdn_protocol::message::coord::{ErrorCode, FromCoord, MAX_MESSAGE, ToCoord};
use dcdn_protocol::{PeerId, frame};
use futures::{SinkExt, StreamExt, poll};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tungstenite::error::ProtocolError;

use super::outbox::{Outbox, Outgoing};
use super::{Caller, Hub, encode};
use crate::metrics::name_of_code;
use crate::registry::Event;

/// Bytes of a message at which nothing more is read of the socket. Who sends more than
/// [`MAX_MESSAGE`] and stays below this hears why even while it still sends.
pub(super) const HARD_LIMIT: usize = 4 * MAX_MESSAGE;

/// Bytes that are gathered for one write.
pub(super) const WRITE_AT_ONCE: usize = 16 * 1024;

/// Messages that are read before what they led to is written.
const READ_AT_ONCE: usize = 32;

/// Heartbeats without a sign of life after which a socket is dead.
const MISSES: u32 = 2;

/// Time that the last words to a socket may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a socket's time ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The other side closed it, or it broke.
    Gone,
    /// It does not answer.
    Dead,
    /// It does not take what is sent to it.
    Slow,
    /// What comes are no frames of a client.
    NoFrames,
    /// Text that is no UTF-8.
    NotUtf8,
    /// It was refused and has been told.
    Refused(ErrorCode),
    /// Nothing was said in time.
    Silent,
    /// A message over [`MAX_MESSAGE`].
    TooLong,
    /// The server stops; pages come back spread over this time.
    Stopping {
        /// In milliseconds.
        within_ms: u32,
    },
}

/// Serves a socket until it ends. At that moment, however it comes, the peer is
/// out of its swarms.
pub(super) async fn attend(hub: Arc<Hub>, mut socket: WebSocket, caller: Caller) {
    let outbox = Arc::new(Outbox::default());
    let mut presence = Presence::new(&hub, &outbox, caller);
    let end = tokio::select! {
        biased;
        () = hub.life.stop.cancelled() => End::Stopping { within_ms: hub.return_within_ms() },
        end = converse(&mut presence, &mut socket, &outbox) => end,
    };
    tracing::debug!(peer = %presence.peer, ?end, "socket ends");
    hub.metrics.ends.of(end).inc();
    drop(presence);
    // Whoever does not listen to the last words either is left alone.
    let _ = timeout(FAREWELL, part(end, socket)).await;
}

/// A peer's place in the hub, given up when dropped.
struct Presence<'a> {
    hub: &'a Hub,
    peer: PeerId,
    caller: Caller,
    /// Whether a ping of ours has no answer yet: that one costs nothing.
    is_asked: bool,
}

impl<'a> Presence<'a> {
    fn new(hub: &'a Hub, outbox: &Arc<Outbox>, caller: Caller) -> Self {
        hub.metrics.sockets.inc();
        Self { hub, peer: hub.connect(Arc::clone(outbox), caller.place), caller, is_asked: false }
    }

    fn hear(&mut self, event: Event) {
        if matches!(event, Event::Beat(_)) && std::mem::take(&mut self.is_asked) {
            return;
        }
        self.hub.handle(self.peer, event, &self.caller);
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.hub.disconnect(self.peer);
        self.hub.metrics.sockets.dec();
    }
}

/// Reads and writes until either ends. While the other side takes nothing, nothing more
/// of it is read either.
async fn converse(presence: &mut Presence<'_>, socket: &mut WebSocket, outbox: &Outbox) -> End {
    let limits = presence.hub.limits;
    let Ok(first) = timeout(limits.hello_within, hear(socket)).await else {
        return End::Silent;
    };
    match first {
        Ok(event) => presence.hear(event),
        Err(end) => return end,
    }
    let heartbeat = limits.heartbeat;
    let mut beats = interval(heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent_beats = 0;
    loop {
        let orders = tokio::select! {
            biased;
            orders = outbox.take() => match orders {
                Some(orders) => orders,
                None => return End::Slow,
            },
            message = socket.recv() => {
                silent_beats = 0;
                match read(presence, socket, message).await {
                    Ok(()) => continue,
                    Err(end) => return end,
                }
            }
            _ = beats.tick() => {
                silent_beats += 1;
                if silent_beats > MISSES {
                    return End::Dead;
                }
                presence.is_asked = true;
                vec![Outgoing::Ping]
            }
        };
        let written = tokio::select! {
            biased;
            written = write(socket, orders) => written,
            () = outbox.until_cut() => Err(End::Slow),
            () = sleep(heartbeat * MISSES) => Err(End::Slow),
        };
        if let Err(end) = written {
            return end;
        }
    }
}

/// Sends all of it, with as few writes as it takes.
async fn write(socket: &mut WebSocket, orders: Vec<Outgoing>) -> Result<(), End> {
    let mut refused = None;
    for outgoing in orders {
        let message = match outgoing {
            Outgoing::Message(frame) => Message::Binary(frame),
            Outgoing::Ping => Message::Ping(Bytes::new()),
            Outgoing::Close(code) => {
                refused = Some(code);
                break;
            }
        };
        socket.feed(message).await.map_err(|_| End::Gone)?;
    }
    socket.flush().await.map_err(|_| End::Gone)?;
    refused.map_or(Ok(()), |code| Err(End::Refused(code)))
}

/// Obeys a message, and those that are there behind it.
async fn read(
    presence: &mut Presence<'_>,
    socket: &mut WebSocket,
    first: Option<Result<Message, axum::Error>>,
) -> Result<(), End> {
    let mut message = first;
    for _ in 1..READ_AT_ONCE {
        presence.hear(understand(message)?);
        match poll!(socket.next()) {
            Poll::Ready(next) => message = next,
            Poll::Pending => return Ok(()),
        }
    }
    presence.hear(understand(message)?);
    Ok(())
}

/// The next message that says something.
async fn hear(socket: &mut WebSocket) -> Result<Event, End> {
    loop {
        match understand(socket.recv().await)? {
            Event::Beat(_) => {}
            event => return Ok(event),
        }
    }
}

/// What came.
fn understand(message: Option<Result<Message, axum::Error>>) -> Result<Event, End> {
    let message = message.ok_or(End::Gone)?;
    match message.map_err(end_of)? {
        Message::Binary(bytes) if bytes.len() > MAX_MESSAGE => Err(End::TooLong),
        Message::Text(text) if text.len() > MAX_MESSAGE => Err(End::TooLong),
        Message::Binary(bytes) => Ok(decode(&bytes)),
        Message::Text(text) => Ok(Event::Garbled("messages are binary".to_owned(), text.len())),
        Message::Ping(bytes) | Message::Pong(bytes) => Ok(Event::Beat(bytes.len())),
        Message::Close(_) => Err(End::Gone),
    }
}

/// What an error of the WebSocket means.
fn end_of(error: axum::Error) -> End {
    use tungstenite::Error as E;
    match error.into_inner().downcast_ref() {
        Some(E::Capacity(_)) => End::TooLong,
        Some(E::Utf8(_)) => End::NotUtf8,
        Some(E::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => End::Gone,
        Some(E::Protocol(_)) => End::NoFrames,
        _ => End::Gone,
    }
}

fn decode(bytes: &[u8]) -> Event {
    match frame::decode::<ToCoord>(bytes) {
        Ok((message, [])) => Event::Received(message, bytes.len()),
        Ok(_) => Event::Garbled("a message here has no body".to_owned(), bytes.len()),
        Err(error) => Event::Garbled(error.to_string(), bytes.len()),
    }
}

/// Says why, closes, and waits for the other side to close too, so that the last
/// words are not lost with the connection.
async fn part(end: End, mut socket: WebSocket) {
    if let End::Stopping { within_ms } = end
        && let Some(goodbye) = encode(&FromCoord::Goodbye { within_ms })
    {
        let _ = socket.send(Message::Binary(goodbye)).await;
    }
    let (status, reason, message) = last_words(end);
    let error = message.map(|(code, message)| FromCoord::Error { code, message, peer: None });
    if let Some(error) = error.as_ref().and_then(encode) {
        let _ = socket.send(Message::Binary(error)).await;
    }
    let close = CloseFrame { code: status, reason: reason.into() };
    if socket.send(Message::Close(Some(close))).await.is_err() {
        return;
    }
    while let Some(Ok(_)) = socket.recv().await {}
}

/// Code and reason of the closing, and the error before it if that is not said yet.
fn last_words(end: End) -> (u16, &'static str, Option<(ErrorCode, String)>) {
    let with = |status, code, message: &str| {
        (status, name_of_code(code), Some((code, message.to_owned())))
    };
    match end {
        End::Gone => (close_code::NORMAL, "", None),
        End::Stopping { .. } => (close_code::AWAY, "", None),
        End::Dead => (close_code::POLICY, "no_answer", None),
        End::Slow => (close_code::POLICY, "too_slow", None),
        End::Refused(code) => (close_code::POLICY, name_of_code(code), None),
        End::Silent => with(close_code::POLICY, ErrorCode::HelloFirst, "no hello in time"),
        End::TooLong => {
            let message = format!("a message has {MAX_MESSAGE} bytes at the most");
            with(close_code::SIZE, ErrorCode::RateLimit, &message)
        }
        End::NoFrames => {
            with(close_code::PROTOCOL, ErrorCode::BadMessage, "these are no frames of a WebSocket")
        }
        End::NotUtf8 => with(close_code::INVALID, ErrorCode::BadMessage, "text is UTF-8"),
    }
}
