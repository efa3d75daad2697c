//! What is refused, and which refusals end the socket.

use std::time::Duration;

use coord_server::limit::Rate;
use dcdn_protocol::message::coord::{
    ErrorCode, FromCoord, MAX_CANDIDATE, MAX_MESSAGE, MAX_SDP, Signal, ToCoord,
};
use dcdn_protocol::{ContentId, GroupId, VERSION, frame};
use futures::SinkExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{CONTENT, NAMED, OTHER, candidate, join, offer};
use crate::support::{Closed, PATIENCE, Server, SiteDirectory};

#[tokio::test]
async fn a_message_before_hello_ends_the_socket() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let early = frame::encode(&join(CONTENT), &[]).unwrap();
    for bytes in [early, b"noise".to_vec()] {
        let mut page = server.socket().await;
        page.say_bytes(bytes).await;
        assert_eq!(page.refusal().await, (ErrorCode::HelloFirst, None));
        assert_eq!(page.end().await, Closed::With(1008, "hello_first".to_owned()));
    }
}

#[tokio::test]
async fn a_socket_that_says_no_hello_in_time_ends() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| {
        config.signalling.hello_within = Duration::from_millis(20);
    })
    .await;
    let mut page = server.socket().await;

    assert_eq!(page.refusal().await, (ErrorCode::HelloFirst, None));
    assert_eq!(page.end().await, Closed::With(1008, "hello_first".to_owned()));
}

#[tokio::test]
async fn another_version_ends_the_socket() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let mut page = server.socket().await;

    page.say(&ToCoord::Hello { version: VERSION + 1, group: GroupId([1; 16]), token: None }).await;

    assert_eq!(page.refusal().await, (ErrorCode::Version, None));
    assert_eq!(page.end().await, Closed::With(1008, "version".to_owned()));
}

#[tokio::test]
async fn a_bad_message_is_refused_and_the_socket_goes_on() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let mut page = server.page(1).await;
    let leave = ToCoord::Leave { content: CONTENT };
    let unknown = serde_json::json!({ "type": "sing", "song": "la" });
    let bad = [
        Vec::new(),
        vec![255, 255, 1],
        b"\x02\x00no".to_vec(),
        frame::encode(&unknown, &[]).unwrap(),
        frame::encode(&leave, b"body").unwrap(),
        frame::encode(
            &ToCoord::Hello { version: VERSION, group: GroupId([1; 16]), token: None },
            &[],
        )
        .unwrap(),
    ];
    for bytes in bad {
        page.say_bytes(bytes.clone()).await;
        assert_eq!(page.refusal().await, (ErrorCode::BadMessage, None), "{bytes:?}");
    }
    page.socket.send(Message::Text("{\"type\":\"leave\"}".into())).await.unwrap();
    assert_eq!(page.refusal().await, (ErrorCode::BadMessage, None));

    assert_eq!(page.join(CONTENT, 5).await, []);
}

#[tokio::test]
async fn a_signal_that_is_too_long_is_refused() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let (mut page, mut member) = (server.page(1).await, server.page(2).await);
    member.join(CONTENT, 5).await;
    page.join(CONTENT, 5).await;
    let sdp = |length: usize| format!("v=0\r\na={}", "s".repeat(length - 7));
    let line = |length: usize| format!("{NAMED} {}", "c".repeat(length - NAMED.len() - 1));
    let fair = [offer(&sdp(MAX_SDP)), candidate(&line(MAX_CANDIDATE))];
    let long = [
        offer(&sdp(MAX_SDP + 1)),
        Signal::Answer { sdp: sdp(MAX_SDP + 1) },
        candidate(&line(MAX_CANDIDATE + 1)),
        Signal::Candidate {
            candidate: String::new(),
            sdp_mid: Some("m".repeat(300)),
            sdp_m_line_index: None,
        },
    ];

    for signal in fair {
        page.signal(member.id, signal.clone()).await;
        assert_eq!(member.hear().await, FromCoord::Signal { from: page.id, signal });
    }
    for signal in long {
        page.signal(member.id, signal).await;
        assert_eq!(page.refusal().await, (ErrorCode::BadMessage, Some(member.id)));
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_socket() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let mut page = server.page(1).await;
    page.join(CONTENT, 5).await;

    page.say_bytes(vec![0; MAX_MESSAGE + 1]).await;

    assert_eq!(page.refusal().await, (ErrorCode::RateLimit, None));
    assert_eq!(page.end().await, Closed::With(1009, "rate_limit".to_owned()));
    server.metric_becomes("dcdn_peers", 0).await;
    let mut page = server.page(1).await;
    // The server may cut this one before it is all sent.
    let _ = page.socket.send(Message::Binary(vec![0; 1 << 20].into())).await;
    server.metric_becomes("dcdn_peers", 0).await;
}

#[tokio::test]
async fn too_many_messages_end_the_socket() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| {
        config.signalling.socket.messages = Rate { capacity: 20, per_second: 1 };
    })
    .await;
    let mut page = server.page(1).await;

    for _ in 0..19 {
        page.join(CONTENT, 5).await;
    }
    page.say(&join(CONTENT)).await;

    assert_eq!(page.refusal().await, (ErrorCode::RateLimit, None));
    assert_eq!(page.end().await, Closed::With(1008, "rate_limit".to_owned()));
    assert_eq!(server.metric("dcdn_swarms").await, 0);
}

#[tokio::test]
async fn a_socket_is_in_so_many_swarms_and_no_more() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.signalling.socket.swarms = 2).await;
    let mut page = server.page(1).await;
    let third = ContentId([3; 32]);
    page.join(CONTENT, 5).await;
    page.join(OTHER, 5).await;

    page.say(&join(third)).await;
    assert_eq!(page.refusal().await, (ErrorCode::TooManySwarms, None));
    assert_eq!(page.join(OTHER, 5).await, [], "one that it is in");
    page.say(&ToCoord::Leave { content: CONTENT }).await;
    assert_eq!(page.join(third, 5).await, []);
}

#[tokio::test]
async fn a_page_that_does_not_take_its_messages_is_cut() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| {
        config.signalling.queue = 16;
        config.signalling.socket.messages = Rate { capacity: u32::MAX, per_second: 1 };
    })
    .await;
    let (mut slow, mut page) = (server.page(1).await, server.page(2).await);
    slow.join(CONTENT, 0).await;
    page.join(CONTENT, 5).await;
    let sdp = format!("v=0\r\na={}", "s".repeat(MAX_SDP - 7));

    let flood = async {
        loop {
            page.signal(slow.id, offer(&sdp)).await;
            if server.metric("dcdn_slow_readers_total").await == 1 {
                return;
            }
        }
    };
    timeout(PATIENCE, flood).await.expect("the slow one is cut");

    page.signal(slow.id, offer("v=0")).await;
    assert_eq!(page.refusal().await, (ErrorCode::UnknownPeer, Some(slow.id)));
}
