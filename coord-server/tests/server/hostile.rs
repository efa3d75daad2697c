//! Strangers who mean no good: each hears what is wrong or is cut, and nobody else notices.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use dcdn_protocol::message::coord::{ErrorCode, FromCoord, Signal, ToCoord};
use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, PeerId, frame};
use futures::{FutureExt, SinkExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::program::{Running, command};
use crate::support::{Closed, PATIENCE, Page, SiteDirectory};

const CONTENT: ContentId = ContentId([7; 32]);

/// Bytes that a hundred of them may make the server keep. Each has a socket, and what a
/// socket may have: some buffers, 256 swarms.
const MOST_KEPT: u64 = 64 << 20;

/// Bytes of a process's memory.
fn memory_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

async fn page(address: SocketAddr, group: u8) -> Page {
    let mut page = Page::open(address, None).await.unwrap();
    page.hello(group).await;
    page
}

async fn signal(from: &mut Page, to: PeerId, sdp: &str) {
    let signal = Signal::Offer { sdp: sdp.to_owned() };
    from.say(&ToCoord::Signal { to, signal }).await;
}

async fn is_served(one: &mut Page, other: &mut Page) {
    passes(one, other).await;
    passes(other, one).await;
}

async fn passes(from: &mut Page, to: &mut Page) {
    signal(from, to.id, "v=0\r\n").await;
    let heard = to.hear().await;
    assert!(matches!(heard, FromCoord::Signal { from: of, .. } if of == from.id), "{heard:?}");
}

/// Goes on while the two are served, who must be at least once before it is done.
async fn beside<T: Send + 'static>(
    (one, other): (&mut Page, &mut Page),
    what: &str,
    attack: impl Future<Output = T> + Send + 'static,
) -> T {
    let attack = tokio::spawn(attack);
    let mut served = 0;
    // Slowly enough for what a socket may say.
    let mut turns = interval(Duration::from_millis(50));
    loop {
        turns.tick().await;
        is_served(one, other).await;
        if attack.is_finished() {
            break;
        }
        served += 1;
    }
    println!("{what}: others were served {served} times meanwhile");
    assert!(served > 0, "{what}: nobody else was served");
    attack.await.unwrap()
}

/// Sends noise until it is cut: how often it was refused, and how it ended.
async fn sends_garbage(address: SocketAddr) -> (u32, Closed) {
    let mut garbage = page(address, 3).await;
    let mut refused = 0;
    loop {
        let _ = garbage.socket.send(Message::Binary(vec![0xff; 900].into())).await;
        match garbage.hear_or_end().await {
            Ok(FromCoord::Error { code: ErrorCode::BadMessage, .. }) => refused += 1,
            Ok(FromCoord::Error { code: ErrorCode::RateLimit, .. }) => {}
            Ok(heard) => panic!("{heard:?}"),
            Err(end) => return (refused, end),
        }
    }
}

/// Joins as many swarms as it can, each with as much as can be said, until it is cut: what it
/// was told last, and how it ended.
async fn joins_ten_thousand(address: SocketAddr) -> (Option<ErrorCode>, Closed) {
    let mut page = page(address, 100).await;
    let have: ChunkSet = (0..1000).map(|run| ChunkIndex(run * 2)).collect();
    let mut told = None;
    for number in 0..10_000_u32 {
        let mut id = [0xee; 32];
        id[..4].copy_from_slice(&number.to_le_bytes());
        let join = ToCoord::Join { content: ContentId(id), want: 255, have: have.clone() };
        let bytes = frame::encode(&join, &[]).unwrap();
        if page.socket.send(Message::Binary(bytes.into())).await.is_err() {
            break;
        }
        while let Some(heard) = page.hear_or_end().now_or_never() {
            match heard {
                Ok(FromCoord::Error { code, .. }) => told = Some(code),
                Ok(_) => {}
                Err(end) => return (told, end),
            }
        }
    }
    loop {
        match page.hear_or_end().await {
            Ok(FromCoord::Error { code, .. }) => told = Some(code),
            Ok(_) => {}
            Err(end) => return (told, end),
        }
    }
}

/// A hundred who fill what they may fill and read nothing.
async fn a_hundred_are_deaf(address: SocketAddr) -> Vec<Page> {
    let mut kept = Vec::new();
    for _ in 0..100 {
        let mut deaf = page(address, 6).await;
        for number in 0..200_u8 {
            let join = ToCoord::Join {
                content: ContentId([number; 32]),
                want: 255,
                have: ChunkSet::full(9),
            };
            let bytes = frame::encode(&join, &[]).unwrap();
            let sent = deaf.socket.send(Message::Binary(bytes.into()));
            if timeout(Duration::from_secs(1), sent).await.is_err() {
                break;
            }
        }
        kept.push(deaf);
    }
    kept
}

/// Two pages in one swarm, who are to notice nothing.
async fn two_members(address: SocketAddr) -> (Page, Page) {
    let mut members = (page(address, 1).await, page(address, 2).await);
    for page in [&mut members.0, &mut members.1] {
        page.say(&ToCoord::Join { content: CONTENT, want: 0, have: ChunkSet::new() }).await;
        page.hear().await;
    }
    members
}

#[tokio::test]
async fn what_strangers_do_costs_them_their_socket_and_others_nothing() {
    let site = SiteDirectory::new();
    let running = Running::start(&mut command(&site));
    let address = running.address();
    let (mut one, mut other) = two_members(address).await;
    is_served(&mut one, &mut other).await;
    let before = memory_of(running.child.id());

    // Garbage is refused, and then is too much.
    let (refused, end) = beside((&mut one, &mut other), "garbage", sends_garbage(address)).await;
    assert!(refused > 100, "only {refused}");
    assert_eq!(end, Closed::With(1008, "rate_limit".to_owned()));

    // Of a gigabyte nothing but the length is read.
    let mut huge = page(address, 4).await;
    huge.say_raw(&[0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]).await;
    let heard = huge.hear().await;
    assert!(matches!(heard, FromCoord::Error { code: ErrorCode::RateLimit, .. }), "{heard:?}");
    assert_eq!(huge.hear_or_end().await, Err(Closed::With(1009, "rate_limit".to_owned())));

    // Half a frame may wait for the rest, until it has missed its heartbeats.
    let mut half = page(address, 4).await;
    half.say_raw(&[0x82, 0xfe, 0x10]).await;

    // Nobody is somebody else, and nobody speaks to strangers.
    let mut liar = page(address, 5).await;
    let claim = serde_json::json!({
        "type": "join", "content": CONTENT, "want": 0, "peer": one.id, "from": one.id,
    });
    liar.say_bytes(frame::encode(&claim, &[]).unwrap()).await;
    assert!(matches!(liar.hear().await, FromCoord::Peers { .. }));
    signal(&mut liar, other.id, "v=0\r\n").await;
    let heard = other.hear().await;
    assert!(matches!(heard, FromCoord::Signal { from, .. } if from == liar.id), "{heard:?}");
    signal(&mut liar, PeerId([9; 16]), "v=0\r\n").await;
    let heard = liar.hear().await;
    assert!(matches!(heard, FromCoord::Error { code: ErrorCode::UnknownPeer, .. }), "{heard:?}");
    signal(&mut liar, other.id, "<script>").await;
    let heard = liar.hear().await;
    assert!(matches!(heard, FromCoord::Error { code: ErrorCode::BadMessage, .. }), "{heard:?}");

    let joins = async move {
        for _ in 0..10 {
            let cut = Closed::With(1008, "rate_limit".to_owned());
            let end = joins_ten_thousand(address).await;
            assert_eq!(end, (Some(ErrorCode::RateLimit), cut));
        }
    };
    beside((&mut one, &mut other), "10,000 joins", joins).await;
    let deaf = beside((&mut one, &mut other), "deaf pages", a_hundred_are_deaf(address)).await;

    is_served(&mut one, &mut other).await;
    grown_less_than(MOST_KEPT, before, &running, "after garbage, half frames and joins");
    drop((half, deaf));
}

/// Says how the server's memory has grown, and that it has not grown much.
fn grown_less_than(most: u64, before: u64, running: &Running, when: &str) {
    let after = memory_of(running.child.id());
    println!("{when}: {} KiB, {} KiB before", after >> 10, before >> 10);
    assert!(after.saturating_sub(before) < most, "{} bytes more", after - before);
}

/// Addresses of a flood: more than are remembered.
const ADDRESSES: u32 = 100_000;

/// Bytes that the accounts of those that are remembered may take.
const MOST_OF_ACCOUNTS: u64 = 40 << 20;

/// Asks for a socket's permission from address after address, as a proxy on this machine does
/// for its visitors, and counts the answers that begin with `expected`.
async fn asks_from(address: SocketAddr, visitors: Range<u32>, expected: &str) -> usize {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let asking = tokio::spawn(async move {
        let last = visitors.end - 1;
        for visitor in visitors {
            let from = Ipv4Addr::from(0x0b00_0000 + visitor);
            let connection = if visitor == last { "close" } else { "keep-alive" };
            let request = format!(
                "GET /dcdn/ws?probe=1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {from}\r\n\
                 Connection: {connection}\r\n\r\n"
            );
            write.write_all(request.as_bytes()).await.unwrap();
        }
        write
    });
    let mut answers = String::new();
    timeout(PATIENCE * 6, read.read_to_string(&mut answers)).await.unwrap().unwrap();
    drop(asking.await.unwrap());
    answers.matches(expected).count()
}

#[tokio::test]
async fn a_flood_from_many_addresses_is_kept_account_of_within_bounds() {
    let site = SiteDirectory::new();
    let running = Running::start(&mut command(&site));
    let address = running.address();
    let (mut one, mut other) = two_members(address).await;
    let before = memory_of(running.child.id());

    let part = ADDRESSES / 4;
    let asking =
        (0..4).map(|number| asks_from(address, number * part..(number + 1) * part, "HTTP/1.1 204"));
    let answered: usize = futures::future::join_all(asking).await.into_iter().sum();

    assert_eq!(answered, ADDRESSES as usize);
    is_served(&mut one, &mut other).await;
    grown_less_than(MOST_OF_ACCOUNTS, before, &running, "after 100,000 addresses");
}
