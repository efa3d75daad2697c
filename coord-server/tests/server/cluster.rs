//! Several nodes and a real Redis.

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dcdn_protocol::message::coord::{ErrorCode, FromCoord, Signal, ToCoord};
use dcdn_protocol::{ChunkSet, ContentId, PeerId};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::program::{Running, command};
use crate::support::{Closed, PATIENCE, Page, Server, SiteDirectory};

const CONTENT: ContentId = ContentId([7; 32]);
const OTHER: ContentId = ContentId([8; 32]);

/// A Redis without anything on disk; killed when dropped.
struct Redis {
    port: u16,
    process: Child,
    _directory: TempDir,
}

impl Redis {
    /// On a port that is free. Returns when it is ready.
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(port)
    }

    fn start_at(port: u16) -> Self {
        let program = std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new(PathBuf::from(program))
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed by cargo xtask test, or named by REDIS_SERVER");
        let mut log = BufReader::new(process.stdout.take().unwrap()).lines();
        let is_ready = |line: io::Result<String>| line.unwrap().contains("Ready to accept");
        assert!(log.any(is_ready), "Redis starts");
        Self { port, process, _directory: directory }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A node that is in touch with others.
    async fn node(&self, site: &SiteDirectory) -> Server {
        let url = self.url().parse().unwrap();
        let node = Server::start_with(site, |config| config.redis = Some(url)).await;
        node.metric_becomes("dcdn_redis_up", 1).await;
        node
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Page {
    /// Asks for peers until those named are the ones expected, or more; whatever the server
    /// says of its own accord counts as well.
    async fn finds(&mut self, content: ContentId, expected: &[PeerId]) -> Vec<PeerId> {
        let found = async {
            self.say(&ToCoord::Join { content, want: 5, have: ChunkSet::new() }).await;
            loop {
                let FromCoord::Peers { peers, .. } = self.hear().await else { continue };
                let named: Vec<_> = peers.into_iter().map(|named| named.peer).collect();
                if expected.iter().all(|peer| named.contains(peer)) {
                    return named;
                }
                if !named.is_empty() {
                    // Somebody is missing yet, and only who has nobody is told later.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    self.say(&ToCoord::Join { content, want: 5, have: ChunkSet::new() }).await;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("peers are found")
    }

    async fn enters(&mut self, content: ContentId) {
        self.say(&ToCoord::Join { content, want: 0, have: ChunkSet::full(3) }).await;
        assert!(matches!(self.hear().await, FromCoord::Peers { .. }));
    }

    async fn offers(&mut self, to: PeerId) {
        let signal = Signal::Offer { sdp: "v=0\r\n".to_owned() };
        self.say(&ToCoord::Signal { to, signal }).await;
    }

    /// Waits for a signal, and says from whom it is.
    async fn is_offered(&mut self) -> PeerId {
        loop {
            if let FromCoord::Signal { from, .. } = self.hear().await {
                return from;
            }
        }
    }

    async fn is_refused(&mut self) -> (ErrorCode, Option<PeerId>) {
        loop {
            if let FromCoord::Error { code, peer, .. } = self.hear().await {
                return (code, peer);
            }
        }
    }
}

#[tokio::test]
async fn peers_of_three_nodes_find_each_other_and_exchange_signals() {
    let (site, redis) = (SiteDirectory::new(), Redis::start());
    let nodes = [redis.node(&site).await, redis.node(&site).await, redis.node(&site).await];
    let [mut a, mut b, mut c] =
        [nodes[0].page(1).await, nodes[1].page(2).await, nodes[2].page(3).await];
    let mut same_browser = nodes[1].page(1).await;
    let mut elsewhere = nodes[1].page(4).await;
    a.enters(CONTENT).await;
    b.enters(CONTENT).await;
    elsewhere.enters(OTHER).await;

    let found = c.finds(CONTENT, &[a.id, b.id]).await;
    assert_eq!(found.len(), 2);
    let found = same_browser.finds(CONTENT, &[b.id, c.id]).await;
    assert!(!found.contains(&a.id), "a tab of the same browser");

    for to in [&mut a, &mut b] {
        c.offers(to.id).await;
        assert_eq!(to.is_offered().await, c.id);
        // The way back needs no answer of the server that names the peer.
        to.offers(c.id).await;
        assert_eq!(c.is_offered().await, to.id);
    }
    c.offers(elsewhere.id).await;
    assert_eq!(c.is_refused().await, (ErrorCode::UnknownPeer, Some(elsewhere.id)));
    a.say(&ToCoord::Leave { content: CONTENT }).await;
    a.enters(OTHER).await;
    c.offers(a.id).await;
    assert_eq!(c.is_refused().await, (ErrorCode::UnknownPeer, Some(a.id)));
}

#[tokio::test]
async fn a_node_that_dies_loses_its_own_sockets_and_nothing_else() {
    let (site, redis) = (SiteDirectory::new(), Redis::start());
    let (one, other) = (redis.node(&site).await, redis.node(&site).await);
    let mut dying = Running::start(command(&site).args(["--redis", &redis.url()]));
    let address: SocketAddr =
        dying.url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let mut lost = Page::open(address, None).await.unwrap();
    lost.hello(1).await;
    lost.enters(CONTENT).await;
    let (mut a, mut b) = (one.page(2).await, other.page(3).await);
    b.enters(CONTENT).await;
    a.finds(CONTENT, &[lost.id, b.id]).await;

    dying.child.kill().unwrap();
    dying.child.wait().unwrap();

    assert_eq!(lost.hear_or_end().await, Err(Closed::Broken));
    a.offers(lost.id).await;
    assert_eq!(a.is_refused().await, (ErrorCode::UnknownPeer, Some(lost.id)));
    a.offers(b.id).await;
    assert_eq!(b.is_offered().await, a.id);
    assert_eq!(a.finds(CONTENT, &[b.id]).await, [b.id]);
    // Whoever has lost a socket comes to another node.
    let mut back = other.page(1).await;
    back.finds(CONTENT, &[a.id, b.id]).await;
}

#[tokio::test]
async fn without_redis_each_node_goes_on_alone_until_it_is_back() {
    let (site, redis) = (SiteDirectory::new(), Redis::start());
    let (one, other) = (redis.node(&site).await, redis.node(&site).await);
    let (mut a, mut near, mut far) = (one.page(1).await, one.page(2).await, other.page(3).await);
    a.enters(CONTENT).await;
    far.finds(CONTENT, &[a.id]).await;

    let port = redis.port;
    drop(redis);
    one.metric_becomes("dcdn_redis_up", 0).await;
    other.metric_becomes("dcdn_redis_up", 0).await;

    near.finds(CONTENT, &[a.id]).await;
    near.offers(a.id).await;
    assert_eq!(a.is_offered().await, near.id);
    far.offers(a.id).await;
    assert_eq!(far.is_refused().await, (ErrorCode::UnknownPeer, Some(a.id)));

    let _redis = Redis::start_at(port);
    one.metric_becomes("dcdn_redis_up", 1).await;
    other.metric_becomes("dcdn_redis_up", 1).await;
    far.finds(CONTENT, &[a.id, near.id]).await;
    far.offers(near.id).await;
    assert_eq!(near.is_offered().await, far.id);
    assert_eq!(one.metric("dcdn_sockets").await, 2, "nobody has lost a socket");
}

/// Pages on each node of [`three_nodes_and_one_redis_killed_and_started_again`].
const PAGES: u8 = 10;

async fn pages_on(node: &Running, first: u8) -> Vec<Page> {
    let mut pages = Vec::new();
    for number in 0..PAGES {
        let mut page = Page::open(node.address(), None).await.unwrap();
        page.hello(first + number).await;
        page.enters(CONTENT).await;
        pages.push(page);
    }
    pages
}

/// How many of `from` reach the page beside them in `to`.
async fn reach(from: &mut [Page], to: &mut [Page]) -> usize {
    let mut reached = 0;
    for (one, other) in from.iter_mut().zip(to) {
        one.finds(CONTENT, &[]).await;
        one.offers(other.id).await;
        reached += usize::from(other.is_offered().await == one.id);
    }
    reached
}

async fn becomes(node: &Running, name: &str, value: u64) {
    let reached = async {
        while node.metric(name).await != value {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{name} becomes {value}"));
}

#[tokio::test]
async fn three_nodes_and_one_redis_killed_and_started_again() {
    let (site, redis) = (SiteDirectory::new(), Redis::start());
    let start = || Running::start(command(&site).args(["--redis", &redis.url()]));
    let mut nodes = [start(), start(), start()];
    for node in &nodes {
        becomes(node, "dcdn_redis_up", 1).await;
    }
    let mut dying = pages_on(&nodes[0], 0).await;
    let (mut a, mut b) = (pages_on(&nodes[1], 50).await, pages_on(&nodes[2], 100).await);
    for (page, other) in a.iter_mut().zip(&b) {
        page.finds(CONTENT, &[other.id]).await;
    }
    let all = usize::from(PAGES);

    nodes[0].child.kill().unwrap();
    let mut lost = 0;
    for page in &mut dying {
        while let Ok(heard) = page.hear_or_end().await {
            assert!(matches!(heard, FromCoord::Peers { .. }), "{heard:?}");
        }
        lost += 1;
    }
    let reached = reach(&mut a, &mut b).await;
    let kept = nodes[1].metric("dcdn_sockets").await + nodes[2].metric("dcdn_sockets").await;
    println!(
        "a node killed: {lost} of {} sockets lost, {kept} kept; {reached} of {all} signals \
         between the other nodes arrive",
        3 * all
    );
    assert_eq!((lost, kept, reached), (all, 2 * all as u64, all));

    let port = redis.port;
    drop(redis);
    for node in &nodes[1..] {
        becomes(node, "dcdn_redis_up", 0).await;
    }
    let (near, far) = a.split_at_mut(all / 2);
    let reached = reach(near, far).await;
    let kept = nodes[1].metric("dcdn_sockets").await + nodes[2].metric("dcdn_sockets").await;
    println!(
        "Redis killed: {} of {} sockets lost; {reached} of {} signals within a node arrive",
        2 * all as u64 - kept,
        2 * all,
        all / 2
    );
    assert_eq!((kept, reached), (2 * all as u64, all / 2));

    let redis = Redis::start_at(port);
    nodes[0] = Running::start(command(&site).args(["--redis", &redis.url()]));
    for node in &nodes {
        becomes(node, "dcdn_redis_up", 1).await;
    }
    let mut back = pages_on(&nodes[0], 0).await;
    for (page, other) in back.iter_mut().zip(&b) {
        page.finds(CONTENT, &[other.id]).await;
    }
    let reached = reach(&mut back, &mut b).await;
    println!("both started again: {reached} of {all} signals from the new node arrive");
    assert_eq!(reached, all);
}
