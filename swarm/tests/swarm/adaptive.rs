//! The adaptive policy, one behaviour at a time.

use crate::world::{Character, World};
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet, PolicyName};
use dcdn_swarm::Input;

/// 3.2 MB, 13 chunks.
const IMAGE: u64 = 3_200_000;

fn all() -> ChunkSet {
    ChunkSet::full(13)
}

fn world(slack_ms: u64) -> World {
    World::with(PolicyName::Adaptive, IMAGE, 1, |settings| {
        settings.slack = std::time::Duration::from_millis(slack_ms);
    })
}

#[test]
fn inside_the_slack_all_but_the_head_comes_from_peers() {
    let mut world = world(3000);
    world.coordinated(1);
    world.peer(300, 1, Character::Honest, all());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_origin, [0]);
    assert_eq!(world.from_peers.len(), 12);
}

fn world_among_peers(slack_ms: u64) -> World {
    World::with(PolicyName::Adaptive, IMAGE, 1, |settings| {
        settings.slack = std::time::Duration::from_millis(slack_ms);
        settings.among_peers = true;
    })
}

#[test]
fn of_a_next_segment_even_the_head_comes_from_peers() {
    let mut world = world_among_peers(1500);
    world.coordinated(1);
    world.expected_peer(10, 1, all(), all());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(world.from_origin.is_empty(), "{:?}", world.from_origin);
    assert_eq!(world.from_peers.len(), 13);
}

#[test]
fn a_next_segment_that_no_peer_holds_costs_no_more_than_the_slack() {
    for peers in [0, 1, 3] {
        let mut world = world_among_peers(1500);
        world.coordinated(peers);
        world.peer(10, 1, Character::Honest, ChunkSet::new());
        world.open(1, world.whole());
        let alone = world.now.0 + world.origin_ms_per_chunk * 15;
        world.run();

        assert_eq!(world.unfinished_readers(), 0);
        assert_eq!(world.from_origin.len(), 13);
        assert!(world.finished.0 <= alone + 1500, "{peers} peers: {:?}", world.finished);
    }
}

#[test]
fn a_next_segment_waits_for_its_manifest_no_longer_than_the_slack() {
    let mut world = world_among_peers(1500);
    world.open(1, world.whole());
    let alone = world.now.0 + world.origin_ms_per_chunk * 15;
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(world.finished.0 <= alone + 1500, "{:?}", world.finished);
}

#[test]
fn without_slack_a_next_segment_is_asked_of_the_origin_at_once() {
    let mut world = world_among_peers(0);
    world.coordinated(1);
    world.peer(10, 1, Character::Honest, all());
    world.open(1, world.whole());
    let alone = world.now.0 + world.origin_ms_per_chunk * 14;
    world.run();

    assert!(world.finished.0 <= alone + world.origin_ms_per_chunk + 5, "{:?}", world.finished);
}

#[test]
fn without_slack_an_origin_that_is_fast_serves_alone() {
    let mut world = world(0);
    world.coordinated(1);
    world.peer(300, 1, Character::Honest, all());
    world.open(1, world.whole());
    let alone = world.now.0 + world.origin_ms_per_chunk * 14;
    let message = world.origin_ms_per_chunk;
    world.run();

    assert_eq!(world.from_origin.len(), 13);
    assert!(world.finished.0 <= alone + message + 5, "ended at {:?}", world.finished);
}

#[test]
fn without_slack_a_stranger_must_be_expected_well_before_the_origin() {
    // The last chunk has one byte, of which nobody would think that it takes long.
    let length = 28 * u64::from(DEFAULT_CHUNK_SIZE) + 1;
    let mut world = World::with(PolicyName::Adaptive, length, 1, |settings| {
        settings.slack = std::time::Duration::ZERO;
    });
    (world.origin_ms_per_chunk, world.peer_ms_per_chunk) = (17, 266);
    world.manifest_after(1);
    world.store = [ChunkIndex(16), ChunkIndex(21)].into_iter().collect();
    world.after(1, Input::Stored { chunks: world.store.clone() });
    world.peer(266, 1, Character::Honest, ChunkSet::full(29));
    world.open(1, world.whole());
    let alone = world.now.0 + world.origin_ms_per_chunk * 30;
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(world.finished.0 <= alone + 20, "ended at {:?}", world.finished);
}

#[test]
fn without_slack_the_origin_sends_one_thing_after_another() {
    let mut world = World::with(PolicyName::Adaptive, 12_000_000, 1, |settings| {
        settings.slack = std::time::Duration::ZERO;
    });
    world.coordinated(0);
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    // At a request's end the next one begins.
    let is_near = |pair: &[u32]| pair[0].abs_diff(pair[1]) <= 5;
    assert!(world.from_origin.windows(2).all(is_near), "{:?}", world.from_origin);
}

/// A player's, whose origin sends 290 KB/s, and a peer that holds all and comes after `ms`.
fn thin_world(ms: u64) -> World {
    let mut world = World::with(PolicyName::Adaptive, 12_000_000, 1, |settings| {
        settings.slack = std::time::Duration::ZERO;
    });
    (world.origin_ms_per_chunk, world.players) = (900, true);
    world.coordinated(1);
    world.peer(ms, 1, Character::Honest, ChunkSet::full(46));
    world.open(1, world.whole());
    world
}

#[test]
fn without_slack_peers_send_nothing_beside_what_a_player_on_a_thin_line_needs_first() {
    let mut world = thin_world(3000);
    while world.position(1).is_some_and(|position| position < 2 * 1024 * 1024) {
        assert!(world.step());
        assert_eq!(world.asked, []);
    }
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(!world.from_peers.is_empty(), "what it plays later");
}

#[test]
fn without_slack_peers_send_nothing_before_the_line_is_known() {
    let mut world = thin_world(100);
    while world.from_origin.is_empty() {
        assert_eq!(world.asked, []);
        assert!(world.step());
    }
}

#[test]
fn peers_that_never_connect_cost_no_more_than_the_slack() {
    for slack in [0, 500, 3000] {
        let mut world = world(slack);
        world.coordinated(3);
        world.open(1, world.whole());
        let alone = world.now.0 + world.origin_ms_per_chunk * 15;
        world.run();

        assert_eq!(world.unfinished_readers(), 0);
        assert!(world.finished.0 <= alone + slack, "slack {slack}: ended at {:?}", world.finished);
    }
}

#[test]
fn when_nobody_is_to_be_expected_nobody_is_waited_for() {
    let mut world = world(3000);
    world.coordinated(0);
    world.open(1, world.whole());
    let alone = world.now.0 + world.origin_ms_per_chunk * 16;
    world.run();

    assert!(world.finished.0 <= alone, "ended at {:?}", world.finished);
}

#[test]
fn a_slow_peer_loses_its_chunk_to_the_origin_in_time_for_the_deadline() {
    let mut world = world(3000);
    world.coordinated(1);
    // 50 KB/s.
    world.peer(50, 1, Character::Slow(500), all());
    world.open(1, world.whole());
    let alone = world.now.0 + world.origin_ms_per_chunk * 15;
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(world.finished.0 <= alone + 3000, "ended at {:?}", world.finished);
}

#[test]
fn of_a_late_chunk_only_the_missing_part_comes_from_the_origin() {
    let mut world = world(2000);
    world.coordinated(1);
    world.peer(50, 1, Character::Slow(300), all());
    world.open(1, world.whole());
    world.run();

    let (chunk, received) = world.salvaged[0];
    let begins = u64::from(chunk) * 262_144 + u64::from(received);
    assert!(received > 0);
    assert!(world.requests.iter().any(|range| range.start == begins), "{:?}", world.requests);
    assert_eq!(world.unfinished_readers(), 0);
}

#[test]
fn a_beginning_that_was_a_lie_bans_the_peer_and_is_fetched_again() {
    let mut world = world(2000);
    world.coordinated(1);
    world.peer(50, 1, Character::SlowLiar(300), all());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(!world.salvaged.is_empty());
    assert_eq!(world.banned.len(), 1);
}

#[test]
fn a_peer_is_asked_for_what_it_is_expected_to_hold() {
    let mut world = world(3000);
    world.coordinated(1);
    world.expected_peer(50, 1, all(), all());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.from_peers.len(), 12);
}

#[test]
fn what_a_peer_is_not_expected_to_hold_is_not_fetched_before_it_has_spoken() {
    let mut world = world(3000);
    world.coordinated(1);
    world.expected_peer(50, 1, ChunkSet::full(3), all());
    world.after(90, Input::LinkHas { link: dcdn_swarm::Link(1), chunks: all() });
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.from_origin, [0]);
}

#[test]
fn an_expectation_that_is_wrong_costs_a_question_and_no_more() {
    let mut world = world(3000);
    world.coordinated(1);
    world.expected_peer(50, 1, all(), [dcdn_protocol::ChunkIndex(4)].into_iter().collect());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.from_peers, [4]);
    assert_eq!(world.unfinished_readers(), 0);
}

#[test]
fn what_nobody_holds_is_divided_among_those_who_want_it() {
    let mut world = world(3000);
    world.coordinated(3);
    for peer in 1..=3 {
        world.peer(50, peer, Character::Honest, ChunkSet::new());
    }
    world.open(1, world.whole());
    while world.now.0 < 1200 && world.step() {}

    let ours = world.from_origin.len();
    assert!((1..13).contains(&ours), "{ours} chunks are ours");
    world.run();
    assert_eq!(world.unfinished_readers(), 0);
}

#[test]
fn a_busy_peer_is_asked_again_later() {
    let mut world = world(3000);
    world.coordinated(1);
    world.peer(50, 1, Character::Busy, all());
    world.open(1, world.whole());
    world.run();

    assert!(world.asked.len() > 1);
    assert_eq!(world.unfinished_readers(), 0);
}

#[test]
fn more_peers_are_looked_for_while_those_there_do_not_suffice() {
    let mut world = World::new(PolicyName::Adaptive, 100_000_000, 1);
    world.coordinated(1);
    world.peer(50, 1, Character::Honest, ChunkSet::full(100));
    world.origin_ms_per_chunk = 200;
    world.open(1, world.whole());
    world.run();

    assert!(world.found_peers > 0);
}

#[test]
fn an_origin_without_ranges_serves_all_the_same() {
    let mut world = World::new(PolicyName::Adaptive, 20_000_000, 1);
    world.origin_knows_ranges = false;
    world.after(5, Input::ManifestUnavailable);
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_origin.len(), 77);
}

#[test]
fn with_an_origin_without_ranges_a_seek_back_starts_anew() {
    let mut world = World::new(PolicyName::Adaptive, 20_000_000, 1);
    world.origin_knows_ranges = false;
    world.after(5, Input::ManifestUnavailable);
    world.open(1, ByteRange::new(10_000_000, 12_000_000));
    world.run();
    world.open(2, ByteRange::new(0, 1_000_000));
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(!world.failed);
}

#[test]
fn what_a_player_will_read_next_is_fetched_before_it_asks() {
    let mut world = World::new(PolicyName::Adaptive, 20_000_000, 1);
    world.after(5, Input::ManifestUnavailable);
    world.players = true;
    world.open(1, ByteRange::new(0, 2 * 1024 * 1024));
    while world.unfinished_readers() > 0 && world.step() {}
    while world.now.0 < 3000 && world.step() {}

    let ahead = world.from_origin.iter().filter(|chunk| **chunk >= 8).count();
    assert!(ahead >= 8, "{ahead} chunks ahead of the player");
}

#[test]
fn who_only_looks_at_the_first_bytes_is_not_taken_for_a_player() {
    let mut world = World::new(PolicyName::Adaptive, 20_000_000, 1);
    world.after(5, Input::ManifestUnavailable);
    world.open(1, ByteRange::new(0, 2));
    world.run();

    assert_eq!(world.from_origin, [0]);
}

#[test]
fn on_a_thin_line_peers_are_not_asked_for_what_is_played_later() {
    let mut world = World::new(PolicyName::Adaptive, 20_000_000, 1);
    world.players = true;
    world.coordinated(1);
    // 175 KB/s from each; the peer holds what is far ahead, and has nothing else to do.
    (world.origin_ms_per_chunk, world.peer_ms_per_chunk) = (1500, 1500);
    let far: ChunkSet = (20..40).map(dcdn_protocol::ChunkIndex).collect();
    world.peer(4000, 1, Character::Honest, far);
    world.open(1, world.whole());
    let mut asked = 0;
    while world.step() {
        for (_, chunk) in world.asked.iter().skip(asked) {
            let read = world.position(1).unwrap_or_default() / 262_144;
            assert!(u64::from(*chunk) < read + 7, "{chunk} is asked for when {read} are read");
        }
        asked = world.asked.len();
    }
    assert_eq!(world.unfinished_readers(), 0);
    assert!(asked > 0, "what comes next is asked of the peer");
}

#[test]
fn on_a_thin_line_the_origin_sends_what_a_peer_leaves_one_thing_after_another() {
    let mut world = World::new(PolicyName::Adaptive, 30_000_000, 1);
    (world.players, world.reader_ms_per_chunk) = (true, 1000);
    (world.origin_ms_per_chunk, world.peer_ms_per_chunk) = (900, 950);
    world.coordinated(1);
    world.peer(100, 1, Character::Honest, ChunkSet::full(115));
    world.after(20_000, Input::LinkDown { link: dcdn_swarm::Link(1) });
    world.after(20_000, Input::Expecting { peers: 0 });
    world.open(1, world.whole());
    while world.now.0 < 21_000 && world.step() {}
    world.from_origin.clear();
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    let is_near = |pair: &[u32]| pair[0].abs_diff(pair[1]) <= 8;
    assert!(world.from_origin.windows(2).all(is_near), "{:?}", world.from_origin);
}
