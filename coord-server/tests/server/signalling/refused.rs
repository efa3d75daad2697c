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
    server.metric_becomes("dcdn_sockets_ended_total{how=\"too_long\"}", 2).await;
}

#[tokio::test]
async fn what_is_no_frame_of_a_client_ends_the_socket_with_the_code_for_it() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let (bad, long) = (ErrorCode::BadMessage, ErrorCode::RateLimit);
    let cases: [(&str, &[u8], ErrorCode, u16, &str); 5] = [
        ("no mask", &[0x82, 0x01, 0x00], bad, 1002, "no_frames"),
        ("a kind that there is not", &[0x83, 0x80, 0, 0, 0, 0], bad, 1002, "no_frames"),
        ("a bit that means nothing", &[0xc2, 0x80, 0, 0, 0, 0], bad, 1002, "no_frames"),
        ("no UTF-8", &[0x81, 0x81, 0, 0, 0, 0, 0xff], bad, 1007, "not_utf8"),
        (
            "a gigabyte",
            &[0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0],
            long,
            1009,
            "too_long",
        ),
    ];
    for (what, bytes, error, code, how) in cases {
        let ended = format!("dcdn_sockets_ended_total{{how=\"{how}\"}}");
        for says_hello in [false, true] {
            let before = server.metric(&ended).await;
            let mut page = server.socket().await;
            if says_hello {
                page.hello(1).await;
            }

            page.say_raw(bytes).await;

            assert_eq!(page.refusal().await, (error, None), "{what}");
            let Closed::With(closed, reason) = page.end().await else { panic!("{what}") };
            assert_eq!(closed, code, "{what}");
            assert!(["bad_message", "rate_limit"].contains(&reason.as_str()), "{what}: {reason}");
            server.metric_becomes(&ended, before + 1).await;
        }
    }
}

#[tokio::test]
async fn half_a_frame_is_not_waited_for_for_ever() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| {
        config.signalling.heartbeat = Duration::from_millis(50);
    })
    .await;
    let mut page = server.page(1).await;

    page.say_raw(&[0x82, 0xfe, 0x10]).await;

    assert_eq!(page.end().await, Closed::With(1008, "no_answer".to_owned()));
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
