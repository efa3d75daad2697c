//! One signalling socket, from its opening to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use dcdn_protocol::PeerId;
use dcdn_protocol::frame;
use dcdn_protocol::message::coord::{ErrorCode, FromCoord, MAX_MESSAGE, ToCoord};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{Hub, Line, Outgoing, name_of_code};
use crate::limit::SocketPermit;
use crate::registry::Event;

/// Bytes of a message at which the connection breaks. Between [`MAX_MESSAGE`] and
/// this there is still time to say why.
pub(super) const HARD_LIMIT: usize = 4 * MAX_MESSAGE;

/// Heartbeats without a sign of life after which a socket is dead.
const MISSES: u32 = 2;

/// Time that the last words to a socket may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a socket's time ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side closed it, or it broke.
    Gone,
    /// It does not answer, or does not take what is sent to it.
    Dead,
    /// It was refused and has been told.
    Refused(ErrorCode),
    /// Nothing was said in time.
    Silent,
    /// A message over [`MAX_MESSAGE`].
    TooLong,
    /// The server stops.
    Stopping,
}

/// Serves a socket until it ends. At that moment, however it comes, the peer is
/// out of its swarms.
pub(super) async fn attend(hub: Arc<Hub>, socket: WebSocket, permit: SocketPermit) {
    let (queue, mut outbox) = mpsc::channel(hub.limits.queue);
    let cut = CancellationToken::new();
    let presence = Presence::new(&hub, Line { queue: queue.clone(), cut: cut.clone() }, permit);
    let (mut sink, mut stream) = socket.split();
    let alive = AtomicBool::new(true);

    let end = tokio::select! {
        biased;
        () = hub.life.stop.cancelled() => End::Stopping,
        () = cut.cancelled() => End::Dead,
        end = write(&mut sink, &mut outbox) => end,
        end = read(&hub, presence.peer, &mut stream, &alive) => end,
        () = heartbeat(hub.limits.heartbeat, &queue, &alive) => End::Dead,
    };
    tracing::debug!(peer = %presence.peer, ?end, "socket ends");
    drop(presence);
    // Whoever does not listen to the last words either is left alone.
    let _ = timeout(FAREWELL, part(end, sink, stream)).await;
}

/// A peer's place in the hub, given up when dropped.
struct Presence<'a> {
    hub: &'a Hub,
    peer: PeerId,
    _permit: SocketPermit,
}

impl<'a> Presence<'a> {
    fn new(hub: &'a Hub, line: Line, permit: SocketPermit) -> Self {
        hub.metrics.sockets.inc();
        Self { hub, peer: hub.connect(line), _permit: permit }
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.hub.disconnect(self.peer);
        self.hub.metrics.sockets.dec();
    }
}

async fn write(
    sink: &mut SplitSink<WebSocket, Message>,
    outbox: &mut mpsc::Receiver<Outgoing>,
) -> End {
    while let Some(outgoing) = outbox.recv().await {
        let message = match outgoing {
            Outgoing::Message(message) => encode(&message),
            Outgoing::Ping => Some(Message::Ping(Bytes::new())),
            Outgoing::Close(code) => return End::Refused(code),
        };
        let Some(message) = message else { continue };
        if sink.send(message).await.is_err() {
            return End::Gone;
        }
    }
    End::Gone
}

async fn read(
    hub: &Hub,
    peer: PeerId,
    stream: &mut SplitStream<WebSocket>,
    alive: &AtomicBool,
) -> End {
    let Ok(first) = timeout(hub.limits.hello_within, next(stream, alive)).await else {
        return End::Silent;
    };
    let mut incoming = first;
    loop {
        match incoming {
            Ok(event) => hub.handle(peer, event),
            Err(end) => return end,
        }
        incoming = next(stream, alive).await;
    }
}

/// The next message; what the other side says only to show that it is there is
/// noted in `alive`.
async fn next(stream: &mut SplitStream<WebSocket>, alive: &AtomicBool) -> Result<Event, End> {
    loop {
        let Some(Ok(message)) = stream.next().await else { return Err(End::Gone) };
        alive.store(true, Ordering::Relaxed);
        match message {
            Message::Binary(bytes) if bytes.len() > MAX_MESSAGE => return Err(End::TooLong),
            Message::Text(text) if text.len() > MAX_MESSAGE => return Err(End::TooLong),
            Message::Binary(bytes) => return Ok(decode(&bytes)),
            Message::Text(text) => {
                return Ok(Event::Garbled("messages are binary".to_owned(), text.len()));
            }
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return Err(End::Gone),
        }
    }
}

fn decode(bytes: &[u8]) -> Event {
    match frame::decode::<ToCoord>(bytes) {
        Ok((message, [])) => Event::Received(message, bytes.len()),
        Ok(_) => Event::Garbled("a message here has no body".to_owned(), bytes.len()),
        Err(error) => Event::Garbled(error.to_string(), bytes.len()),
    }
}

/// Every message of ours fits a frame: what it repeats of a page's is bounded.
fn encode(message: &FromCoord) -> Option<Message> {
    match frame::encode(message, &[]) {
        Ok(bytes) => Some(Message::Binary(bytes.into())),
        Err(error) => {
            tracing::error!(%error, "cannot encode a message");
            None
        }
    }
}

/// Ends when the other side has shown no life for [`MISSES`] periods.
async fn heartbeat(period: Duration, queue: &mpsc::Sender<Outgoing>, alive: &AtomicBool) {
    let mut beats = interval(period);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut missed = 0;
    loop {
        beats.tick().await;
        missed = if alive.swap(false, Ordering::Relaxed) { 0 } else { missed + 1 };
        if missed >= MISSES {
            return;
        }
        // A full queue is the hub's affair; it holds a ping or something better.
        let _ = queue.try_send(Outgoing::Ping);
    }
}

/// Says why, closes, and waits for the other side to close too, so that the last
/// words are not lost with the connection.
async fn part(
    end: End,
    mut sink: SplitSink<WebSocket, Message>,
    mut stream: SplitStream<WebSocket>,
) {
    let (status, said) = match end {
        End::Gone => (close_code::NORMAL, None),
        End::Dead => return,
        End::Refused(code) => (close_code::POLICY, Some((code, None))),
        End::Silent => {
            (close_code::POLICY, Some((ErrorCode::HelloFirst, Some("no hello in time".to_owned()))))
        }
        End::TooLong => {
            let message = format!("a message has {MAX_MESSAGE} bytes at the most");
            (close_code::SIZE, Some((ErrorCode::RateLimit, Some(message))))
        }
        End::Stopping => (close_code::AWAY, None),
    };
    let mut reason = "";
    if let Some((code, message)) = said {
        reason = name_of_code(code);
        let error = message.map(|message| FromCoord::Error { code, message, peer: None });
        if let Some(error) = error.as_ref().and_then(encode) {
            let _ = sink.send(error).await;
        }
    }
    let close = CloseFrame { code: status, reason: reason.into() };
    if sink.send(Message::Close(Some(close))).await.is_err() {
        return;
    }
    while let Some(Ok(_)) = stream.next().await {}
}
