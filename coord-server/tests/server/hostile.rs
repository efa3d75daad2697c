//! Strangers who mean no good: each hears what is wrong or is cut, and nobody else notices.

use std::net::SocketAddr;
use std::time::Duration;

use dcdn_protocol::message::coord::{ErrorCode, FromCoord, Signal, ToCoord};
use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, PeerId, frame};
use futures::SinkExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
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

/// Joins as many swarms as it can, each with as much as can be said, until it is cut.
async fn joins_ten_thousand(address: SocketAddr) -> Closed {
    let mut page = page(address, 100).await;
    let have: ChunkSet = (0..1000).map(|run| ChunkIndex(run * 2)).collect();
    for number in 0..10_000_u32 {
        let mut id = [0xee; 32];
        id[..4].copy_from_slice(&number.to_le_bytes());
        let join = ToCoord::Join { content: ContentId(id), want: 255, have: have.clone() };
        let bytes = frame::encode(&join, &[]).unwrap();
        if page.socket.send(Message::Binary(bytes.into())).await.is_err() {
            break;
        }
    }
    loop {
        if let Err(end) = page.hear_or_end().await {
            return end;
        }
    }
}

#[tokio::test]
async fn what_strangers_do_costs_them_their_socket_and_others_nothing() {
    let site = SiteDirectory::new();
    let running = Running::start(&mut command(&site));
    let address = running.address();
    let (mut one, mut other) = (page(address, 1).await, page(address, 2).await);
    for page in [&mut one, &mut other] {
        page.say(&ToCoord::Join { content: CONTENT, want: 0, have: ChunkSet::new() }).await;
        page.hear().await;
    }
    is_served(&mut one, &mut other).await;
    let before = memory_of(running.child.id());
    let mut kept = Vec::new();

    // Garbage is refused, and then is too much.
    let mut garbage = page(address, 3).await;
    let mut refused = 0;
    let end = loop {
        let _ = garbage.socket.send(Message::Binary(vec![0xff; 900].into())).await;
        match garbage.hear_or_end().await {
            Ok(FromCoord::Error { code: ErrorCode::BadMessage, .. }) => refused += 1,
            Ok(FromCoord::Error { code: ErrorCode::RateLimit, .. }) => {}
            Ok(heard) => panic!("{heard:?}"),
            Err(end) => break end,
        }
    };
    assert!(refused > 100, "only {refused}");
    assert_eq!(end, Closed::With(1008, "rate_limit".to_owned()));

    // A frame of a gigabyte of which nothing comes, and half a frame: they may wait.
    for head in [&[0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0][..], &[0x82, 0xfe, 0x10]] {
        let mut half = page(address, 4).await;
        let tokio_tungstenite::MaybeTlsStream::Plain(stream) = half.socket.get_mut() else {
            panic!("no TLS here");
        };
        let stream: &mut TcpStream = stream;
        stream.write_all(head).await.unwrap();
        kept.push(half);
    }

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

    // Ten thousand joins, ten times.
    for _ in 0..10 {
        let end = timeout(PATIENCE, joins_ten_thousand(address)).await.unwrap();
        assert!(matches!(end, Closed::Broken | Closed::With(1008, _)), "{end:?}");
    }
    // A hundred who fill what they may fill and read nothing.
    for _ in 0..100 {
        let mut deaf = page(address, 6).await;
        for number in 0..200_u8 {
            let join = ToCoord::Join {
                content: ContentId([number; 32]),
                want: 255,
                have: ChunkSet::full(9),
            };
            let bytes = frame::encode(&join, &[]).unwrap();
            if timeout(Duration::from_secs(1), deaf.socket.send(Message::Binary(bytes.into())))
                .await
                .is_err()
            {
                break;
            }
        }
        kept.push(deaf);
    }

    is_served(&mut one, &mut other).await;
    let grown = memory_of(running.child.id()).saturating_sub(before);
    assert!(grown < MOST_KEPT, "{grown} bytes more");
}
