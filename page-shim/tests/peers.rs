//! Nodes that are connected for real, in one page.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, missing_docs)]

mod town;

use dcdn_page_shim::browser;
use dcdn_page_shim::channel::HIGH_WATER;
use dcdn_page_shim::download::ChunkKey;
use dcdn_page_shim::peer::ConnectionEvent;
use dcdn_page_shim::upload::Uploads;
use dcdn_protocol::message::coord::{FromCoord, Signal};
use dcdn_protocol::message::peer::{ChunkFailReason, MAX_QUEUED_REQUESTS, PIECE_SIZE, PeerMessage};
use dcdn_protocol::message::shim::{ToShim, ToWorker};
use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, PeerId, SiteConfig, frame};
use js_sys::Uint8Array;
use town::{Relay, Resident, Stranger, bytes_of, hold, join, noise, store_chunk, until};
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

fn config() -> SiteConfig {
    SiteConfig::default()
}

fn request(peer: PeerId, content: ContentId, chunk: ChunkIndex) -> ToShim {
    ToShim::Request { peer, content, chunk, size: CHUNK_SIZE }
}

fn named(content: ContentId, peer: PeerId) -> FromCoord {
    FromCoord::Peers { content, peers: vec![peer.into()] }
}

fn fail(peer: PeerId, content: ContentId, reason: ChunkFailReason) -> ToWorker {
    ToWorker::ChunkFail { peer, content, chunk: FIRST, reason }
}

/// Offset and length of a piece of `chunk`, if the event is one.
fn piece_of(event: &ConnectionEvent, wanted: ChunkIndex) -> Option<(u32, u32)> {
    match event {
        ConnectionEvent::Message(PeerMessage::Chunk { chunk, offset, .. }, body)
            if *chunk == wanted =>
        {
            Some((*offset, body.length()))
        }
        _ => None,
    }
}

#[wasm_bindgen_test]
async fn a_chunk_in_ones_cache_arrives_whole_and_equal_at_the_other() {
    let (relay, content) = (Relay::default(), content(1));
    let seed = Resident::new(&relay, LARGE, &config());
    hold(&seed, content, 2, CHUNK_SIZE).await;
    seed.say(ToShim::Join { content, want: 0 });
    let mut reader = Resident::new(&relay, SMALL, &config());

    reader.say(join(content));
    reader.hear_exactly(&ToWorker::Expecting { content, peers: 1 }).await;
    let expected = vec![(content, ChunkSet::full(2))];
    reader.hear_exactly(&ToWorker::PeerUp { peer: LARGE, me: SMALL, expected }).await;
    let has = ToWorker::PeerHas { peer: LARGE, content, chunks: ChunkSet::full(2) };
    reader.hear_exactly(&has).await;
    reader.say(request(LARGE, content, ChunkIndex(1)));

    let mut progress = Vec::new();
    let bytes = reader
        .hear(|message, body| {
            if let ToWorker::Progress { received, .. } = message {
                progress.push(*received);
            }
            matches!(message, ToWorker::Chunk { .. }).then(|| bytes_of(body.unwrap()))
        })
        .await;
    assert!(bytes == noise(CHUNK_SIZE, 1), "the bytes are the stored ones");
    assert!(progress.is_sorted());
    assert_eq!(progress.first(), Some(&PIECE_SIZE), "of the first piece the worker hears at once");
    assert!(progress.last() < Some(&CHUNK_SIZE), "that all is there the chunk itself says");
    assert_eq!(seed.node().uploaded(), u64::from(CHUNK_SIZE));
    assert_eq!(reader.node().peers()[0].bytes_in, u64::from(CHUNK_SIZE));
}

#[wasm_bindgen_test]
async fn a_chunk_stored_later_is_announced_to_who_is_interested() {
    let (relay, content) = (Relay::default(), content(2));
    let seed = Resident::new(&relay, LARGE, &config());
    seed.say(ToShim::Join { content, want: 0 });
    let mut reader = Resident::new(&relay, SMALL, &config());
    reader.say(join(content));
    let none = ToWorker::PeerHas { peer: LARGE, content, chunks: ChunkSet::new() };
    reader.hear_exactly(&none).await;

    seed.say(ToShim::Have { content, chunks: ChunkSet::full(1) });

    let one = ToWorker::PeerHas { peer: LARGE, content, chunks: ChunkSet::full(1) };
    reader.hear_exactly(&one).await;
}

#[wasm_bindgen_test]
async fn offers_that_were_made_ready_go_out_with_the_join_and_others_are_made_when_needed() {
    let (relay, content) = (Relay::default(), content(21));
    let seeds = [LARGE, PeerId([3; 16]), PeerId([4; 16])];
    let residents = seeds.map(|id| Resident::new(&relay, id, &config()));
    for seed in &residents {
        hold(seed, content, 1, CHUNK_SIZE).await;
        seed.say(ToShim::Join { content, want: 0 });
    }
    browser::note_peers(2);
    let mut reader = Resident::without_socket(&relay, SMALL, &config());
    reader.say(join(content));
    until(|| reader.node().ready_count() == 2).await;
    assert!(reader.node().peers().is_empty(), "they are nobody's yet");

    reader.open_socket();

    for _ in seeds {
        reader.hear(|told, _| matches!(told, ToWorker::PeerHas { .. }).then_some(())).await;
    }
    assert_eq!((reader.node().open_count(), reader.node().counts().tried), (3, 3));
    assert_eq!((reader.node().ready_count(), browser::peers_of_late()), (0, 3));
    for seed in &residents {
        assert_eq!(seed.node().counts().tried, 1);
    }
}

#[wasm_bindgen_test]
async fn whoever_met_nobody_the_last_time_makes_nothing_ready() {
    let (relay, content) = (Relay::default(), content(22));
    browser::note_peers(0);
    let mut reader = Resident::without_socket(&relay, SMALL, &config());
    reader.say(join(content));
    reader.open_socket();
    reader.hear_exactly(&ToWorker::Expecting { content, peers: 0 }).await;
    assert_eq!((reader.node().ready_count(), reader.node().counts().tried), (0, 0));
}

#[wasm_bindgen_test]
async fn two_that_call_each_other_at_once_end_up_with_one_connection() {
    let (relay, content) = (Relay::default(), content(3));
    let mut small = Resident::new(&relay, SMALL, &config());
    let mut large = Resident::new(&relay, LARGE, &config());
    hold(&small, content, 1, CHUNK_SIZE).await;
    hold(&large, content, 1, CHUNK_SIZE).await;
    small.say(join(content));
    large.say(join(content));

    // Both are named to each other before either has heard a thing.
    small.node_mut().on_coord(named(content, LARGE));
    large.node_mut().on_coord(named(content, SMALL));

    let mut told = Vec::new();
    for (one, other) in [(&mut small, LARGE), (&mut large, SMALL)] {
        let mut until_has = |message: &ToWorker, _: Option<&_>| {
            told.push(message.clone());
            matches!(message, ToWorker::PeerHas { .. }).then_some(())
        };
        one.hear(&mut until_has).await;
        one.say(request(other, content, FIRST));
        let mut until_chunk = |message: &ToWorker, _: Option<&_>| {
            told.push(message.clone());
            matches!(message, ToWorker::Chunk { .. }).then_some(())
        };
        one.hear(&mut until_chunk).await;
        assert_eq!(one.node().peers().len(), 1);
        assert_eq!(one.node().open_count(), 1);
    }
    told.extend(small.heard_so_far());
    told.extend(large.heard_so_far());
    let count = |wanted: fn(&ToWorker) -> bool| told.iter().filter(|told| wanted(told)).count();
    assert_eq!(count(|told| matches!(told, ToWorker::PeerUp { .. })), 2);
    assert_eq!(count(|told| matches!(told, ToWorker::PeerDown { .. })), 0);
}

#[wasm_bindgen_test]
async fn a_piece_that_is_not_of_the_chunk_fails_the_request() {
    let wrong = [
        ("a chunk of another size", 0, CHUNK_SIZE + 1, PIECE_SIZE),
        ("a piece that reaches out of the chunk", PIECE_SIZE * 4, CHUNK_SIZE, PIECE_SIZE + 1),
        ("a piece past the end", PIECE_SIZE * 5, CHUNK_SIZE, 1),
        ("a piece at an odd place", 7, CHUNK_SIZE, PIECE_SIZE),
    ];
    for (what, offset, size, len) in wrong {
        let (relay, content) = (Relay::default(), content(4));
        let mut node = Resident::new(&relay, LARGE, &config());
        let (mut stranger, peer) = Stranger::connected_to(&relay, &mut node).await;
        node.say(request(peer, content, FIRST));
        stranger.hear_message(|m| matches!(m, PeerMessage::Request { .. }).then_some(())).await;

        let head = PeerMessage::Chunk { content, chunk: FIRST, offset, size };
        let body = Uint8Array::new_with_length(len);
        stranger.outbox().send_with_body(&frame::encode_head(&head).unwrap(), &body).unwrap();

        let failed = fail(peer, content, ChunkFailReason::Broken);
        node.hear_exactly(&failed).await;
        stranger
            .hear_message(|message| matches!(message, PeerMessage::Error { .. }).then_some(()))
            .await;
        assert!(!node.heard_so_far().contains(&failed), "{what} fails the request once");
    }
}

#[wasm_bindgen_test]
async fn what_was_not_asked_for_or_is_no_message_is_complained_about_and_the_rest_goes_on() {
    let (relay, content) = (Relay::default(), content(5));
    let mut node = Resident::new(&relay, LARGE, &config());
    let (mut stranger, peer) = Stranger::connected_to(&relay, &mut node).await;
    let unasked = PeerMessage::Chunk { content, chunk: FIRST, offset: 0, size: 1 };
    let unknown: &[u8] = b"\x0e\x00{\"type\":\"fly\"}";
    let truncated: &[u8] = b"\xff\xffno";
    let nothing = Uint8Array::new_with_length(0);
    let one = Uint8Array::new_with_length(1);

    let outbox = stranger.outbox();
    outbox.send_with_body(&frame::encode_head(&unasked).unwrap(), &one).unwrap();
    outbox.send_with_body(unknown, &nothing).unwrap();
    outbox.send_with_body(truncated, &nothing).unwrap();
    stranger.tell(&PeerMessage::Error { message: "not answered".to_owned() });
    stranger.tell(&PeerMessage::Interested { content });

    let (mut complaints, mut answered) = (0, false);
    stranger
        .hear_message(|message| {
            complaints += u32::from(matches!(message, PeerMessage::Error { .. }));
            answered |= matches!(message, PeerMessage::Have { .. });
            (complaints == 3 && answered).then_some(())
        })
        .await;
    assert!(node.heard_so_far().is_empty(), "the worker hears nothing of it");
    assert_eq!(node.node().peers()[0].peer, peer);
}

#[wasm_bindgen_test]
async fn a_peer_that_makes_no_sense_again_and_again_is_hung_up() {
    let relay = Relay::default();
    let mut node = Resident::new(&relay, LARGE, &config());
    let (stranger, peer) = Stranger::connected_to(&relay, &mut node).await;
    let nothing = Uint8Array::new_with_length(0);
    for _ in 0..32 {
        stranger.outbox().send_with_body(b"\x00", &nothing).unwrap();
    }
    node.hear_exactly(&ToWorker::PeerDown { peer }).await;
}

#[wasm_bindgen_test]
async fn a_request_that_is_taken_back_stops_within_a_piece() {
    let (relay, content) = (Relay::default(), content(6));
    // A piece every 50 ms.
    let limited = SiteConfig { upload_bytes_per_second: Some(PIECE_SIZE * 20), ..config() };
    let mut node = Resident::new(&relay, LARGE, &limited);
    hold(&node, content, 2, CHUNK_SIZE).await;
    let (mut stranger, _) = Stranger::connected_to(&relay, &mut node).await;
    let second = ChunkIndex(1);
    stranger.tell(&PeerMessage::Request { content, chunk: FIRST });
    stranger.hear(|event| piece_of(event, FIRST)).await;

    stranger.tell(&PeerMessage::Cancel { content, chunk: FIRST });
    stranger.tell(&PeerMessage::Request { content, chunk: second });

    let (mut of_first, mut of_second) = (1, 0);
    stranger
        .hear(|event| {
            of_first += u32::from(piece_of(event, FIRST).is_some());
            of_second += piece_of(event, second).map_or(0, |(_, len)| len);
            (of_second == CHUNK_SIZE).then_some(())
        })
        .await;
    assert!(of_first <= 2, "{of_first} pieces of a chunk that was taken back after one");
}

#[wasm_bindgen_test]
async fn late_pieces_of_a_request_that_the_worker_took_back_are_dropped_silently() {
    let (relay, content) = (Relay::default(), content(7));
    let mut node = Resident::new(&relay, LARGE, &config());
    let (mut stranger, peer) = Stranger::connected_to(&relay, &mut node).await;
    node.say(request(peer, content, FIRST));
    node.say(ToShim::Cancel { peer, content, chunk: FIRST });
    stranger.hear_message(|m| matches!(m, PeerMessage::Cancel { .. }).then_some(())).await;

    let head = PeerMessage::Chunk { content, chunk: FIRST, offset: 0, size: CHUNK_SIZE };
    let head = frame::encode_head(&head).unwrap();
    let body = Uint8Array::new_with_length(PIECE_SIZE);
    stranger.outbox().send_with_body(&head, &body).unwrap();
    stranger.tell(&PeerMessage::Interested { content });

    stranger
        .hear_message(|message| {
            assert!(!matches!(message, PeerMessage::Error { .. }));
            matches!(message, PeerMessage::Have { .. }).then_some(())
        })
        .await;
    assert!(node.heard_so_far().is_empty());
}

#[wasm_bindgen_test]
async fn of_a_request_taken_back_as_late_the_worker_gets_what_came_of_the_chunks_beginning() {
    let (relay, content) = (Relay::default(), content(17));
    let mut node = Resident::new(&relay, LARGE, &config());
    let (mut stranger, peer) = Stranger::connected_to(&relay, &mut node).await;
    let bytes = noise(CHUNK_SIZE, 17);
    node.say(request(peer, content, FIRST));
    stranger.hear_message(|m| matches!(m, PeerMessage::Request { .. }).then_some(())).await;
    for piece in [1, 0, 3] {
        let offset = piece * PIECE_SIZE;
        let head = PeerMessage::Chunk { content, chunk: FIRST, offset, size: CHUNK_SIZE };
        let body = Uint8Array::from(&bytes[offset as usize..(offset + PIECE_SIZE) as usize]);
        stranger.outbox().send_with_body(&frame::encode_head(&head).unwrap(), &body).unwrap();
    }
    // Answered after the pieces have been taken in.
    stranger.tell(&PeerMessage::Interested { content });
    stranger.hear_message(|m| matches!(m, PeerMessage::Have { .. }).then_some(())).await;

    let salvage = ToShim::Salvage { peer, content, chunk: FIRST };
    node.say(salvage);

    let kept = node
        .hear(|message, body| {
            let ToWorker::Salvaged { received, .. } = message else { return None };
            assert_eq!(*received, 2 * PIECE_SIZE);
            Some(bytes_of(body.unwrap()))
        })
        .await;
    assert!(kept == bytes[..2 * PIECE_SIZE as usize], "the first two pieces, without the fourth");
    stranger.hear_message(|m| matches!(m, PeerMessage::Cancel { .. }).then_some(())).await;
    // Nothing is left to be taken back, with or without a connection.
    for peer in [peer, SMALL] {
        node.say(ToShim::Salvage { peer, content, chunk: FIRST });
        node.hear(|message, body| {
            let ToWorker::Salvaged { peer: of, received: 0, .. } = message else { return None };
            assert!(*of == peer && body.is_none());
            Some(())
        })
        .await;
    }
}

#[wasm_bindgen_test]
async fn uploads_keep_to_the_sites_rate_over_all_peers() {
    let (relay, content) = (Relay::default(), content(8));
    let rate = 1024 * 1024;
    let limited = SiteConfig { upload_bytes_per_second: Some(rate), ..config() };
    let mut node = Resident::new(&relay, LARGE, &limited);
    hold(&node, content, 2, CHUNK_SIZE).await;
    let (mut stranger, _) = Stranger::connected_to(&relay, &mut node).await;
    let mut reader = Resident::new(&relay, SMALL, &config());
    reader.say(join(content));
    reader.node_mut().on_coord(named(content, LARGE));
    reader.hear(|message, _| matches!(message, ToWorker::PeerHas { .. }).then_some(())).await;

    let started = browser::now();
    stranger.tell(&PeerMessage::Request { content, chunk: FIRST });
    reader.say(request(LARGE, content, ChunkIndex(1)));
    let mut received = 0;
    stranger
        .hear(|event| {
            received += piece_of(event, FIRST).map_or(0, |(_, len)| len);
            (received == CHUNK_SIZE).then_some(())
        })
        .await;
    reader.hear(|message, _| matches!(message, ToWorker::Chunk { .. }).then_some(())).await;

    let seconds = (browser::now() - started) / 1000.0;
    // The first piece leaves at once.
    let least = f64::from(2 * CHUNK_SIZE - PIECE_SIZE) / f64::from(rate);
    assert!(seconds > least * 0.97, "{seconds} s for what may take no less than {least}");
    assert!(seconds < least * 4.0, "{seconds} s for what should take {least}");
}

#[wasm_bindgen_test]
async fn a_chunk_of_sixteen_mebibytes_arrives_whole_and_never_fills_the_channel() {
    let (relay, content) = (Relay::default(), content(9));
    let size = 16 * 1024 * 1024;
    let bytes = noise(size, 9);
    store_chunk(content, FIRST, &bytes).await;
    let mut node = Resident::new(&relay, LARGE, &config());
    let (mut stranger, peer) = Stranger::connected_to(&relay, &mut node).await;
    let mut uploads = Uploads::new(stranger.outbox().clone(), std::rc::Rc::default());

    node.say(ToShim::Request { peer, content, chunk: FIRST, size });
    stranger.hear_message(|m| matches!(m, PeerMessage::Request { .. }).then_some(())).await;
    assert!(uploads.request(ChunkKey { content, chunk: FIRST }));

    let mut fullest = 0;
    let arrived = node
        .hear(|message, body| {
            fullest = fullest.max(stranger.outbox().buffered());
            matches!(message, ToWorker::Chunk { .. }).then(|| bytes_of(body.unwrap()))
        })
        .await;
    assert!(arrived == bytes, "the bytes are the stored ones");
    assert!(fullest > 0, "the channel was seen while it was busy");
    assert!(fullest <= HIGH_WATER + 1024, "{fullest} bytes waited in the channel");
    assert_eq!(uploads.sent(), u64::from(size));
}

#[wasm_bindgen_test]
async fn a_chunk_that_is_not_held_or_has_left_the_store_is_answered_with_not_held() {
    let (relay, content) = (Relay::default(), content(10));
    let mut node = Resident::new(&relay, LARGE, &config());
    // Announced, but never stored.
    node.say(ToShim::Have { content, chunks: ChunkSet::full(1) });
    let (mut stranger, _) = Stranger::connected_to(&relay, &mut node).await;

    for chunk in [ChunkIndex(0), ChunkIndex(1)] {
        stranger.tell(&PeerMessage::Request { content, chunk });
        let reason = ChunkFailReason::NotHeld;
        let expected = PeerMessage::ChunkFail { content, chunk, reason };
        stranger.hear_message(|message| (*message == expected).then_some(())).await;
    }
}

#[wasm_bindgen_test]
async fn a_peers_refusal_reaches_the_worker() {
    let (relay, content) = (Relay::default(), content(11));
    let mut node = Resident::new(&relay, LARGE, &config());
    let (mut stranger, peer) = Stranger::connected_to(&relay, &mut node).await;
    node.say(request(peer, content, FIRST));
    stranger.hear_message(|m| matches!(m, PeerMessage::Request { .. }).then_some(())).await;

    let reason = ChunkFailReason::Declined;
    stranger.tell(&PeerMessage::ChunkFail { content, chunk: FIRST, reason });

    node.hear_exactly(&fail(peer, content, reason)).await;
}

#[wasm_bindgen_test]
async fn a_peer_that_asks_for_too_much_at_once_is_told_that_we_are_busy() {
    let (relay, content) = (Relay::default(), content(12));
    let trickle = SiteConfig { upload_bytes_per_second: Some(1), ..config() };
    let mut node = Resident::new(&relay, LARGE, &trickle);
    hold(&node, content, 1, CHUNK_SIZE).await;
    let count = u32::try_from(MAX_QUEUED_REQUESTS).unwrap() + 2;
    node.say(ToShim::Have { content, chunks: ChunkSet::full(count) });
    let (mut stranger, _) = Stranger::connected_to(&relay, &mut node).await;

    for index in 0..count {
        stranger.tell(&PeerMessage::Request { content, chunk: ChunkIndex(index) });
    }

    stranger
        .hear_message(|message| {
            let PeerMessage::ChunkFail { reason, .. } = message else { return None };
            (*reason == ChunkFailReason::Busy).then_some(())
        })
        .await;
}

#[wasm_bindgen_test]
async fn a_request_to_a_peer_that_is_not_there_fails_at_once() {
    let (relay, content) = (Relay::default(), content(13));
    let mut node = Resident::new(&relay, LARGE, &config());
    node.say(request(SMALL, content, FIRST));
    node.hear_exactly(&fail(SMALL, content, ChunkFailReason::Broken)).await;
}

#[wasm_bindgen_test]
async fn a_peer_of_another_version_is_hung_up() {
    let relay = Relay::default();
    let mut node = Resident::new(&relay, LARGE, &config());
    let (mut stranger, peer) = Stranger::connected_to(&relay, &mut node).await;
    stranger.tell(&PeerMessage::Hello { version: 999 });
    node.hear_exactly(&ToWorker::PeerDown { peer }).await;
    stranger.hear_closed().await;
    assert_eq!(node.node().peers().len(), 0);
}

#[wasm_bindgen_test]
async fn a_peer_that_leaves_is_missed_at_once() {
    let relay = Relay::default();
    let mut node = Resident::new(&relay, LARGE, &config());
    let (stranger, peer) = Stranger::connected_to(&relay, &mut node).await;
    let left = browser::now();
    drop(stranger);
    node.hear_exactly(&ToWorker::PeerDown { peer }).await;
    let ms = browser::now() - left;
    assert!(ms < 4_000.0, "{ms} ms: that was the timeout, not the goodbye");
}

#[wasm_bindgen_test]
async fn a_banned_peer_is_hung_up_and_its_next_call_goes_unanswered() {
    let relay = Relay::default();
    let mut node = Resident::new(&relay, LARGE, &config());
    let (mut stranger, peer) = Stranger::connected_to(&relay, &mut node).await;

    node.say(ToShim::Ban { peer });
    node.hear_exactly(&ToWorker::PeerDown { peer }).await;
    stranger.hear_closed().await;

    let offer = Signal::Offer { sdp: "anything".to_owned() };
    node.node_mut().on_coord(FromCoord::Signal { from: peer, signal: offer });
    assert_eq!(node.node().peers().len(), 0);
    assert_eq!(node.node().counts().banned, 1);
}

#[wasm_bindgen_test]
async fn a_page_that_has_no_room_says_so_instead_of_letting_the_caller_wait() {
    let relay = Relay::default();
    let full = SiteConfig { max_peers: 0, ..config() };
    let node = Resident::new(&relay, LARGE, &full);
    let called = browser::now();
    let mut stranger = Stranger::calling(&relay, SMALL, node.id);
    stranger.hear_closed().await;
    let ms = browser::now() - called;
    assert!(ms < 5_000.0, "{ms} ms: that was the timeout, not the refusal");
}

#[wasm_bindgen_test]
async fn an_answer_that_is_no_answer_fails_the_attempt_at_once() {
    let (relay, content) = (Relay::default(), content(14));
    let mut node = Resident::new(&relay, LARGE, &config());
    node.say(join(content));
    node.node_mut().on_coord(named(content, SMALL));
    node.hear_exactly(&ToWorker::Expecting { content, peers: 1 }).await;
    let called = browser::now();

    let answer = Signal::Answer { sdp: "anything".to_owned() };
    node.node_mut().on_coord(FromCoord::Signal { from: SMALL, signal: answer });

    node.hear_exactly(&ToWorker::Expecting { content, peers: 0 }).await;
    let ms = browser::now() - called;
    assert!(ms < 5_000.0, "{ms} ms: that was the timeout");
    assert_eq!(node.node().counts().failed, 1);
}

#[wasm_bindgen_test]
async fn a_new_worker_hears_of_the_peers_and_that_older_requests_are_void() {
    let (relay, content) = (Relay::default(), content(15));
    let mut node = Resident::new(&relay, LARGE, &config());
    node.say(join(content));
    let (mut stranger, peer) = Stranger::connected_to(&relay, &mut node).await;
    stranger.tell(&PeerMessage::Have { content, chunks: ChunkSet::full(3) });
    let has = ToWorker::PeerHas { peer, content, chunks: ChunkSet::full(3) };
    node.hear_exactly(&has).await;
    node.say(request(peer, content, FIRST));
    stranger.hear_message(|m| matches!(m, PeerMessage::Request { .. }).then_some(())).await;
    node.heard_so_far();

    node.node_mut().on_new_worker();

    let told = [
        fail(peer, content, ChunkFailReason::Broken),
        ToWorker::PeerUp { peer, me: LARGE, expected: Vec::new() },
        has,
        ToWorker::Expecting { content, peers: 1 },
    ];
    assert_eq!(node.heard_so_far(), told);
    stranger.hear_message(|m| matches!(m, PeerMessage::Cancel { .. }).then_some(())).await;
}
