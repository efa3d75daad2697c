//! When a page uploads nothing, and how much at the most.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, missing_docs)]

mod town;

use dcdn_page_shim::manners::Restraint;
use dcdn_page_shim::peer::ConnectionEvent;
use dcdn_protocol::message::coord::FromCoord;
use dcdn_protocol::message::peer::{ChunkFailReason, PeerMessage};
use dcdn_protocol::message::shim::{ToShim, ToWorker};
use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, PeerId, SiteConfig};
use js_sys::{ArrayBuffer, Function};
use town::{Relay, Resident, Stranger, hold, join};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

const SMALL: PeerId = PeerId([1; 16]);
const LARGE: PeerId = PeerId([2; 16]);
const FIRST: ChunkIndex = ChunkIndex(0);
const CHUNK_SIZE: u32 = 256 * 1024;

/// A content of its own for each test: the cache is shared.
fn content(test: u8) -> ContentId {
    ContentId([test; 32])
}

fn named(content: ContentId, peer: PeerId) -> FromCoord {
    FromCoord::Peers { content, peers: vec![peer.into()] }
}

fn request(peer: PeerId, content: ContentId, chunk: ChunkIndex) -> ToShim {
    ToShim::Request { peer, content, chunk, size: CHUNK_SIZE }
}

/// Something that the browser says of its device or visitor, until dropped.
struct Says {
    object: &'static str,
    name: &'static str,
}

impl Says {
    fn that(object: &'static str, name: &'static str, value: &str) -> Self {
        run(&format!(
            "Object.defineProperty({object}, '{name}', {{ configurable: true, value: {value} }});
             document.dispatchEvent(new Event('visibilitychange'))"
        ));
        Self { object, name }
    }
}

impl Drop for Says {
    fn drop(&mut self) {
        let Self { object, name } = self;
        run(&format!(
            "delete {object}.{name}; document.dispatchEvent(new Event('visibilitychange'))"
        ));
    }
}

fn run(script: &str) {
    Function::new_no_args(script).call0(&JsValue::NULL).unwrap();
}

/// Asks for the first chunk, and whether that was declined.
async fn is_declined(stranger: &mut Stranger, content: ContentId) -> bool {
    stranger.tell(&PeerMessage::Request { content, chunk: FIRST });
    let answer = |message: &PeerMessage| match message {
        PeerMessage::Chunk { offset, .. } if *offset == 0 => Some(false),
        PeerMessage::ChunkFail { reason: ChunkFailReason::Declined, .. } => Some(true),
        _ => None,
    };
    stranger.hear_message(answer).await
}

#[wasm_bindgen_test]
async fn a_visitor_who_saves_data_offers_nothing_and_uploads_nothing() {
    let (relay, content) = (Relay::default(), content(30));
    let mut node = Resident::new(&relay, LARGE, &SiteConfig::default());
    let _saving = Says::that("navigator", "connection", "{ saveData: true }");
    hold(&node, content, 1, CHUNK_SIZE).await;
    let (mut stranger, _) = Stranger::connected_to(&relay, &mut node).await;

    stranger.tell(&PeerMessage::Interested { content });
    let nothing = PeerMessage::Have { content, chunks: ChunkSet::new() };
    stranger.hear_message(|message| (*message == nothing).then_some(())).await;

    assert!(is_declined(&mut stranger, content).await);
    assert_eq!(node.node().restraint(), Some(Restraint::SavesData));
}

#[wasm_bindgen_test]
async fn a_page_that_may_upload_two_chunks_uploads_two_of_the_four_that_its_peers_ask_for() {
    let (relay, content) = (Relay::default(), content(31));
    let limited =
        SiteConfig { upload_bytes: Some(2 * u64::from(CHUNK_SIZE)), ..SiteConfig::default() };
    let mut node = Resident::new(&relay, LARGE, &limited);
    hold(&node, content, 4, CHUNK_SIZE).await;
    let (mut stranger, _) = Stranger::connected_to(&relay, &mut node).await;
    let mut reader = Resident::new(&relay, SMALL, &SiteConfig::default());
    reader.say(join(content));
    reader.node_mut().on_coord(named(content, LARGE));
    reader.hear(|message, _| matches!(message, ToWorker::PeerHas { .. }).then_some(())).await;

    for chunk in [0, 1].map(ChunkIndex) {
        stranger.tell(&PeerMessage::Request { content, chunk });
    }
    for chunk in [2, 3].map(ChunkIndex) {
        reader.say(request(LARGE, content, chunk));
    }

    // Bytes that arrive, and requests that are declined.
    let (mut bytes, mut declined) = (0, 0);
    while bytes + declined * CHUNK_SIZE < 2 * CHUNK_SIZE {
        let answer = |event: &ConnectionEvent| match event {
            ConnectionEvent::Message(PeerMessage::Chunk { .. }, body) => Some(body.length()),
            ConnectionEvent::Message(PeerMessage::ChunkFail { .. }, _) => Some(0),
            _ => None,
        };
        let arrived = stranger.hear(answer).await;
        bytes += arrived;
        declined += u32::from(arrived == 0);
    }
    for _ in 0..2 {
        let answer = |message: &ToWorker, body: Option<&ArrayBuffer>| match message {
            ToWorker::Chunk { .. } => body.map(ArrayBuffer::byte_length),
            ToWorker::ChunkFail { reason: ChunkFailReason::Declined, .. } => Some(0),
            _ => None,
        };
        let arrived = reader.hear(answer).await;
        bytes += arrived;
        declined += u32::from(arrived == 0);
    }
    assert_eq!((bytes, declined), (2 * CHUNK_SIZE, 2));
    assert_eq!(node.node().uploaded(), 2 * u64::from(CHUNK_SIZE));
}

#[wasm_bindgen_test]
async fn a_device_whose_battery_is_low_uploads_nothing() {
    let (relay, content) = (Relay::default(), content(32));
    let low = "async () => ({ charging: false, level: 0.1 })";
    let _low = Says::that("navigator", "getBattery", low);
    let mut node = Resident::new(&relay, LARGE, &SiteConfig::default());
    hold(&node, content, 1, 1024).await;
    let (mut stranger, _) = Stranger::connected_to(&relay, &mut node).await;

    assert!(is_declined(&mut stranger, content).await);
    assert_eq!(node.node().restraint(), Some(Restraint::LowBattery));
}

#[wasm_bindgen_test]
async fn a_device_that_is_charging_uploads_however_low_its_battery_is() {
    let (relay, content) = (Relay::default(), content(33));
    let low = "async () => ({ charging: true, level: 0.1 })";
    let _low = Says::that("navigator", "getBattery", low);
    let mut node = Resident::new(&relay, LARGE, &SiteConfig::default());
    hold(&node, content, 1, 1024).await;
    let (mut stranger, _) = Stranger::connected_to(&relay, &mut node).await;

    assert!(!is_declined(&mut stranger, content).await);
}

#[wasm_bindgen_test]
async fn a_page_that_was_in_the_background_for_too_long_uploads_nothing_until_it_is_seen_again() {
    let (relay, content) = (Relay::default(), content(34));
    let impatient = SiteConfig { background_seconds: 0, ..SiteConfig::default() };
    let mut node = Resident::new(&relay, LARGE, &impatient);
    hold(&node, content, 1, 1024).await;
    let (mut stranger, _) = Stranger::connected_to(&relay, &mut node).await;

    let hidden = Says::that("document", "visibilityState", "'hidden'");
    assert!(!is_declined(&mut stranger, content).await, "not for a second yet");
    while !is_declined(&mut stranger, content).await {}
    assert_eq!(node.node().restraint(), Some(Restraint::Background));

    drop(hidden);
    assert!(!is_declined(&mut stranger, content).await);
}
