//! What the browser's own JSON and our reader make of values is what `serde_json` would.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Debug;

use dcdn_plain::{Unexpected, from_json, from_object, to_json, to_object};
use dcdn_protocol::message::coord::{ErrorCode, FromCoord, Recommended, Signal, ToCoord};
use dcdn_protocol::message::peer::{ChunkFailReason, PeerMessage};
use dcdn_protocol::message::shim::{Errand, Outcome, PageEvent, ToShim, ToWorker};
use dcdn_protocol::plain::{Read, Write};
use dcdn_protocol::stats::{Source, Stats, Totals, UrlStats};
use dcdn_protocol::{
    ChunkHash, ChunkIndex, ChunkSet, ContentId, GroupId, Layout, Manifest, PeerId, PolicyName,
    SiteConfig, record,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

const CONTENT: ContentId = ContentId([0xab; 32]);
const PEER: PeerId = PeerId([0xcd; 16]);
const CHUNK: ChunkIndex = ChunkIndex(7);

/// Written here it is read by `serde_json`, written by that it is read here, and as an
/// object it comes back.
fn goes_round<T: Read + Write + Serialize + DeserializeOwned + PartialEq + Debug>(values: &[T]) {
    for value in values {
        let ours = to_json(value).unwrap();
        let theirs = serde_json::to_string(value).unwrap();
        assert_eq!(&serde_json::from_str::<T>(&ours).unwrap(), value, "{ours}");
        assert_eq!(&from_json::<T>(&theirs).unwrap(), value, "{theirs}");
        assert_eq!(&from_object::<T>(&to_object(value)).unwrap(), value);
    }
}

fn chunks() -> ChunkSet {
    [0, 1, 2, 9].map(ChunkIndex).into_iter().collect()
}

#[wasm_bindgen_test]
fn what_pages_say_to_the_coordination_server_and_hear_from_it() {
    let candidate = |sdp_mid, sdp_m_line_index| Signal::Candidate {
        candidate: "candidate:1 \"ü\"".to_owned(),
        sdp_mid,
        sdp_m_line_index,
    };
    let signal = candidate(Some("0".to_owned()), Some(0));
    goes_round(&[
        ToCoord::Hello { version: 2, group: GroupId([1; 16]), token: None },
        ToCoord::Join { content: CONTENT, want: 5, have: ChunkSet::new() },
        ToCoord::Join { content: CONTENT, want: 0, have: chunks() },
        ToCoord::Have { content: CONTENT, have: ChunkSet::new() },
        ToCoord::Leave { content: CONTENT },
        ToCoord::Signal { to: PEER, signal: signal.clone() },
        ToCoord::Signal { to: PEER, signal: candidate(None, None) },
        ToCoord::Report { bytes: Totals { bytes_http: 1 << 40, ..Totals::default() } },
        ToCoord::Signal { to: PEER, signal: Signal::Answer { sdp: String::new() } },
    ]);
    let expected = Recommended { peer: PEER, expected: chunks() };
    goes_round(&[
        FromCoord::Welcome { version: 2, peer: PEER, report_every_ms: Some(30_000) },
        FromCoord::Peers { content: CONTENT, peers: vec![expected, PEER.into()] },
        FromCoord::Signal { from: PEER, signal: Signal::Offer { sdp: "v=0\r\n".to_owned() } },
        FromCoord::Error { code: ErrorCode::RateLimit, message: String::new(), peer: None },
        FromCoord::Error {
            code: ErrorCode::UnknownPeer,
            message: "a".to_owned(),
            peer: Some(PEER),
        },
    ]);
    goes_round(&[signal]);
}

#[wasm_bindgen_test]
fn what_pages_say_to_each_other() {
    goes_round(&[
        PeerMessage::Hello { version: 2 },
        PeerMessage::Interested { content: CONTENT },
        PeerMessage::Have { content: CONTENT, chunks: chunks() },
        PeerMessage::Request { content: CONTENT, chunk: CHUNK },
        PeerMessage::Cancel { content: CONTENT, chunk: CHUNK },
        PeerMessage::Chunk { content: CONTENT, chunk: CHUNK, offset: 53_248, size: 262_144 },
        PeerMessage::ChunkFail { content: CONTENT, chunk: CHUNK, reason: ChunkFailReason::NotHeld },
        PeerMessage::Error { message: "unknown message".to_owned() },
    ]);
}

#[wasm_bindgen_test]
fn what_a_page_and_its_worker_say_to_each_other() {
    let url = || "/media/a.jpg?x=1".to_owned();
    goes_round(&[
        ToWorker::Hello { version: 2, settings: <_>::default(), page: url(), time_origin: 1.25e12 },
        ToWorker::Probe,
        ToWorker::PeerUp { peer: PEER, me: PEER, expected: vec![(CONTENT, chunks())] },
        ToWorker::Progress { peer: PEER, content: CONTENT, chunk: CHUNK, received: 1 },
        ToWorker::Do { id: 3, errand: Errand::Prefetch { url: url() } },
        ToWorker::Do { id: 4, errand: Errand::Clear },
        ToWorker::Bye,
    ]);
    let line = UrlStats {
        url: url(),
        policy: PolicyName::HeadStart,
        length: Some(1 << 40),
        bytes_http: 1,
        bytes_p2p: 2,
        bytes_cache: 3,
        requested_ms: 0.5,
        ttfb_ms: Some(7.0),
        ttlb_ms: None,
        spans: vec![(0, 1 << 33, Source::Http)],
    };
    let config = SiteConfig { stun: vec!["stun:a:1".to_owned()], ..SiteConfig::default() };
    let progress = PageEvent::Progress { url: url(), loaded: 1, total: 2, source: Source::P2p };
    goes_round(&[
        ToShim::Welcome { version: 2, config },
        ToShim::Have { content: CONTENT, chunks: chunks() },
        ToShim::Stats { id: 1, stats: Stats { urls: vec![line], totals: Totals::default() } },
        ToShim::Outcome { id: 2, outcome: Outcome { ok: true, bytes: 5, error: None } },
        ToShim::Event { event: progress },
        ToShim::Event { event: PageEvent::Done { url: url() } },
        ToShim::Busy { open: true, totals: None },
        ToShim::Busy { open: false, totals: Some(Totals { bytes_p2p: 7, ..Totals::default() }) },
    ]);
}

#[wasm_bindgen_test]
fn a_manifests_header() {
    let layout = Layout::new(10, 1024).unwrap();
    let hashes = vec![ChunkHash([1; 32])];
    let etag = Some("\"1\"".to_owned());
    let manifest =
        Manifest::new("/a".to_owned(), layout, "image/png".to_owned(), etag, None, hashes).unwrap();

    let header = from_json(&to_json(&manifest.header()).unwrap()).unwrap();

    assert_eq!(Manifest::from_parts(header, &manifest.body()).unwrap(), manifest);
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Everything {
    list: Vec<Option<bool>>,
    pair: (u8, f64),
    #[serde(skip_serializing_if = "Option::is_none")]
    none: Option<String>,
    #[serde(rename = "null")]
    nothing: Option<u64>,
    empty: Vec<u8>,
}

record!(Everything { list, pair, none or_none, nothing("null") or_null, empty or_empty });

#[wasm_bindgen_test]
fn lists_and_what_is_absent() {
    goes_round(&[
        Everything {
            list: vec![Some(true), Some(false)],
            pair: (255, -0.5),
            none: Some("ü".to_owned()),
            nothing: Some(1 << 53),
            empty: vec![0],
        },
        Everything::default(),
    ]);
    let sparse = from_json(r#"{"pair":[1,2],"list":[],"none":null,"else":{"more":[1]}}"#);
    assert_eq!(sparse, Ok(Everything { pair: (1, 2.0), ..Everything::default() }));
    for json in [r#"{"pair":[1,2]}"#, r#"{"list":[]}"#, r#"{"pair":[1],"list":[]}"#] {
        assert_eq!(from_json::<Everything>(json), Err(Unexpected), "{json}");
    }
}

#[wasm_bindgen_test]
fn what_is_absent_of_a_configuration_is_the_default() {
    let config = from_json(r#"{"policy":"basic","store_bytes":null}"#);
    let expected = SiteConfig { policy: PolicyName::Basic, ..SiteConfig::default() };
    assert_eq!(config, Ok(expected));
    for json in ["1", "null", r#"{"policy":7}"#, r#"{"max_peers":-1}"#] {
        assert_eq!(from_json::<SiteConfig>(json), Err(Unexpected), "{json}");
    }
}

#[wasm_bindgen_test]
fn what_is_something_else_is_an_error() {
    for json in
        ["", "{", "null", "[]", r#"{"type":"salute"}"#, r#"{"type":"hello"}"#, r#"{"version":1}"#]
    {
        assert_eq!(from_json::<PeerMessage>(json), Err(Unexpected), "{json}");
    }
    for (json, limit) in [("256", "u8"), ("-1", "u8"), ("1.5", "u8"), ("\"1\"", "u8")] {
        assert_eq!(from_json::<u8>(json), Err(Unexpected), "{json} is no {limit}");
    }
    assert_eq!(from_json::<ChunkSet>("[[5,5]]"), Err(Unexpected));
    assert_eq!(from_json::<ContentId>("\"ab\""), Err(Unexpected));
    assert_eq!(from_json::<PolicyName>("\"fast\""), Err(Unexpected));
    assert_eq!(from_object::<PeerMessage>(&JsValue::UNDEFINED), Err(Unexpected));
    assert_eq!(from_object::<f64>(&JsValue::from_str("1")), Err(Unexpected));
}
