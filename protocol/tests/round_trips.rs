//! What is written is read back, and nothing that comes in can hurt.

use std::fmt::Debug;

use dcdn_protocol::chunk::{ChunkIndex, ChunkSet, Layout};
use dcdn_protocol::config::PageSettings;
use dcdn_protocol::frame;
use dcdn_protocol::message::coord::{ErrorCode, FromCoord, Recommended, Signal, ToCoord};
use dcdn_protocol::message::peer::{ChunkFailReason, PeerMessage};
use dcdn_protocol::plain::{Read, Write};
use dcdn_protocol::stats::Totals;
use dcdn_protocol::{
    ByteRange, ChunkHash, ContentId, GroupId, Manifest, PeerId, PolicyName, SiteConfig,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn content() -> impl Strategy<Value = ContentId> {
    any::<[u8; 32]>().prop_map(ContentId)
}

fn peer() -> impl Strategy<Value = PeerId> {
    any::<[u8; 16]>().prop_map(PeerId)
}

fn chunk() -> impl Strategy<Value = ChunkIndex> {
    (0..1u32 << 20).prop_map(ChunkIndex)
}

fn chunk_set() -> impl Strategy<Value = ChunkSet> {
    vec((0..10_000u32, 1..50u32), 0..20).prop_map(|runs| {
        let mut set = ChunkSet::new();
        for (start, len) in runs {
            set.insert_run(start..start + len);
        }
        set
    })
}

fn layout() -> impl Strategy<Value = Layout> {
    (0..1u64 << 32, 1024..1u32 << 20)
        .prop_filter_map("within bounds", |(length, size)| Layout::new(length, size).ok())
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        ".*".prop_map(|sdp| Signal::Offer { sdp }),
        ".*".prop_map(|sdp| Signal::Answer { sdp }),
        (".*", option::of(".*"), option::of(any::<u16>())).prop_map(|(candidate, mid, line)| {
            Signal::Candidate { candidate, sdp_mid: mid, sdp_m_line_index: line }
        }),
    ]
}

fn to_coord() -> impl Strategy<Value = ToCoord> {
    prop_oneof![
        (any::<u16>(), any::<[u8; 16]>(), option::of(".*")).prop_map(|(version, group, token)| {
            ToCoord::Hello { version, group: GroupId(group), token }
        }),
        vec(".*", 0..4).prop_map(|sdps| ToCoord::Offers { sdps }),
        (content(), any::<u8>(), chunk_set()).prop_map(|(content, want, have)| ToCoord::Join {
            content,
            want,
            have
        }),
        (content(), chunk_set()).prop_map(|(content, have)| ToCoord::Have { content, have }),
        content().prop_map(|content| ToCoord::Leave { content }),
        (peer(), signal()).prop_map(|(to, signal)| ToCoord::Signal { to, signal }),
        any::<[u64; 4]>().prop_map(|[bytes_http, bytes_p2p, bytes_cache, bytes_uploaded]| {
            let bytes = Totals { bytes_http, bytes_p2p, bytes_cache, bytes_uploaded };
            ToCoord::Report { bytes }
        }),
    ]
}

fn recommended() -> impl Strategy<Value = Recommended> {
    (peer(), chunk_set()).prop_map(|(peer, expected)| Recommended { peer, expected })
}

fn from_coord() -> impl Strategy<Value = FromCoord> {
    prop_oneof![
        (any::<u16>(), peer(), option::of(any::<u32>())).prop_map(|(version, peer, every)| {
            FromCoord::Welcome { version, peer, report_every_ms: every }
        }),
        (content(), vec(recommended(), 0..6))
            .prop_map(|(content, peers)| FromCoord::Peers { content, peers }),
        vec(peer(), 0..4).prop_map(|to| FromCoord::Offered { to }),
        (peer(), signal()).prop_map(|(from, signal)| FromCoord::Signal { from, signal }),
        any::<u32>().prop_map(|within_ms| FromCoord::Goodbye { within_ms }),
    ]
}

fn peer_message() -> impl Strategy<Value = PeerMessage> {
    prop_oneof![
        any::<u16>().prop_map(|version| PeerMessage::Hello { version }),
        content().prop_map(|content| PeerMessage::Interested { content }),
        (content(), chunk_set())
            .prop_map(|(content, chunks)| PeerMessage::Have { content, chunks }),
        (content(), chunk()).prop_map(|(content, chunk)| PeerMessage::Request { content, chunk }),
        (content(), chunk()).prop_map(|(content, chunk)| PeerMessage::Cancel { content, chunk }),
        (content(), chunk(), any::<u32>(), any::<u32>()).prop_map(
            |(content, chunk, offset, size)| PeerMessage::Chunk { content, chunk, offset, size }
        ),
        (content(), chunk()).prop_map(|(content, chunk)| PeerMessage::ChunkFail {
            content,
            chunk,
            reason: ChunkFailReason::Busy,
        }),
    ]
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let header = || option::of(".*");
    (0..200u64, 0..1024u64, ".*", header(), header(), header()).prop_map(
        |(chunks, tail, url, etag, last_modified, cache_control)| {
            let layout = Layout::new(chunks * 1024 + tail, 1024).expect("within bounds");
            let hashes = layout.chunks().map(|c| ChunkHash::of(&c.0.to_le_bytes())).collect();
            Manifest::new(url, layout, "image/jpeg".into(), etag, last_modified, hashes)
                .expect("a hash for each chunk")
                .with_cache_control(cache_control)
        },
    )
}

proptest! {
    #[test]
    fn a_message_to_the_server_survives_its_frame(message in to_coord()) {
        let bytes = frame::encode(&message, &[]).expect("encodes");
        let (read, body) = frame::decode::<ToCoord>(&bytes).expect("decodes");
        prop_assert_eq!(read, message);
        prop_assert!(body.is_empty());
    }

    #[test]
    fn a_message_from_the_server_survives_its_frame(message in from_coord()) {
        let bytes = frame::encode(&message, &[]).expect("encodes");
        prop_assert_eq!(frame::decode::<FromCoord>(&bytes).expect("decodes").0, message);
    }

    #[test]
    fn the_tree_of_a_message_is_what_serde_makes_and_takes(
        to in to_coord(),
        from in from_coord(),
        peer in peer_message(),
    ) {
        // Numbers of trees are exact up to 2^53 only.
        if !matches!(to, ToCoord::Report { .. }) {
            is_what_serde_makes_and_takes(&to);
        }
        is_what_serde_makes_and_takes(&from);
        is_what_serde_makes_and_takes(&peer);
    }

    #[test]
    fn a_peer_message_survives_its_frame_with_its_body(
        message in peer_message(),
        body in vec(any::<u8>(), 0..2000),
    ) {
        let bytes = frame::encode(&message, &body).expect("encodes");
        let (read, read_body) = frame::decode::<PeerMessage>(&bytes).expect("decodes");
        prop_assert_eq!(read, message);
        prop_assert_eq!(read_body, &body[..]);
    }

    #[test]
    fn a_manifest_survives_its_frame(manifest in manifest()) {
        let bytes = manifest.encode().expect("encodes");
        prop_assert_eq!(Manifest::decode(&bytes).expect("decodes"), manifest);
    }

    #[test]
    fn a_manifest_with_any_hash_bit_flipped_is_refused(
        manifest in manifest(),
        at in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!manifest.hashes.is_empty());
        let mut bytes = manifest.encode().expect("encodes");
        let body = bytes.len() - manifest.hashes.len() * 32;
        let at = body + at.index(bytes.len() - body);
        bytes[at] ^= 1;
        prop_assert!(Manifest::decode(&bytes).is_err());
    }

    #[test]
    fn decoders_never_panic_on_any_bytes(bytes in vec(any::<u8>(), 0..300)) {
        read_with_every_decoder(&bytes);
    }

    #[test]
    fn decoders_never_panic_on_damaged_frames(
        message in peer_message(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = frame::encode(&message, b"body").expect("encodes");
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(keep.index(bytes.len() + 1));
        read_with_every_decoder(&bytes);
    }

    #[test]
    fn chunks_partition_the_content(layout in layout()) {
        let count = layout.chunk_count();
        prop_assume!(count <= 5000);
        let mut at = 0;
        for chunk in layout.chunks() {
            let range = layout.range_of(chunk);
            prop_assert_eq!(range.start, at);
            prop_assert!(!range.is_empty());
            prop_assert_eq!(layout.chunk_at(range.start), chunk);
            prop_assert_eq!(layout.chunk_at(range.end - 1), chunk);
            at = range.end;
        }
        prop_assert_eq!(at, layout.length());
        prop_assert_eq!(layout.size_of(ChunkIndex(count)), 0);
    }

    #[test]
    fn covering_chunks_hold_the_range_and_no_chunk_too_many(
        layout in layout(),
        a in any::<u64>(),
        b in any::<u64>(),
    ) {
        prop_assume!(layout.length() > 0);
        let (a, b) = (a % layout.length(), b % layout.length());
        let range = ByteRange::new(a.min(b), a.max(b) + 1);
        let run = layout.covering(range);
        let held = layout.range_of_run(&run);
        prop_assert_eq!(held.intersection(range), range);
        prop_assert!(layout.range_of(ChunkIndex(run.start)).end > range.start);
        prop_assert!(layout.range_of(ChunkIndex(run.end - 1)).start < range.end);
    }

    #[test]
    fn a_chunk_set_is_a_set(chunks in vec(0..200u32, 0..100), gone in vec(0..200u32, 0..50)) {
        let mut model: std::collections::BTreeSet<u32> = chunks.iter().copied().collect();
        let mut set: ChunkSet = chunks.into_iter().map(ChunkIndex).collect();
        for chunk in gone {
            model.remove(&chunk);
            set.remove(ChunkIndex(chunk));
        }
        prop_assert_eq!(set.count() as usize, model.len());
        prop_assert_eq!(set.iter().map(|c| c.0).collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(set.is_full(200), model.len() == 200);
        let other: ChunkSet = (0..100).step_by(3).map(ChunkIndex).collect();
        let rest: Vec<u32> = model.iter().copied().filter(|c| c % 3 != 0 || *c >= 100).collect();
        prop_assert_eq!(set.without(&other).iter().map(|c| c.0).collect::<Vec<_>>(), rest);
        let json = serde_json::to_string(&set).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<ChunkSet>(&json).expect("reads back"), set);
    }
}

fn is_what_serde_makes_and_takes<M>(message: &M)
where
    M: Read + Write + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let tree: serde_json::Value = message.write();
    assert_eq!(tree, serde_json::to_value(message).expect("serialises"));
    assert_eq!(M::read(&tree).as_ref(), Some(message));
    assert_eq!(&serde_json::from_value::<M>(tree).expect("reads"), message);
}

fn read_with_every_decoder(bytes: &[u8]) {
    let _ = frame::decode::<ToCoord>(bytes);
    let _ = frame::decode::<FromCoord>(bytes);
    let _ = frame::decode::<PeerMessage>(bytes);
    let _ = Manifest::decode(bytes);
}

#[test]
fn the_frame_is_what_the_documentation_says() {
    let bytes = frame::encode(&PeerMessage::Hello { version: 1 }, b"xyz").expect("encodes");
    assert_eq!(bytes, b"\x1c\x00{\"type\":\"hello\",\"version\":1}xyz");
}

#[test]
fn an_unknown_field_is_ignored_and_an_unknown_type_is_an_error() {
    let known = frame::encode(&serde_json::json!({"type": "hello", "version": 1, "new": 2}), &[]);
    let unknown = frame::encode(&serde_json::json!({"type": "salute"}), &[]);

    let known = known.expect("encodes");
    assert!(frame::decode::<PeerMessage>(&known).is_ok());
    let unknown = unknown.expect("encodes");
    assert!(frame::decode::<PeerMessage>(&unknown).is_err());
}

#[test]
fn chunk_failure_is_called_what_the_thesis_calls_it() {
    let message = PeerMessage::ChunkFail {
        content: ContentId([0; 32]),
        chunk: ChunkIndex(3),
        reason: ChunkFailReason::NotHeld,
    };
    let json = serde_json::to_value(&message).expect("serialises");
    assert_eq!(json["type"], "chunkFail");
    assert_eq!(json["reason"], "not_held");
}

#[test]
fn a_chunk_run_beyond_every_content_is_refused() {
    assert!(serde_json::from_str::<ChunkSet>("[[0,4294967295]]").is_err());
    assert!(serde_json::from_str::<ChunkSet>("[[5,5]]").is_err());
}

#[test]
fn the_first_runs_of_a_set_are_those_at_its_start() {
    let set: ChunkSet = [1, 2, 5, 9, 10].map(ChunkIndex).into_iter().collect();
    assert_eq!(set.first_runs(2).runs().collect::<Vec<_>>(), [1..3, 5..6]);
    assert_eq!(set.first_runs(9), set);
}

#[test]
fn who_holds_nothing_is_recommended_by_its_id_alone() {
    let json = serde_json::to_value(Recommended::from(PeerId([1; 16]))).expect("serialises");
    assert_eq!(json, serde_json::json!({ "peer": "01".repeat(16) }));
    let join = format!(r#"{{"type":"join","content":"{}","want":5}}"#, "02".repeat(32));
    let join: ToCoord = serde_json::from_str(&join).expect("reads");
    let have = ChunkSet::new();
    assert_eq!(join, ToCoord::Join { content: ContentId([2; 32]), want: 5, have });
}

#[test]
fn a_pages_settings_are_laid_over_the_sites_within_their_bounds() {
    let site =
        SiteConfig { slack_percent: 20, mixed_http_percent: Some(30), ..SiteConfig::default() };
    assert_eq!(site.clone().with(&PageSettings::default()), site);
    let settings = |json| serde_json::from_value::<PageSettings>(json).expect("reads");

    let page = settings(serde_json::json!({
        "policy": "mixed", "slack_ms": 7, "slack_percent": 40, "mixed_http_percent": 60,
    }));
    let expected = SiteConfig {
        policy: PolicyName::Mixed,
        slack_ms: 7,
        slack_percent: 40,
        mixed_http_percent: Some(60),
        ..SiteConfig::default()
    };
    assert_eq!(site.clone().with(&page), expected);
    let page = settings(serde_json::json!({ "slack_percent": 1001, "mixed_http_percent": 101 }));
    let config = site.with(&page);
    assert_eq!((config.slack_percent, config.mixed_http_percent), (1000, Some(100)));
}

#[test]
fn every_policy_is_read_by_its_name() {
    for policy in PolicyName::ALL {
        assert_eq!(policy.as_str().parse(), Ok(policy));
        assert_eq!(serde_json::to_value(policy).expect("serialises"), policy.as_str());
    }
}

#[test]
fn the_tree_of_a_configuration_is_what_serde_makes_and_takes() {
    is_what_serde_makes_and_takes(&SiteConfig::default());
    is_what_serde_makes_and_takes(&SiteConfig {
        policy: PolicyName::HeadStart,
        stun: vec!["stun:a:1".to_owned()],
        upload_bytes: Some(1 << 53),
        ..SiteConfig::default()
    });
    for other in [serde_json::json!(null), serde_json::json!({"max_peers": -1})] {
        assert_eq!(SiteConfig::read(&other), None, "{other}");
    }
}

#[test]
fn a_configuration_may_leave_out_everything() {
    let config: SiteConfig = serde_json::from_str("{}").expect("reads");
    assert_eq!(config, SiteConfig::default());
}

#[test]
fn messages_are_written_as_they_always_were() {
    let (content, peer) = (ContentId([0xab; 32]), PeerId([0xcd; 16]));
    let (ab, cd) = ("ab".repeat(32), "cd".repeat(16));
    let signal = Signal::Candidate {
        candidate: "c".to_owned(),
        sdp_mid: Some("0".to_owned()),
        sdp_m_line_index: Some(1),
    };
    let chunk = PeerMessage::Chunk { content, chunk: ChunkIndex(1), offset: 2, size: 3 };
    let refusal =
        FromCoord::Error { code: ErrorCode::BadMessage, message: String::new(), peer: None };
    let have: ChunkSet = [0, 1, 4].map(ChunkIndex).into_iter().collect();
    for (json, expected) in [
        (
            serde_json::to_string(&chunk),
            format!(r#"{{"type":"chunk","content":"{ab}","chunk":1,"offset":2,"size":3}}"#),
        ),
        (
            serde_json::to_string(&ToCoord::Hello {
                version: 2,
                group: GroupId([0xab; 16]),
                token: None,
            }),
            format!(r#"{{"type":"hello","version":2,"group":"{}"}}"#, "ab".repeat(16)),
        ),
        (
            serde_json::to_string(&ToCoord::Join { content, want: 5, have }),
            format!(r#"{{"type":"join","content":"{ab}","want":5,"have":[[0,2],[4,5]]}}"#),
        ),
        (
            serde_json::to_string(&ToCoord::Have { content, have: ChunkSet::new() }),
            format!(r#"{{"type":"have","content":"{ab}","have":[]}}"#),
        ),
        (
            serde_json::to_string(&FromCoord::Signal { from: peer, signal }),
            format!(
                r#"{{"type":"signal","from":"{cd}","signal":{{"kind":"candidate","candidate":"c","sdpMid":"0","sdpMLineIndex":1}}}}"#
            ),
        ),
        (
            serde_json::to_string(&FromCoord::Welcome { version: 2, peer, report_every_ms: None }),
            format!(r#"{{"type":"welcome","version":2,"peer":"{cd}"}}"#),
        ),
        (
            serde_json::to_string(&refusal),
            r#"{"type":"error","code":"bad_message","message":""}"#.to_owned(),
        ),
    ] {
        assert_eq!(json.expect("serialises"), expected);
    }
}
