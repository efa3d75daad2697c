//! `GET /dcdn/ws`: a WebSocket of [`message::coord`](dcdn_protocol::message::coord).
//!
//! With `?probe=1` it answers 204 where a socket would open: a page asks before
//! it tries, because a socket that fails is an error in the page's console.
//! Without an upgrade it answers 426.

mod origin;
mod outbox;
mod socket;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dcdn_protocol::message::coord::{ErrorCode, FromCoord, MAX_MESSAGE, ToCoord};
use dcdn_protocol::{ContentId, PeerId, frame};
use smallvec::SmallVec;
use tokio::sync::mpsc;

pub use self::origin::{AllowedOrigins, NotAnOrigin, is_same_origin};
use self::outbox::{Outbox, Outgoing, Room};
pub use self::socket::End;
use crate::asker::Asker;
use crate::cluster::{self, Letter, NodeId};
use crate::error::ApiError;
use crate::limit::address::{Guard, NoSocket, SocketPermit};
use crate::metrics::Metrics;
use crate::registry::{self, Effect, Event, PeerMap, Place, Registry, RemoteMember};
use crate::server::Lifetime;
use crate::tokens::Tokens;

/// Pages per second that may come back when a server has stopped. Whoever takes over also
/// has a hello and a join of each to answer.
const RETURNS_PER_SECOND: usize = 1000;

/// When somebody for whom there is no socket may try again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Bounds and times of signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What one socket may do.
    pub socket: registry::Limits,
    /// Sockets open at once.
    pub sockets: usize,
    /// Messages that wait for one socket to take them; with one more it is cut.
    pub queue: usize,
    /// Bytes of those.
    pub queue_bytes: usize,
    /// Time from a socket's opening to its hello.
    pub hello_within: Duration,
    /// Time between two pings. A socket that says nothing for two of these, not
    /// even a pong, is dead.
    pub heartbeat: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            socket: registry::Limits::default(),
            sockets: 16_384,
            queue: 512,
            queue_bytes: 256 * 1024,
            hello_within: Duration::from_secs(5),
            heartbeat: Duration::from_secs(20),
        }
    }
}

/// All signalling sockets of a server, and what connects them to the [`Registry`].
#[derive(Debug)]
pub struct Hub {
    state: Mutex<Switchboard>,
    limits: Limits,
    origins: AllowedOrigins,
    guard: Guard,
    tokens: Option<Tokens>,
    metrics: Arc<Metrics>,
    life: Lifetime,
    room: Room,
    return_within_ms: OnceLock<u32>,
    node: NodeId,
    /// The way to other nodes, if there are any.
    post: Option<mpsc::Sender<Letter>>,
}

/// Whose socket it is.
#[derive(Debug)]
struct Caller {
    permit: SocketPermit,
    place: Place,
    /// Of its page, where tokens are asked for.
    origin: Option<HeaderValue>,
}

/// What is to be done for the socket at the end of `line`.
struct Order {
    line: Arc<Outbox>,
    effect: Effect,
}

/// For [`cluster`]: other nodes.
impl Hub {
    /// This node.
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Has the registry decide something at this time, and carries it out.
    pub(crate) fn registry(&self, decide: impl FnOnce(&mut Registry, Instant) -> Vec<Effect>) {
        self.perform(|registry| decide(registry, Instant::now()));
    }

    /// Swarms that others are to be told of now.
    pub(crate) fn due(&self, most: usize) -> Vec<(ContentId, Vec<RemoteMember>)> {
        self.lock().registry.due(Instant::now(), most)
    }

    /// A letter has come for a peer of this node.
    pub(crate) fn receive(&self, letter: Letter) {
        match letter {
            Letter::Unknown { to, peer } => {
                self.registry(|registry, _| vec![registry.lost(to, peer)]);
            }
            Letter::Signal(envelope) => {
                let (from, to) = (envelope.from, envelope.to);
                let mut is_here = false;
                self.registry(|registry, now| {
                    let effect = registry.deliver(envelope, now);
                    is_here = effect.is_some();
                    Vec::from_iter(effect)
                });
                if !is_here {
                    self.forward(Letter::Unknown { to: from, peer: to });
                }
            }
        }
    }

    /// A letter did not reach its node: its sender is told.
    pub(crate) fn undeliverable(&self, letter: Letter) {
        if let Letter::Signal(envelope) = letter {
            self.registry(|registry, _| vec![registry.lost(envelope.from, envelope.to)]);
        }
    }

    fn forward(&self, letter: Letter) {
        let Some(post) = &self.post else { return };
        match post.try_reserve() {
            Ok(place) => place.send(letter),
            Err(_) => self.undeliverable(letter),
        }
    }
}

#[derive(Debug)]
struct Switchboard {
    registry: Registry,
    lines: PeerMap<Arc<Outbox>>,
}

impl Hub {
    /// No sockets yet. `guard` bounds them; all are closed at the end of `life`.
    pub fn new(
        limits: Limits,
        origins: AllowedOrigins,
        guard: Guard,
        metrics: Arc<Metrics>,
        life: Lifetime,
    ) -> Self {
        let registry = Registry::new(limits.socket, rand::make_rng());
        Self {
            state: Mutex::new(Switchboard { registry, lines: PeerMap::default() }),
            limits,
            origins,
            guard,
            tokens: None,
            metrics,
            life,
            room: Room { messages: limits.queue, bytes: limits.queue_bytes },
            return_within_ms: OnceLock::new(),
            node: NodeId(rand::random()),
            post: None,
        }
    }

    /// Over how long pages that are sent away are to come back, by how many there are when
    /// the first is.
    fn return_within_ms(&self) -> u32 {
        *self.return_within_ms.get_or_init(|| return_within_ms(self.lock().lines.len()))
    }

    /// Asks pages for tokens.
    pub fn with_tokens(self, tokens: Option<Tokens>) -> Self {
        Self { tokens, ..self }
    }

    /// Has letters for peers of other nodes go to `post`.
    pub fn with_post(self, post: mpsc::Sender<Letter>) -> Self {
        Self { post: Some(post), ..self }
    }

    fn connect(&self, line: Arc<Outbox>, place: Place) -> PeerId {
        let peer = cluster::new_peer(self.node);
        let mut state = self.lock();
        state.registry.handle(peer, Event::Connected(place), Instant::now());
        state.lines.insert(peer, line);
        self.count(&state);
        peer
    }

    fn disconnect(&self, peer: PeerId) {
        let mut state = self.lock();
        state.lines.remove(&peer);
        state.registry.handle(peer, Event::Disconnected, Instant::now());
        self.count(&state);
    }

    /// Passes a socket's event on and carries out what follows.
    fn handle(&self, from: PeerId, event: Event, caller: &Caller) {
        self.metrics.messages.of(&event).inc();
        let now = Instant::now();
        let event = match caller.permit.hear(&event, now) {
            Ok(()) => self.with_token(event, caller),
            Err(excess) => Event::Refused(ErrorCode::AddressLimit, excess.to_string()),
        };
        let asks_for_peers = matches!(event, Event::Received(ToCoord::Join { .. }, _));
        let mut answered_after = None;
        self.perform(|registry| {
            let effects = registry.handle(from, event, now);
            answered_after = asks_for_peers.then(|| now.elapsed());
            effects
        });
        if let Some(time) = answered_after {
            self.metrics.recommend.observe(time.as_secs_f64());
        }
    }

    /// A hello without a good token is refused, where there must be one.
    fn with_token(&self, event: Event, caller: &Caller) -> Event {
        let (Some(tokens), Event::Received(ToCoord::Hello { token, .. }, _)) =
            (&self.tokens, &event)
        else {
            return event;
        };
        let origin = caller.origin.as_ref().and_then(|it| it.to_str().ok());
        match tokens.check(token.as_deref(), origin, SystemTime::now()) {
            Ok(()) => event,
            Err(why) => Event::Refused(ErrorCode::Token, why.to_string()),
        }
    }

    /// Has the registry decide something, and carries it out when others can have the
    /// registry again.
    fn perform(&self, decide: impl FnOnce(&mut Registry) -> Vec<Effect>) {
        let mut state = self.lock();
        let effects = decide(&mut state.registry);
        let orders: SmallVec<[Order; 1]> = effects
            .into_iter()
            .filter_map(|effect| {
                let line = Arc::clone(state.lines.get(&effect.socket())?);
                Some(Order { line, effect })
            })
            .collect();
        self.count(&state);
        drop(state);
        for Order { line, effect } in orders {
            self.carry_out(&line, effect);
        }
    }

    /// Queues something for a socket. Who lets its queue run full is cut off, as
    /// is everything it is in: others must not wait for it, nor we keep its mail.
    fn carry_out(&self, line: &Outbox, effect: Effect) {
        let socket = effect.socket();
        let outgoing = match effect {
            Effect::Count(_, bytes) => return self.metrics.reported.add(&bytes),
            Effect::Forward(envelope) => return self.forward(Letter::Signal(envelope)),
            Effect::Send(_, message) => {
                if let FromCoord::Error { code, .. } = &message {
                    self.metrics.refusals.of(*code).inc();
                }
                let Some(frame) = encode(&message) else { return };
                Outgoing::Message(frame)
            }
            Effect::Close(_, code) => Outgoing::Close(code),
        };
        if line.put(outgoing, self.room).is_err() {
            line.cut();
            self.disconnect(socket);
            self.metrics.slow_readers.inc();
        }
    }

    /// The `most` swarms with the most browsers, and how many those are.
    pub fn largest(&self, most: usize) -> Vec<(ContentId, usize)> {
        self.lock().registry.largest(most)
    }

    fn count(&self, state: &Switchboard) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.peers.set(gauge(state.registry.peer_count()));
        self.metrics.swarms.set(gauge(state.registry.swarm_count()));
    }

    fn lock(&self) -> MutexGuard<'_, Switchboard> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A second at least: those of a few tabs need not meet either.
fn return_within_ms(pages: usize) -> u32 {
    u32::try_from(pages * 1000 / RETURNS_PER_SECOND).unwrap_or(u32::MAX).clamp(1000, 30_000)
}

/// Answers `GET /dcdn/ws`.
pub async fn open(
    State(hub): State<Arc<Hub>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let is_probe = query.unwrap_or_default().split('&').any(|field| field == "probe=1");
    let is_upgrade = request.headers().contains_key(header::UPGRADE);
    if !is_probe && !is_upgrade {
        return upgrade_required();
    }
    if !hub.origins.allow(request.uri(), request.headers()) {
        let message = "pages of this origin may not open a socket here; see --allow-origin";
        return ApiError::new(StatusCode::FORBIDDEN, "origin", message).into_response();
    }
    let (visitor, now) = (Asker::of(&request).visitor, Instant::now());
    let purse = hub.guard.purse(visitor, now);
    if is_probe {
        return match purse.check_socket(now) {
            Ok(()) => {
                (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response()
            }
            Err(full) => too_many(full),
        };
    }
    let permit = match purse.socket(now) {
        Ok(permit) => permit,
        Err(full) => return too_many(full),
    };
    let caller = Caller {
        permit,
        place: visitor.map_or(Place::UNKNOWN, Place::from),
        origin: request.headers().get(header::ORIGIN).filter(|_| hub.tokens.is_some()).cloned(),
    };
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade
            .max_message_size(socket::HARD_LIMIT)
            .max_frame_size(socket::HARD_LIMIT)
            .read_buffer_size(4 * 1024)
            .write_buffer_size(socket::WRITE_AT_ONCE)
            .max_write_buffer_size(socket::WRITE_AT_ONCE + 4 * MAX_MESSAGE)
            .on_upgrade(move |socket| {
                let tasks = hub.life.tasks.clone();
                tasks.track_future(socket::attend(hub, socket, caller))
            }),
        Err(rejection) => {
            ApiError::new(rejection.status(), "bad_upgrade", rejection.body_text()).into_response()
        }
    }
}

fn upgrade_required() -> Response {
    let message = "this is a WebSocket; ask for an upgrade, or with ?probe=1 whether it is there";
    let error = ApiError::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message);
    let mut response = error.into_response();
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

fn too_many(full: NoSocket) -> Response {
    let (status, code) = match full {
        NoSocket::Full => (StatusCode::SERVICE_UNAVAILABLE, "too_many_sockets"),
        NoSocket::Address(_) => (StatusCode::TOO_MANY_REQUESTS, "address_limit"),
    };
    ApiError::new(status, code, full.to_string()).retry_after(TRY_AGAIN_AFTER).into_response()
}

/// Every message of ours fits a frame: what it repeats of a page's is bounded.
fn encode(message: &FromCoord) -> Option<Bytes> {
    match frame::encode_head(message) {
        Ok(bytes) => Some(bytes.into()),
        Err(error) => {
            tracing::error!(%error, "cannot encode a message");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_pages_are_sent_away_the_longer_they_take_to_come_back() {
        let pages = [0, 1, 5_000, 16_384, 1_000_000];
        assert_eq!(pages.map(return_within_ms), [1000, 1000, 5000, 16_384, 30_000]);
    }
}
