//! The thesis's other configurations: prefetch and mixed.

use crate::world::{Character, World};
use dcdn_protocol::{ChunkSet, PolicyName};

/// 3.2 MB, 13 chunks.
const IMAGE: u64 = 3_200_000;

fn with_peers(policy: PolicyName, peers: u32) -> World {
    let mut world = World::new(policy, IMAGE, 1);
    world.coordinated(peers);
    for peer in 0..peers {
        world.peer(50, peer, Character::Honest, ChunkSet::full(13));
    }
    world.open(1, world.whole());
    world
}

#[test]
fn prefetch_asks_for_nothing_before_the_metadata() {
    let mut world = World::new(PolicyName::Prefetch, IMAGE, 1);
    world.manifest_after(300);
    world.open(1, world.whole());
    assert!(world.requests.is_empty());
    world.run();
    assert_eq!(world.unfinished_readers(), 0);
}

#[test]
fn prefetch_takes_the_first_fifth_over_http_and_the_rest_from_peers() {
    let mut world = with_peers(PolicyName::Prefetch, 2);
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    assert_eq!(world.from_origin, [0, 1, 2]);
    assert_eq!(world.from_peers.len(), 10);
}

#[test]
fn mixed_makes_http_one_of_the_peers() {
    let mut world = with_peers(PolicyName::Mixed, 3);
    world.run();

    assert_eq!(world.unfinished_readers(), 0);
    let http = world.from_origin.len();
    assert!((2..=5).contains(&http), "{http} of 13 chunks over HTTP");
}

#[test]
fn mixed_gives_http_the_share_that_the_site_wants() {
    for (percent, expected) in [(0, 0), (50, 6), (100, 13)] {
        let mut world = World::with(PolicyName::Mixed, IMAGE, 1, |settings| {
            settings.mixed_http_percent = Some(percent);
        });
        world.coordinated(1);
        world.peer(50, 1, Character::Honest, ChunkSet::full(13));
        world.open(1, world.whole());
        world.run();

        assert_eq!(world.from_origin.len(), expected, "{percent} %");
    }
}
