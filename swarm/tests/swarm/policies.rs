//! What each configuration does, in small worlds with known outcomes.

use crate::world::{Character, World};
use dcdn_protocol::{ByteRange, ChunkSet, PolicyName};
use dcdn_swarm::policy::head_start::HEAD_BYTES;
use dcdn_swarm::{Input, Link};

/// The thesis's image: 3.2 MB, 13 chunks.
const IMAGE: u64 = 3_200_000;

fn all() -> ChunkSet {
    ChunkSet::full(13)
}

#[test]
fn basic_takes_every_chunk_from_peers_once_there_are_any() {
    let mut world = World::new(PolicyName::Basic, IMAGE, 1);
    world.coordinated(2);
    world.peer(50, 1, Character::Honest, all());
    world.peer(60, 2, Character::Honest, all());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_peers.len(), 13);
    assert!(world.from_origin.is_empty());
}

#[test]
fn basic_without_peers_is_plain_http() {
    let mut world = World::new(PolicyName::Basic, IMAGE, 1);
    world.coordinated(0);
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_origin, (0..13).collect::<Vec<_>>());
    assert_eq!(world.requests, [ByteRange::new(0, IMAGE)]);
}

#[test]
fn basic_asks_in_random_order_and_head_start_in_reading_order() {
    let asked = |policy| {
        let mut world = World::new(policy, IMAGE, 7);
        world.coordinated(1);
        world.peer(50, 1, Character::Honest, all());
        world.open(1, world.whole());
        world.run();
        world.asked.iter().map(|(_, chunk)| *chunk).collect::<Vec<_>>()
    };

    assert!(asked(PolicyName::HeadStart).is_sorted());
    assert!(!asked(PolicyName::Basic).is_sorted());
}

#[test]
fn head_start_asks_the_origin_for_the_head_before_anything_is_known() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 1);
    world.open(1, world.whole());

    assert_eq!(world.requests, [ByteRange::new(0, HEAD_BYTES)]);
}

#[test]
fn head_start_takes_the_rest_from_peers() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 1);
    world.manifest_after(30);
    world.after(40, Input::Expecting { peers: 1 });
    world.peer(300, 1, Character::Honest, all());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_origin, [0]);
    assert_eq!(world.from_peers.len(), 12);
}

#[test]
fn head_start_does_not_wait_for_peers_with_a_short_tail() {
    let mut world = World::new(PolicyName::HeadStart, HEAD_BYTES + 20_000, 1);
    world.manifest_after(30);
    world.after(40, Input::Expecting { peers: 1 });
    world.peer(300, 1, Character::Honest, all());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.from_origin, [0, 1]);
    assert!(world.from_peers.is_empty());
}

#[test]
fn a_manifest_that_never_comes_costs_only_patience() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 1);
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_origin, (0..13).collect::<Vec<_>>());
}

#[test]
fn a_manifest_that_is_refused_costs_nothing() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 1);
    world.open(1, world.whole());
    world.after(1, Input::ManifestUnavailable);
    world.run();

    let origin_alone = world.origin_ms_per_chunk * 14;
    assert!(world.now.0 <= 1000 + origin_alone + 10, "took until {:?}", world.now);
}

#[test]
fn peers_that_never_connect_cost_only_the_slack() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 1);
    world.coordinated(3);
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_origin.len(), 13);
    assert!(world.now.0 <= 1000 + 3006 + 14 * world.origin_ms_per_chunk + 10);
}

#[test]
fn when_the_last_expected_peer_fails_to_connect_the_origin_takes_over_at_once() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 1);
    world.coordinated(1);
    world.after(400, Input::Expecting { peers: 0 });
    world.open(1, world.whole());
    world.run();

    assert!(world.now.0 <= 1000 + 400 + 14 * world.origin_ms_per_chunk + 10);
}

#[test]
fn a_silent_peer_loses_its_chunks_to_the_origin() {
    let mut world = World::new(PolicyName::Basic, IMAGE, 1);
    world.coordinated(1);
    world.peer(50, 1, Character::Silent, all());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_origin.len(), 13);
    assert!(world.asked.len() <= 4, "asked {} times", world.asked.len());
}

#[test]
fn a_liar_is_banned_and_not_asked_again() {
    let mut world = World::new(PolicyName::Basic, IMAGE, 3);
    world.coordinated(2);
    world.peer(50, 1, Character::Liar, all());
    world.peer(50, 2, Character::Honest, all());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(world.banned.contains(&Link(1)));
    assert!(world.asked.iter().filter(|(link, _)| *link == Link(1)).count() <= 2);
}

#[test]
fn the_first_chunk_fail_sends_the_chunk_to_http() {
    let mut world = World::new(PolicyName::Basic, IMAGE, 3);
    world.coordinated(1);
    world.peer(50, 1, Character::Refuses, all());
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.asked.len(), 13);
    assert_eq!(world.from_origin.len(), 13);
}

#[test]
fn a_peer_that_leaves_in_mid_transfer_is_replaced_by_the_origin() {
    let mut world = World::new(PolicyName::Basic, IMAGE, 3);
    world.coordinated(1);
    world.peer(50, 1, Character::Honest, all());
    world.after(80, Input::LinkDown { link: Link(1) });
    world.after(80, Input::Expecting { peers: 0 });
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(!world.from_peers.is_empty());
    assert_eq!(world.from_peers.len() + world.from_origin.len(), 13);
}

#[test]
fn what_the_store_holds_is_not_fetched() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 3);
    world.origin_alive = false;
    world.store = all();
    world.manifest_after(0);
    world.after(0, Input::Stored { chunks: all() });
    world.step();
    world.step();
    world.step();
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(!world.failed);
    assert!(world.requests.is_empty());
    assert_eq!(world.from_store.len(), 13);
}

#[test]
fn a_chunk_that_the_store_has_lost_is_fetched_again() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 3);
    world.store = all();
    world.store.remove(dcdn_protocol::ChunkIndex(5));
    world.manifest_after(0);
    world.after(0, Input::Stored { chunks: all() });
    world.after(0, Input::Expecting { peers: 0 });
    while world.step() {}
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_origin, [5]);
}

#[test]
fn an_origin_that_fails_a_few_times_is_asked_again() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 3);
    world.origin_failures = 3;
    world.after(0, Input::ManifestUnavailable);
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(!world.failed);
    assert_eq!(world.from_origin.len(), 13);
}

#[test]
fn an_origin_that_is_down_for_good_fails_the_readers() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 3);
    world.origin_alive = false;
    world.after(0, Input::ManifestUnavailable);
    world.open(1, world.whole());
    world.run();

    assert!(world.failed);
}

#[test]
fn peers_stand_in_for_an_origin_that_is_down() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 3);
    world.origin_alive = false;
    world.coordinated(1);
    world.peer(100, 1, Character::Honest, all());
    world.open(1, world.whole());
    world.run();

    assert!(!world.failed);
    assert_eq!(world.from_peers.len(), 13);
}

#[test]
fn a_reader_that_goes_away_takes_its_transfers_with_it() {
    let mut world = World::new(PolicyName::HeadStart, 20_000_000, 3);
    world.coordinated(1);
    world.peer(10, 1, Character::Silent, ChunkSet::full(77));
    world.open(1, world.whole());
    for _ in 0..8 {
        world.step();
    }
    world.close(1);
    world.run();

    assert!(world.from_origin.len() < 8, "{:?}", world.from_origin);
}

#[test]
fn a_seek_is_served_from_where_it_lands() {
    let mut world = World::new(PolicyName::HeadStart, 20_000_000, 3);
    world.manifest_after(1);
    world.after(2, Input::Expecting { peers: 0 });
    world.open(1, world.whole());
    for _ in 0..6 {
        world.step();
    }
    world.close(1);
    world.open(2, ByteRange::new(15_000_000, 16_000_000));
    world.run();

    let wanted = world.layout.covering(ByteRange::new(15_000_000, 16_000_000));
    assert!(wanted.clone().all(|chunk| world.from_origin.contains(&chunk)));
    assert_eq!(world.unfinished_readers(), 0);
}

#[test]
fn a_long_content_is_fetched_in_few_requests() {
    let mut world = World::new(PolicyName::HeadStart, 100_000_000, 3);
    world.manifest_after(1);
    world.after(2, Input::Expecting { peers: 0 });
    world.open(1, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert!(world.requests.len() <= 60, "{} requests for 382 chunks", world.requests.len());
}

#[test]
fn two_readers_of_one_content_fetch_it_once() {
    let mut world = World::new(PolicyName::HeadStart, IMAGE, 3);
    world.manifest_after(1);
    world.after(2, Input::Expecting { peers: 0 });
    world.open(1, world.whole());
    world.open(2, world.whole());
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_origin.len(), 13);
}
