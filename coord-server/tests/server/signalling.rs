//! `/dcdn/ws` with real sockets.

mod refused;

use std::time::Duration;

use coord_server::signalling::AllowedOrigins;
use dcdn_protocol::message::coord::{
    ErrorCode, FromCoord, MAX_HELD_RUNS, MAX_MESSAGE, Recommended, Signal, ToCoord,
};
use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, PeerId, frame};
use futures::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Closed, PATIENCE, Page, Server, SiteDirectory};

const CONTENT: ContentId = ContentId([7; 32]);
const OTHER: ContentId = ContentId([8; 32]);

impl Page {
    async fn join(&mut self, content: ContentId, want: u8) -> Vec<PeerId> {
        let named = self.join_holding(content, want, ChunkSet::new()).await;
        named.into_iter().map(|named| named.peer).collect()
    }

    async fn join_holding(
        &mut self,
        content: ContentId,
        want: u8,
        have: ChunkSet,
    ) -> Vec<Recommended> {
        self.say(&ToCoord::Join { content, want, have }).await;
        match self.hear().await {
            FromCoord::Peers { content: of, peers } if of == content => peers,
            other => panic!("no peers but {other:?}"),
        }
    }

    async fn signal(&mut self, to: PeerId, signal: Signal) {
        self.say(&ToCoord::Signal { to, signal }).await;
    }

    /// Code of the error that comes next, and the peer that it is about.
    async fn refusal(&mut self) -> (ErrorCode, Option<PeerId>) {
        match self.hear().await {
            FromCoord::Error { code, peer, message } if !message.is_empty() => (code, peer),
            other => panic!("no error but {other:?}"),
        }
    }

    async fn end(&mut self) -> Closed {
        self.hear_or_end().await.unwrap_err()
    }
}

fn join(content: ContentId) -> ToCoord {
    ToCoord::Join { content, want: 5, have: ChunkSet::new() }
}

/// Of the visitor's own machine, whose address it does not say.
const NAMED: &str = "candidate:1 1 udp 2113937151 0f7e4c9a.local 54321 typ host";

fn offer(sdp: &str) -> Signal {
    Signal::Offer { sdp: sdp.to_owned() }
}

fn candidate(line: &str) -> Signal {
    Signal::Candidate {
        candidate: line.to_owned(),
        sdp_mid: Some("0".to_owned()),
        sdp_m_line_index: Some(0),
    }
}

#[tokio::test]
async fn two_pages_find_each_other_and_exchange_signals() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let (mut seed, mut peer) = (server.page(1).await, server.page(2).await);
    assert_ne!(seed.id, peer.id);

    assert_eq!(seed.join(CONTENT, 0).await, []);
    assert_eq!(peer.join(CONTENT, 5).await, [seed.id]);
    let answer = Signal::Answer { sdp: "v=0\r\na=\"ä\"".to_owned() };
    for signal in [offer("v=0\r\n"), answer, candidate(NAMED), candidate("")] {
        peer.signal(seed.id, signal.clone()).await;
        assert_eq!(seed.hear().await, FromCoord::Signal { from: peer.id, signal: signal.clone() });
        seed.signal(peer.id, signal.clone()).await;
        assert_eq!(peer.hear().await, FromCoord::Signal { from: seed.id, signal });
    }
}

#[tokio::test]
async fn offers_that_are_ready_go_to_those_whom_the_next_join_names() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let (mut seed, mut page) = (server.page(1).await, server.page(2).await);
    seed.join(CONTENT, 0).await;
    let ready =
        |sdps: &[&str]| ToCoord::Offers { sdps: sdps.iter().map(|&it| it.into()).collect() };

    page.say(&ready(&["v=0\r\na=first", "v=0\r\na=second"])).await;
    page.say(&join(CONTENT)).await;

    let given = offer("v=0\r\na=first");
    assert_eq!(seed.hear().await, FromCoord::Signal { from: page.id, signal: given });
    assert_eq!(page.hear().await, FromCoord::Offered { to: vec![seed.id] });
    assert!(matches!(page.hear().await, FromCoord::Peers { .. }));
    // The second was for that join, too.
    assert_eq!(page.join(CONTENT, 5).await, [seed.id]);
    // What is no offer goes to nobody.
    page.say(&ready(&["hello"])).await;
    assert_eq!(page.join(CONTENT, 5).await, [seed.id]);
}

#[tokio::test]
async fn a_recommended_peer_comes_with_what_it_last_said_that_it_holds() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let (mut seed, mut page) = (server.page(1).await, server.page(2).await);
    let named = |id, expected| vec![Recommended { peer: id, expected }];
    let id = seed.id;

    seed.join_holding(CONTENT, 0, ChunkSet::full(3)).await;
    let have = ChunkSet::new();
    assert_eq!(page.join_holding(CONTENT, 5, have.clone()).await, named(id, ChunkSet::full(3)));

    seed.say(&ToCoord::Have { content: OTHER, have: ChunkSet::full(9) }).await;
    let scattered: ChunkSet = (0..500).map(|run| ChunkIndex(1_000_000 + run * 2)).collect();
    seed.say(&ToCoord::Have { content: CONTENT, have: scattered.clone() }).await;
    // Answered after what was said before.
    assert_eq!(seed.join(OTHER, 0).await, []);
    let first = scattered.first_runs(MAX_HELD_RUNS);
    assert_eq!(page.join_holding(CONTENT, 5, have.clone()).await, named(id, first));
    assert_eq!(page.join_holding(OTHER, 5, have.clone()).await, named(id, ChunkSet::new()));
}

#[tokio::test]
async fn below_the_least_number_of_viewers_nobody_hears_of_anybody() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |it| it.signalling.socket.min_viewers = 3).await;
    let (mut first, mut second) = (server.page(1).await, server.page(2).await);
    let (mut tab, mut third) = (server.page(2).await, server.page(3).await);

    assert_eq!(first.join(CONTENT, 5).await, []);
    assert_eq!(second.join(CONTENT, 5).await, []);
    assert_eq!(tab.join(CONTENT, 5).await, [], "tabs of one browser count once");
    assert_eq!(third.join(CONTENT, 5).await.len(), 3);
    assert_eq!(first.join(CONTENT, 5).await.len(), 3);
}

#[tokio::test]
async fn the_most_that_is_said_of_peers_fits_a_message() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let scattered: ChunkSet = (0..500).map(|run| ChunkIndex(1_000_000 + run * 2)).collect();
    let mut seeds = Vec::new();
    for group in 0..10 {
        let mut seed = server.page(group).await;
        seed.join_holding(CONTENT, 0, scattered.clone()).await;
        seeds.push(seed);
    }
    let peers = server.page(100).await.join_holding(CONTENT, 10, ChunkSet::new()).await;
    assert_eq!(peers.len(), 10);
    let message = frame::encode(&FromCoord::Peers { content: CONTENT, peers }, &[]).unwrap();
    assert!(message.len() <= MAX_MESSAGE, "{} bytes", message.len());
}

#[tokio::test]
async fn the_tabs_of_one_browser_are_never_named_to_each_other() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let (mut tab, mut same, mut other) =
        (server.page(1).await, server.page(1).await, server.page(2).await);

    tab.join(CONTENT, 5).await;
    other.join(CONTENT, 5).await;

    assert_eq!(same.join(CONTENT, 5).await, [other.id]);
}

#[tokio::test]
async fn nobody_gets_more_peers_than_wanted_nor_than_twice_the_usual() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let mut seeds = Vec::new();
    for group in 0..12 {
        let mut seed = server.page(group).await;
        seed.join(CONTENT, 0).await;
        seeds.push(seed);
    }
    let mut page = server.page(100).await;

    for (want, named) in [(0, 0), (3, 3), (10, 10), (255, 10)] {
        assert_eq!(page.join(CONTENT, want).await.len(), named, "{want}");
    }
}

#[tokio::test]
async fn a_signal_only_passes_between_members_of_one_swarm() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let (mut page, mut elsewhere, mut member) =
        (server.page(1).await, server.page(2).await, server.page(3).await);
    page.join(CONTENT, 5).await;
    elsewhere.join(OTHER, 5).await;
    member.join(CONTENT, 5).await;

    for stranger in [PeerId([9; 16]), elsewhere.id, page.id] {
        page.signal(stranger, offer("v=0")).await;
        assert_eq!(page.refusal().await, (ErrorCode::UnknownPeer, Some(stranger)));
    }
    page.signal(member.id, offer("v=0")).await;
    assert!(matches!(member.hear().await, FromCoord::Signal { from, .. } if from == page.id));
    member.say(&ToCoord::Leave { content: CONTENT }).await;
    assert_eq!(member.join(OTHER, 5).await, [elsewhere.id]);
    page.signal(member.id, offer("v=0")).await;
    assert_eq!(page.refusal().await, (ErrorCode::UnknownPeer, Some(member.id)));
}

#[tokio::test]
async fn a_socket_that_closes_or_breaks_leaves_its_swarms_at_once() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let (mut closing, mut breaking, mut page) =
        (server.page(1).await, server.page(2).await, server.page(3).await);
    closing.join(CONTENT, 0).await;
    breaking.join(OTHER, 0).await;
    page.join(CONTENT, 5).await;
    assert_eq!(server.metric("dcdn_swarms").await, 2);

    closing.socket.close(None).await.unwrap();
    drop(breaking);

    server.metric_becomes("dcdn_peers", 1).await;
    assert_eq!(page.join(CONTENT, 5).await, []);
    assert_eq!(server.metric("dcdn_swarms").await, 1);
    page.signal(closing.id, offer("v=0")).await;
    assert_eq!(page.refusal().await, (ErrorCode::UnknownPeer, Some(closing.id)));
}

#[tokio::test]
async fn a_socket_that_answers_no_ping_is_dead_and_leaves_its_swarms() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| {
        config.signalling.heartbeat = Duration::from_millis(50);
    })
    .await;
    // Pongs are sent by reading, which nobody does for this one.
    let mut dead = server.page(1).await;
    dead.join(CONTENT, 0).await;
    assert_eq!(server.metric("dcdn_swarms").await, 1);

    server.metric_becomes("dcdn_swarms", 0).await;

    server.metric_becomes("dcdn_sockets", 0).await;
    drop(dead);
}

#[tokio::test]
async fn a_socket_that_only_answers_pings_stays() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| {
        config.signalling.heartbeat = Duration::from_millis(50);
    })
    .await;
    let mut quiet = server.page(1).await;

    for _ in 0..8 {
        let next = timeout(PATIENCE, quiet.socket.next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(next, Message::Ping(_)), "{next:?}");
        quiet.socket.flush().await.unwrap();
    }

    assert_eq!(quiet.join(CONTENT, 5).await, []);
}

#[tokio::test]
async fn a_page_with_sixty_images_and_eight_peers_is_within_the_limits() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let mut members = Vec::new();
    for group in 10..18 {
        let mut member = server.page(group).await;
        member.join(ContentId([0; 32]), 0).await;
        members.push(member);
    }
    let mut page = server.page(1).await;

    for image in 0..60 {
        page.join(ContentId([image; 32]), 5).await;
    }
    for member in &mut members {
        page.signal(member.id, offer(&format!("v=0\r\na={}", "s".repeat(2000)))).await;
        for _ in 0..12 {
            page.signal(member.id, candidate(&format!("{NAMED} {}", "c".repeat(60)))).await;
        }
    }
    for image in 0..60 {
        page.join(ContentId([image; 32]), 5).await;
    }

    for member in &mut members {
        for _ in 0..13 {
            assert!(matches!(member.hear().await, FromCoord::Signal { .. }));
        }
    }
}

#[tokio::test]
async fn only_pages_of_the_same_host_or_a_listed_origin_may_open_a_socket() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| {
        config.origins = AllowedOrigins::new(["https://shop.example"]).unwrap();
    })
    .await;
    let own = format!("http://{}", server.address);

    for origin in [Some(own.as_str()), Some("https://shop.example"), None] {
        assert!(server.try_socket(origin).await.is_ok(), "{origin:?}");
    }
    for origin in ["https://evil.example", "http://127.0.0.1:1", "null"] {
        let refused = server.try_socket(Some(origin)).await.err().expect("no socket");
        assert_eq!((refused.status, refused.error_code().as_str()), (403, "origin"), "{origin}");
    }
}

#[tokio::test]
async fn a_plain_get_is_told_to_upgrade_and_a_probe_whether_it_could() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;

    let plain = server.get("/dcdn/ws").await;
    assert_eq!((plain.status, plain.error_code().as_str()), (426, "upgrade_required"));
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    let probe = server.get("/dcdn/ws?probe=1").await;
    assert_eq!((probe.status, probe.body.len()), (204, 0));
    assert_eq!(probe.header("access-control-allow-origin"), Some("*"));
    assert_eq!(probe.header("cache-control"), Some("no-store"));
    let foreign = [("origin", "https://evil.example")];
    assert_eq!(server.get_with("/dcdn/ws?probe=1", &foreign).await.status, 403);
    let half = [("upgrade", "websocket"), ("connection", "upgrade")];
    assert_eq!(server.get_with("/dcdn/ws", &half).await.error_code(), "bad_upgrade");
}

#[tokio::test]
async fn a_full_server_says_so_until_a_socket_closes() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.signalling.sockets = 1).await;
    let page = server.page(1).await;

    let refused = server.try_socket(None).await.err().expect("no room");
    assert_eq!((refused.status, refused.error_code().as_str()), (503, "too_many_sockets"));
    assert_eq!(server.get("/dcdn/ws?probe=1").await.status, 503);
    drop(page);
    server.metric_becomes("dcdn_sockets", 0).await;
    server.page(1).await;
}

#[tokio::test]
async fn messages_and_refusals_are_counted_by_kind() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let mut page = server.page(1).await;
    page.join(CONTENT, 5).await;
    page.join(OTHER, 5).await;
    page.signal(page.id, offer("v=0")).await;
    page.refusal().await;

    let text = server.get("/metrics").await.text();

    for line in [
        "dcdn_messages_total{type=\"hello\"} 1",
        "dcdn_messages_total{type=\"join\"} 2",
        "dcdn_messages_total{type=\"offer\"} 1",
        "dcdn_refusals_total{code=\"unknown_peer\"} 1",
        "dcdn_sockets 1",
        "dcdn_peers 1",
        "dcdn_swarms 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}

#[tokio::test]
async fn a_server_that_stops_says_goodbye() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let mut page = server.page(1).await;

    let last_words = async { (page.hear().await, page.end().await) };
    let (_, (said, end)) = tokio::join!(server.stop(), last_words);

    assert_eq!(said, FromCoord::Goodbye { within_ms: 1000 });
    assert_eq!(end, Closed::With(1001, String::new()));
}
