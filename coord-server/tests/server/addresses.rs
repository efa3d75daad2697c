//! What one network address may take. The server is behind a proxy here, which this is.

use coord_server::asker::{Proxies, ProxyHeader};
use coord_server::limit::Rate;
use coord_server::limit::address::AddressLimits;
use coord_server::{Config, OriginSettings};
use dcdn_protocol::message::coord::{ErrorCode, FromCoord, Signal, ToCoord};
use dcdn_protocol::{ChunkSet, ContentId};
use futures::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use crate::program::{Running, command};
use crate::support::{Answer, Closed, Page, Server, SiteDirectory, noise};

/// Two, and then hardly any more.
const TWO: Rate = Rate { capacity: 2, per_second: 0 };

const ONE: &str = "192.0.2.1";
const OTHER: &str = "192.0.2.2";

async fn server(site: &SiteDirectory, limits: AddressLimits) -> Server {
    Server::start_with(site, |config| config.addresses = limits).await
}

async fn socket(server: &Server, way: &str) -> Result<Page, Answer> {
    Page::open_with(server.address, &[("x-forwarded-for", way)]).await
}

async fn page(server: &Server, address: &str, group: u8) -> Page {
    let mut page = socket(server, address).await.unwrap();
    page.hello(group).await;
    page
}

const CONTENT: ContentId = ContentId([1; 32]);

fn join(number: u8) -> ToCoord {
    ToCoord::Join { content: ContentId([number; 32]), want: 0, have: ChunkSet::new() }
}

/// The socket is told why, and closed.
async fn is_cut(mut page: Page) {
    loop {
        match page.hear().await {
            FromCoord::Peers { .. } => {}
            FromCoord::Error { code: ErrorCode::AddressLimit, message, .. } => {
                assert!(message.contains("this address"), "{message}");
                break;
            }
            heard => panic!("{heard:?}"),
        }
    }
    let end = page.hear_or_end().await.unwrap_err();
    assert_eq!(end, Closed::With(1008, "address_limit".to_owned()));
}

#[tokio::test]
async fn an_address_has_so_many_sockets_and_another_its_own() {
    let site = SiteDirectory::new();
    let server = server(&site, AddressLimits { sockets: 1, ..AddressLimits::default() }).await;
    let first = socket(&server, ONE).await.unwrap();

    // Whatever the visitor writes before what the proxy adds.
    for way in [ONE.to_owned(), format!("{OTHER}, {ONE}"), format!("127.0.0.1, {ONE}:4711")] {
        let refused = socket(&server, &way).await.err().expect("no socket");
        assert_eq!((refused.status, refused.error_code().as_str()), (429, "address_limit"));
        assert_eq!(refused.header("retry-after"), Some("30"));
    }
    let probe = server.get_with("/dcdn/ws?probe=1", &[("x-forwarded-for", ONE)]).await;
    assert_eq!((probe.status, probe.header("retry-after")), (429, Some("30")));
    let _other = socket(&server, OTHER).await.unwrap();
    // Of whom the proxy says nothing.
    for _ in 0..2 {
        server.socket().await;
    }
    let text = server.get("/metrics").await.text();
    assert!(text.contains("dcdn_address_refusals_total{kind=\"sockets\"} 4"), "{text}");

    drop(first);
    while socket(&server, ONE).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_is_no_trusted_proxy_speaks_for_itself_alone() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| {
        config.addresses.sockets = 1;
        config.proxies = Proxies::new(Vec::new(), ProxyHeader::ForwardedFor);
    })
    .await;
    let _first = socket(&server, ONE).await.unwrap();

    assert_eq!(socket(&server, OTHER).await.err().expect("no socket").status, 429);
}

#[tokio::test]
async fn an_address_opens_so_many_sockets_however_soon_it_closes_them() {
    let site = SiteDirectory::new();
    let server = server(&site, AddressLimits { connects: TWO, ..AddressLimits::default() }).await;
    for _ in 0..2 {
        drop(socket(&server, ONE).await.unwrap());
    }

    let refused = socket(&server, ONE).await.err().expect("no socket");
    assert_eq!((refused.status, refused.error_code().as_str()), (429, "address_limit"));
    socket(&server, OTHER).await.unwrap();
}

#[tokio::test]
async fn the_sockets_of_an_address_share_messages_bytes_and_joins_and_others_go_on() {
    let few = Rate { capacity: 4, per_second: 0 };
    let bytes = Rate { capacity: 600, per_second: 0 };
    let kinds = [
        ("messages", AddressLimits { messages: few, ..AddressLimits::default() }),
        ("joins", AddressLimits { joins: TWO, ..AddressLimits::default() }),
        ("bytes", AddressLimits { bytes, ..AddressLimits::default() }),
    ];
    for (kind, limits) in kinds {
        let site = SiteDirectory::new();
        let server = server(&site, limits).await;
        let (mut one, mut same) = (page(&server, ONE, 1).await, page(&server, ONE, 2).await);
        let mut other = page(&server, OTHER, 3).await;

        for number in 0..9 {
            let _ = one.socket.feed(bytes_of(&join(number))).await;
        }
        let _ = one.socket.flush().await;
        is_cut(one).await;
        same.say(&join(1)).await;
        is_cut(same).await;
        other.say(&join(1)).await;

        assert!(matches!(other.hear().await, FromCoord::Peers { .. }), "{kind}");
        let text = server.get("/metrics").await.text();
        let line = format!("dcdn_address_refusals_total{{kind=\"{kind}\"}} ");
        assert!(text.contains(&line) && !text.contains(&format!("{line}0")), "{text}");
        assert!(text.contains("dcdn_refusals_total{code=\"address_limit\"} 2"), "{text}");
    }
}

fn bytes_of(message: &ToCoord) -> Message {
    Message::Binary(dcdn_protocol::frame::encode(message, &[]).unwrap().into())
}

#[tokio::test]
async fn an_address_has_so_much_hashed_and_what_is_known_costs_nothing() {
    let site = SiteDirectory::new();
    for name in ["a.jpg", "b.jpg", "c.jpg"] {
        site.write(name, &noise(100_000));
    }
    let limits = AddressLimits { hashing: TWO, ..AddressLimits::default() };
    expect_hashing_to_have_an_end(&server(&site, limits).await).await;

    // An origin, too: another query is another resource.
    let origin = Server::start(&site).await;
    let settings = OriginSettings::new(origin.url("").parse().unwrap());
    let server = Server::run(Config { addresses: limits, ..Config::before(settings) }).await;
    expect_hashing_to_have_an_end(&server).await;
    let again = manifest(&server, "/a.jpg?another", ONE).await;
    assert_eq!((again.status, again.error_code().as_str()), (429, "address_limit"));
}

async fn expect_hashing_to_have_an_end(server: &Server) {
    assert_eq!(manifest(server, "/a.jpg", ONE).await.status, 200);
    let refused = manifest(server, "/b.jpg", ONE).await;
    assert_eq!((refused.status, refused.error_code().as_str()), (429, "address_limit"));
    assert_eq!(refused.header("retry-after"), Some("60"));

    assert_eq!(manifest(server, "/a.jpg", ONE).await.status, 200);
    assert_eq!(manifest(server, "/b.jpg", OTHER).await.status, 200);
    assert_eq!(manifest(server, "/b.jpg", ONE).await.status, 200);
    assert_eq!(server.metric("dcdn_manifests_hashed_total").await, 2);
}

async fn manifest(server: &Server, url: &str, address: &str) -> Answer {
    let path = format!("/dcdn/manifest?url={}", url.replace('?', "%3F"));
    server.get_with(&path, &[("x-forwarded-for", address)]).await
}

#[tokio::test]
async fn strangers_do_not_hear_of_each_others_networks_and_neighbours_do() {
    let site = SiteDirectory::new();
    let server = server(&site, AddressLimits::default()).await;
    let own = "candidate:1 1 udp 2113937151 192.168.1.7 54321 typ host";
    let public = "candidate:2 1 udp 1677729535 8.8.4.4 61111 typ srflx raddr 192.168.1.7 rport 5";
    let scrubbed = public.replace("192.168.1.7 rport 5", "0.0.0.0 rport 0");
    let mut sender = page(&server, "8.8.4.4", 1).await;
    let mut stranger = page(&server, "9.9.9.9", 2).await;
    let mut neighbour = page(&server, "8.8.4.4", 3).await;
    for page in [&mut sender, &mut stranger, &mut neighbour] {
        page.say(&join(1)).await;
        page.hear().await;
    }

    for to in [stranger.id, neighbour.id] {
        for line in [own, public] {
            let signal = Signal::Candidate {
                candidate: line.to_owned(),
                sdp_mid: Some("0".to_owned()),
                sdp_m_line_index: Some(0),
            };
            sender.say(&ToCoord::Signal { to, signal }).await;
        }
    }

    assert_eq!(heard_candidate(&mut stranger).await, scrubbed);
    assert_eq!(heard_candidate(&mut neighbour).await, own);
    assert_eq!(heard_candidate(&mut neighbour).await, scrubbed);
}

async fn heard_candidate(page: &mut Page) -> String {
    match page.hear().await {
        FromCoord::Signal { signal: Signal::Candidate { candidate, .. }, .. } => candidate,
        heard => panic!("{heard:?}"),
    }
}

#[tokio::test]
async fn who_is_near_by_the_address_that_a_proxy_tells_is_named_first() {
    let site = SiteDirectory::new();
    let server = server(&site, AddressLimits::default()).await;
    let mut others = Vec::new();
    for number in 1..=20 {
        let mut stranger = page(&server, &format!("20.{number}.0.1"), number).await;
        stranger.say(&join(1)).await;
        stranger.hear().await;
        others.push(stranger);
    }
    let mut provider = page(&server, "8.8.9.9", 30).await;
    let mut neighbour = page(&server, "8.8.4.4", 31).await;
    for near in [&mut provider, &mut neighbour] {
        near.say(&join(1)).await;
        near.hear().await;
    }

    // What the visitor itself writes before does not make it anybody's neighbour.
    let mut asker = page(&server, "20.1.0.1, 8.8.4.5", 32).await;
    asker.say(&ToCoord::Join { content: CONTENT, want: 8, have: ChunkSet::new() }).await;

    let FromCoord::Peers { peers, .. } = asker.hear().await else { panic!("no peers") };
    let named: Vec<_> = peers.iter().map(|named| named.peer).take(2).collect();
    assert_eq!(named, [neighbour.id, provider.id]);
}

#[tokio::test]
async fn pings_cost_as_much_as_messages() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| {
        config.signalling.socket.messages = Rate { capacity: 9, per_second: 0 };
    })
    .await;
    let mut page = server.page(1).await;

    for _ in 0..9 {
        let _ = page.socket.send(Message::Ping(vec![0; 9].into())).await;
    }

    let heard = page.hear().await;
    assert!(matches!(heard, FromCoord::Error { code: ErrorCode::RateLimit, .. }), "{heard:?}");
    assert_eq!(page.hear_or_end().await, Err(Closed::With(1008, "rate_limit".to_owned())));
}

#[tokio::test]
async fn proxies_and_limits_are_settings() {
    let site = SiteDirectory::new();
    let start = |proxies: &str| {
        let mut command = command(&site);
        command.args(["--address-sockets", "1"]).env("DCDN_TRUSTED_PROXY", proxies);
        Running::start(&mut command)
    };
    for (proxies, is_believed) in
        [("10.0.0.0/8", false), ("none", false), ("10.0.0.0/8,127.0.0.1", true)]
    {
        let running = start(proxies);
        let address = running.address();
        let open = async |visitor| Page::open_with(address, &[("x-forwarded-for", visitor)]).await;
        let _one = open(ONE).await.unwrap();
        assert_eq!(open(OTHER).await.is_ok(), is_believed, "{proxies}");
    }
    for wrong in [["--trusted-proxy", "10.0.0"], ["--proxy-header", "via"]] {
        let output = command(&site).args(wrong).output().unwrap();
        assert!(!output.status.success(), "{wrong:?}");
    }
}
