//! Whatever happens in whatever order, readers end complete and bounds hold.
//! (The bounds are checked by the world at every step.)

use std::time::Duration;

use crate::world::{Character, World};
use dcdn_protocol::{ByteRange, ChunkSet, PolicyName};
use dcdn_swarm::{Input, Link};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Scenario {
    policy: PolicyName,
    length: u64,
    seed: u64,
    manifest: Option<u64>,
    expecting: Option<(u64, u32)>,
    peers: Vec<(u64, Character, u32, u32, Option<u64>)>,
    readers: Vec<(u64, u64, u64)>,
    reader_ms: u64,
    players: bool,
    slack_ms: u64,
    slack_percent: u32,
    origin_knows_ranges: bool,
    stored: Vec<u32>,
    origin_failures: u32,
    origin_ms: u64,
    peer_ms: u64,
}

fn character() -> impl Strategy<Value = Character> {
    prop_oneof![
        3 => Just(Character::Honest),
        1 => Just(Character::Silent),
        1 => Just(Character::Liar),
        1 => Just(Character::Refuses),
        1 => Just(Character::Busy),
        1 => (2..500u64).prop_map(Character::Slow),
        1 => (2..500u64).prop_map(Character::SlowLiar),
        1 => Just(Character::Leaves),
    ]
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let policy = prop::sample::select(PolicyName::ALL.to_vec());
    let peer = (0..4000u64, character(), 0..60u32, 1..60u32, prop::option::of(0..6000u64));
    (
        (policy, 1..12_000_000u64, any::<u64>()),
        prop::option::of(0..3000u64),
        prop::option::of((0..3000u64, 0..5u32)),
        vec(peer, 0..5),
        vec((0..3000u64, any::<u64>(), any::<u64>()), 1..4),
        vec(0..60u32, 0..20),
        (0..4u32, 1..200u64, 1..3000u64, 1..800u64, any::<bool>()),
        (0..4000u64, 0..100u32, prop::bool::weighted(0.8)),
    )
        .prop_map(
            |((policy, length, seed), manifest, expecting, peers, readers, stored, rest, site)| {
                let (origin_failures, origin_ms, peer_ms, reader_ms, players) = rest;
                let (slack_ms, slack_percent, origin_knows_ranges) = site;
                Scenario {
                    reader_ms,
                    players,
                    slack_ms,
                    slack_percent,
                    origin_knows_ranges,
                    policy,
                    length,
                    seed,
                    manifest,
                    expecting,
                    peers,
                    readers,
                    stored,
                    origin_failures,
                    origin_ms,
                    peer_ms,
                }
            },
        )
}

fn play(scenario: &Scenario) -> World {
    let mut world = World::with(scenario.policy, scenario.length, scenario.seed, |settings| {
        settings.slack = Duration::from_millis(scenario.slack_ms);
        settings.slack_percent = scenario.slack_percent;
    });
    world.reader_ms_per_chunk = scenario.reader_ms;
    world.players = scenario.players;
    world.origin_knows_ranges = scenario.origin_knows_ranges;
    world.origin_failures = scenario.origin_failures;
    world.origin_ms_per_chunk = scenario.origin_ms;
    world.peer_ms_per_chunk = scenario.peer_ms;
    let count = world.layout.chunk_count();
    match scenario.manifest {
        Some(ms) => world.manifest_after(ms),
        None => world.after(50, Input::ManifestUnavailable),
    }
    if let Some((ms, peers)) = scenario.expecting {
        world.after(ms, Input::Expecting { peers });
    }
    let stored: ChunkSet = scenario
        .stored
        .iter()
        .filter(|c| **c < count)
        .map(|c| dcdn_protocol::ChunkIndex(*c))
        .collect();
    world.store = stored.clone();
    if scenario.manifest.is_some() {
        world.after(scenario.manifest.unwrap_or(0), Input::Stored { chunks: stored });
    }
    for (n, (ms, character, start, len, leaves)) in scenario.peers.iter().enumerate() {
        let link = u32::try_from(n).expect("few peers");
        let mut has = ChunkSet::new();
        has.insert_run((*start).min(count)..(start + len).min(count));
        world.peer(*ms, link, *character, has);
        if let Some(after) = leaves {
            world.after(ms + 2 + after, Input::LinkDown { link: Link(link) });
        }
    }
    for (n, (ms, a, b)) in scenario.readers.iter().enumerate() {
        let (a, b) = (a % scenario.length, b % scenario.length);
        let range = ByteRange::new(a.min(b), a.max(b) + 1);
        world.open_after(*ms, u32::try_from(n).expect("few readers"), range);
    }
    world.run();
    world
}

/// As many worlds as `PROPTEST_CASES` says.
fn worlds() -> ProptestConfig {
    let usual = ProptestConfig::with_cases(1500);
    if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default() } else { usual }
}

proptest! {
    #![proptest_config(worlds())]

    #[test]
    fn with_an_origin_that_works_in_the_end_every_reader_ends_complete(scenario in scenario()) {
        let world = play(&scenario);
        prop_assert!(!world.failed);
        prop_assert_eq!(world.unfinished_readers(), 0);
    }

    /// Whoever is there and however they behave: with a slack of 0 the last byte comes
    /// when plain HTTP would have brought it, or one message later.
    #[test]
    fn without_slack_nothing_is_later_than_over_plain_http(
        mut scenario in scenario(),
        length in 1..8_000_000u64,
    ) {
        scenario.policy = PolicyName::Adaptive;
        (scenario.slack_ms, scenario.slack_percent) = (0, 0);
        (scenario.origin_failures, scenario.origin_knows_ranges) = (0, true);
        // A player's bytes may come when they are played.
        (scenario.reader_ms, scenario.players, scenario.length) = (1, false, length);
        scenario.readers = vec![(0, 0, length - 1)];
        let world = play(&scenario);
        let chunks = u64::from(world.layout.chunk_count());
        let plain = 1000 + scenario.origin_ms * (chunks + 1);
        // On a line as short as that of some worlds, a message is all but free.
        let message = scenario.origin_ms.max(20);
        prop_assert!(world.finished.0 <= plain + message + 3, "{} > {plain}", world.finished.0);
    }

    #[test]
    fn the_same_seed_and_events_give_the_same_requests(scenario in scenario()) {
        let (first, second) = (play(&scenario), play(&scenario));
        prop_assert_eq!(first.asked, second.asked);
        prop_assert_eq!(first.requests, second.requests);
        prop_assert_eq!(first.now, second.now);
    }
}
