//! The examples in `docs/protocol.md` are what is really written, byte for byte, and are read back.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use dcdn_protocol::chunk::{ChunkIndex, ChunkSet, Layout};
use dcdn_protocol::frame;
use dcdn_protocol::message::coord::{
    ErrorCode, FromCoord, REPORT_INTERVAL_MS, Recommended, Signal, ToCoord,
};
use dcdn_protocol::message::peer::{ChunkFailReason, PeerMessage};
use dcdn_protocol::stats::Totals;
use dcdn_protocol::{ChunkHash, ContentId, GroupId, Manifest, PeerId, VERSION};
use serde::Serialize;
use serde::de::DeserializeOwned;

const DOCUMENT: &str = include_str!("../../docs/protocol.md");

/// A content of one chunk, which is the text `DCDN`.
fn manifest() -> Manifest {
    let layout = Layout::of_length(4).unwrap();
    let hashes = vec![ChunkHash::of(b"DCDN")];
    let etag = Some("\"1\"".to_owned());
    Manifest::new("/a.png".to_owned(), layout, "image/png".to_owned(), etag, None, hashes).unwrap()
}

fn content() -> ContentId {
    manifest().content_id()
}

fn held() -> ChunkSet {
    let mut held = ChunkSet::full(12);
    held.insert(ChunkIndex(20));
    held
}

fn to_coord() -> Vec<ToCoord> {
    let content = content();
    vec![
        ToCoord::Hello { version: VERSION, group: GroupId([0xaa; 16]), token: None },
        ToCoord::Offers { sdps: vec!["v=0\r\n…".into()] },
        ToCoord::Join { content, want: 8, have: held() },
        ToCoord::Join { content, want: 0, have: ChunkSet::new() },
        ToCoord::Have { content, have: held() },
        ToCoord::Leave { content },
        ToCoord::Signal { to: PeerId([2; 16]), signal: Signal::Offer { sdp: "v=0\r\n…".into() } },
        ToCoord::Signal { to: PeerId([2; 16]), signal: candidate() },
        ToCoord::Report {
            bytes: Totals { bytes_http: 262_144, bytes_p2p: 2_883_584, ..Totals::default() },
        },
    ]
}

fn from_coord() -> Vec<FromCoord> {
    let peers = vec![
        Recommended { peer: PeerId([2; 16]), expected: held() },
        Recommended::from(PeerId([3; 16])),
    ];
    vec![
        FromCoord::Welcome {
            version: VERSION,
            peer: PeerId([1; 16]),
            report_every_ms: Some(REPORT_INTERVAL_MS),
        },
        FromCoord::Offered { to: vec![PeerId([2; 16])] },
        FromCoord::Peers { content: content(), peers },
        FromCoord::Signal {
            from: PeerId([2; 16]),
            signal: Signal::Answer { sdp: "v=0\r\n…".into() },
        },
        FromCoord::Goodbye { within_ms: 2000 },
        FromCoord::Error {
            code: ErrorCode::UnknownPeer,
            message: "that peer is gone".to_owned(),
            peer: Some(PeerId([2; 16])),
        },
    ]
}

fn candidate() -> Signal {
    Signal::Candidate {
        candidate: "candidate:1 1 udp 2113937151 192.0.2.1 49152 typ host".to_owned(),
        sdp_mid: Some("0".to_owned()),
        sdp_m_line_index: Some(0),
    }
}

fn between_peers() -> Vec<PeerMessage> {
    let (content, chunk) = (content(), ChunkIndex(20));
    vec![
        PeerMessage::Hello { version: VERSION },
        PeerMessage::Interested { content },
        PeerMessage::Have { content, chunks: held() },
        PeerMessage::Request { content, chunk },
        PeerMessage::Cancel { content, chunk },
        PeerMessage::Chunk { content, chunk, offset: 53_248, size: 262_144 },
        PeerMessage::ChunkFail { content, chunk, reason: ChunkFailReason::Busy },
        PeerMessage::Error { message: "unknown message type".to_owned() },
    ]
}

#[test]
fn the_examples_of_messages_are_what_is_written() {
    assert_eq!(example("to-server"), lines(&to_coord()));
    assert_eq!(example("from-server"), lines(&from_coord()));
    assert_eq!(example("between-peers"), lines(&between_peers()));
}

#[test]
fn the_examples_of_messages_are_read_back() {
    fn read<T: DeserializeOwned>(name: &str) -> Vec<T> {
        example(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    assert_eq!(read::<ToCoord>("to-server"), to_coord());
    assert_eq!(read::<FromCoord>("from-server"), from_coord());
    assert_eq!(read::<PeerMessage>("between-peers"), between_peers());
}

#[test]
fn the_examples_of_bytes_are_what_is_written() {
    let hello = frame::encode(&PeerMessage::Hello { version: VERSION }, b"").unwrap();
    assert_eq!(example("hello"), dump(&hello));
    let piece = PeerMessage::Chunk { content: content(), chunk: ChunkIndex(0), offset: 0, size: 4 };
    assert_eq!(example("piece"), dump(&frame::encode(&piece, b"DCDN").unwrap()));
    assert_eq!(example("manifest"), dump(&manifest().encode().unwrap()));
}

#[test]
fn a_reader_who_knows_only_the_document_finds_the_manifest_in_its_bytes() {
    let bytes: Vec<u8> = example("manifest")
        .lines()
        .flat_map(|line| line[6..53].split_whitespace())
        .map(|digits| u8::from_str_radix(digits, 16).unwrap())
        .collect();
    assert_eq!(Manifest::decode(&bytes).unwrap(), manifest());
    assert!(DOCUMENT.contains(&format!("version {VERSION}")));
}

/// Fails to compile when there is another kind of message, which then needs an example.
#[allow(dead_code, reason = "the compiler is who reads it")]
fn every_kind(to: &ToCoord, from: &FromCoord, peer: &PeerMessage) {
    match to {
        ToCoord::Hello { .. }
        | ToCoord::Offers { .. }
        | ToCoord::Join { .. }
        | ToCoord::Have { .. }
        | ToCoord::Leave { .. }
        | ToCoord::Signal { .. }
        | ToCoord::Report { .. } => {}
    }
    match from {
        FromCoord::Welcome { .. }
        | FromCoord::Offered { .. }
        | FromCoord::Peers { .. }
        | FromCoord::Signal { .. }
        | FromCoord::Goodbye { .. }
        | FromCoord::Error { .. } => {}
    }
    match peer {
        PeerMessage::Hello { .. }
        | PeerMessage::Interested { .. }
        | PeerMessage::Have { .. }
        | PeerMessage::Request { .. }
        | PeerMessage::Cancel { .. }
        | PeerMessage::Chunk { .. }
        | PeerMessage::ChunkFail { .. }
        | PeerMessage::Error { .. } => {}
    }
}

/// The block after the mark `<!-- example: NAME -->`.
fn example(name: &str) -> String {
    let mark = format!("<!-- example: {name} -->\n```");
    let (_, rest) = DOCUMENT.split_once(&mark).unwrap_or_else(|| panic!("no example {name}"));
    let (_, rest) = rest.split_once('\n').unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    block.to_owned()
}

/// One header a line.
fn lines<T: Serialize>(messages: &[T]) -> String {
    let lines = messages.iter().map(|it| serde_json::to_string(it).unwrap() + "\n");
    lines.collect()
}

/// Offset, 16 bytes in hexadecimal, and what of them is ASCII, a line.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (row, bytes) in bytes.chunks(16).enumerate() {
        let digits: Vec<String> = bytes.iter().map(|it| format!("{it:02x}")).collect();
        let seen = bytes.iter().map(|&it| if (32..127).contains(&it) { it as char } else { '.' });
        let (offset, digits, seen) = (row * 16, digits.join(" "), seen.collect::<String>());
        let _ = writeln!(text, "{offset:04x}  {digits:<47}  {seen}");
    }
    text
}
