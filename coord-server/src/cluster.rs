//! Other nodes of the same site, through Redis: any node serves any visitor.
//!
//! Nothing here is needed for peers of one node, and nothing waits for it: while Redis is
//! away each node goes on with its own peers, and tries again every second.
//!
//! | in Redis | is | by |
//! |---|---|---|
//! | `dcdn:{CONTENT}` | hash of node to some of its members of that swarm, in JSON; the key expires | each node for each of its swarms, every second to ten |
//! | `dcdn:{NODE}` | shard channel (`SSUBSCRIBE`, Redis 7) with [`Letter`]s for peers of that node | whoever has one |
//!
//! A swarm costs Redis the same whatever its size: each node shows a few members at a time,
//! others each time, and the nodes that read them keep them for 25 s.

mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use dcdn_protocol::{ContentId, PeerId};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind,
    RedisError, RedisResult, Value,
};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use self::wire::Share;
pub use self::wire::{Letter, NodeId};
use crate::signalling::Hub;

/// Time between two looks at what is due.
const TICK: Duration = Duration::from_millis(20);

/// Swarms that are told in one round trip.
const AT_ONCE: usize = 256;

/// Letters that wait to be sent; with more, the sender hears that the peer is unknown.
pub const MAX_LETTERS: usize = 4096;

/// Time that Redis may take to answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time between two attempts to reach it.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Seconds after which a swarm that nobody tells of is gone from Redis.
const EXPIRES: u64 = 60;

/// How long a share counts. Nodes' clocks should agree to some seconds.
const VALID: Duration = Duration::from_secs(30);

/// Where Redis is.
#[derive(Clone, Debug)]
pub struct RedisUrl(Client);

impl std::str::FromStr for RedisUrl {
    type Err = RedisError;

    /// `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`.
    fn from_str(text: &str) -> Result<Self, RedisError> {
        let info = text.into_connection_info()?;
        // Messages of channels come on the same connection as answers.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        Ok(Self(Client::open(info.set_redis_settings(settings))?))
    }
}

/// Keeps a node in touch with the others until `stop`. `letters` are for peers of theirs.
pub async fn run(
    hub: Arc<Hub>,
    url: RedisUrl,
    mut letters: mpsc::Receiver<Letter>,
    stop: CancellationToken,
) {
    let work = async {
        let mut is_away = false;
        loop {
            let gone = CancellationToken::new();
            let error = match connect(&hub, &url, &gone).await {
                Ok(redis) => {
                    is_away = false;
                    stay(&hub, redis, &mut letters, &gone).await
                }
                Err(error) => error,
            };
            hub.metrics().redis_up.set(0);
            hub.registry(|registry, _| registry.alone());
            if !std::mem::replace(&mut is_away, true) {
                tracing::warn!(%error, "Redis is away; this node goes on alone and tries again");
            }
            while let Ok(letter) = letters.try_recv() {
                hub.undeliverable(letter);
            }
            sleep(AGAIN_AFTER).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// A connection on which this node hears its letters. `gone` is cancelled when it ends.
async fn connect(
    hub: &Arc<Hub>,
    url: &RedisUrl,
    gone: &CancellationToken,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
        .set_push_sender(listener(hub, gone));
    let mut redis = url.0.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("SSUBSCRIBE").arg(channel(hub.node())).exec_async(&mut redis).await?;
    hub.metrics().redis_up.set(1);
    hub.metrics().redis_connections.inc();
    tracing::info!(node = %hub.node(), "in touch with other nodes through Redis");
    hub.registry(|registry, _| {
        registry.share();
        Vec::new()
    });
    Ok(redis)
}

/// Tells and hears until something fails.
async fn stay(
    hub: &Hub,
    mut redis: MultiplexedConnection,
    letters: &mut mpsc::Receiver<Letter>,
    gone: &CancellationToken,
) -> RedisError {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        let done = tokio::select! {
            () = gone.cancelled() => Err(closed()),
            _ = ticks.tick() => exchange(hub, &mut redis).await,
            _ = letters.recv_many(&mut batch, AT_ONCE) => {
                post(hub, &mut redis, std::mem::take(&mut batch)).await
            }
        };
        if let Err(error) = done {
            return error;
        }
    }
}

fn closed() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()
}

/// Hears the letters for this node. Runs in the connection's own task and never waits.
fn listener(
    hub: &Arc<Hub>,
    gone: &CancellationToken,
) -> impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static {
    let (hub, gone) = (Arc::downgrade(hub), gone.clone());
    move |push| {
        match push.kind {
            PushKind::Disconnection => gone.cancel(),
            PushKind::SMessage => {
                if let ([_, Value::BulkString(bytes)], Some(hub)) = (&push.data[..], hub.upgrade())
                    && let Some(letter) = Letter::from_bytes(bytes)
                {
                    hub.receive(letter);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Shows some members of the swarms that are due, and looks whom others show.
async fn exchange(hub: &Hub, redis: &mut MultiplexedConnection) -> RedisResult<()> {
    loop {
        let due = hub.due(AT_ONCE);
        if due.is_empty() {
            return Ok(());
        }
        let until = unix_millis(SystemTime::now() + VALID);
        let (node, mut asked) = (hub.node().to_string(), Vec::new());
        let mut commands = redis::pipe();
        for (content, members) in &due {
            let key = key_of(*content);
            let Some(share) = Share::to_bytes(until, members) else {
                commands.hdel(&key, &node).ignore();
                continue;
            };
            commands.hset(&key, &node, share).ignore();
            commands.cmd("EXPIRE").arg(&key).arg(EXPIRES).ignore();
            commands.hgetall(&key);
            asked.push(*content);
        }
        let shown: Vec<HashMap<String, Vec<u8>>> = commands.query_async(redis).await?;
        for (content, shares) in asked.into_iter().zip(shown) {
            take_in(hub, content, shares);
        }
        if due.len() < AT_ONCE {
            return Ok(());
        }
    }
}

/// Lets the registry know whom other nodes show.
fn take_in(hub: &Hub, content: ContentId, shares: HashMap<String, Vec<u8>>) {
    let now = unix_millis(SystemTime::now());
    let own = hub.node().to_string();
    let others = shares.into_iter().filter(|(node, _)| *node != own);
    let members: Vec<_> =
        others.flat_map(|(_, bytes)| Share::members_of(&bytes, now).unwrap_or_default()).collect();
    hub.registry(|registry, now: Instant| registry.learn(content, members, now));
}

/// Sends letters; whose node does not listen is unknown.
async fn post(
    hub: &Hub,
    redis: &mut MultiplexedConnection,
    letters: Vec<Letter>,
) -> RedisResult<()> {
    let mut commands = redis::pipe();
    for letter in &letters {
        commands.cmd("SPUBLISH").arg(channel(letter.node())).arg(letter.to_bytes());
    }
    let heard: RedisResult<Vec<u32>> = commands.query_async(redis).await;
    let reached = |place: usize| heard.as_ref().is_ok_and(|heard| heard.get(place) > Some(&0));
    hub.metrics().forwarded.inc_by(letters.len() as u64);
    for (place, letter) in letters.into_iter().enumerate() {
        if !reached(place) {
            hub.undeliverable(letter);
        }
    }
    heard.map(drop)
}

/// Braces make a cluster of Redis place a key by what is in them.
fn key_of(content: ContentId) -> String {
    format!("dcdn:{{{content}}}")
}

fn channel(node: NodeId) -> String {
    format!("dcdn:{{{node}}}")
}

fn unix_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A new peer of a node: the node, and eight random bytes that nobody can guess.
pub fn new_peer(node: NodeId) -> PeerId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&node.0);
    id[8..].copy_from_slice(&rand::random::<[u8; 8]>());
    PeerId(id)
}
