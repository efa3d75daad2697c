use super::*;
use crate::event::ContentNo;
use crate::network::{LineClass, NetworkModel};
use crate::scenario::{self, Name, Options};
use crate::world::{Content, Plan, Visit};
use dcdn_protocol::PolicyName;
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;

/// Visitors who come together for one image and have fast lines.
fn together_for(bytes: u64, viewers: usize, origin_mbit: Option<u32>) -> World {
    let lines = vec![LineClass { percent: 100.0, down_kbit: 500_000, up_kbit: 100_000 }];
    let mut net = NetworkModel { lines, ..NetworkModel::default() };
    net.origin.mbit = origin_mbit;
    let plan = Plan::Page { first: ContentNo(0), count: 1 };
    let visit = Visit { arrive: 1000, leave: None, stay_ms: 1000, plan };
    World {
        seed: 7,
        net,
        contents: vec![Content::new(bytes, DEFAULT_CHUNK_SIZE).expect("a content")],
        visits: vec![visit; viewers],
        horizon: 600_000,
    }
}

fn last_bytes(result: &Result) -> Vec<u32> {
    result.outcomes.iter().map(|it| it.last_byte.expect("it has seen all")).collect()
}

const ONE_THREAD: Engine = Engine { threads: Some(1), progress: false };

#[test]
fn plain_http_takes_as_long_as_arithmetic_says() {
    // 8 * 10 MB at 20 Mbit/s: 32 s, and a round trip.
    let world = together_for(10_000_000, 8, Some(20));
    let result = ONE_THREAD.run(&world, &Mode::Plain);
    for last in last_bytes(&result) {
        assert!((31_000..32_200).contains(&last), "{last} ms rather than 32 s");
    }
    assert_eq!(result.totals.origin_bytes, 80_000_000);
}

#[test]
fn an_unlimited_origin_takes_as_long_as_the_line() {
    let world = together_for(10_000_000, 8, None);
    let result = ONE_THREAD.run(&world, &Mode::Plain);
    // A connection has 400 Mbit/s: 200 ms, and some round trips of slow start.
    for (last, outcome) in last_bytes(&result).iter().zip(&result.outcomes) {
        let first = outcome.first_byte.expect("it has seen all");
        assert!((15..120).contains(&first), "first byte after {first} ms");
        assert!((200 + first..200 + 12 * first).contains(last), "last byte after {last} ms");
    }
}

#[test]
fn viewers_who_share_nothing_are_no_different_alone() {
    let options = Options { viewers: Some(40), minutes: Some(0.3), seed: 3, ..Options::default() };
    let world = scenario::build(Name::Churn, &options).expect("a world");
    let alone = alone(&world, &Mode::Plain, 2);
    let together = together(&world, &Mode::Plain, 2, false);
    let outcomes = |parts: Vec<Of>| {
        let mut all: Vec<_> = parts.into_iter().flat_map(|(outcomes, _)| outcomes).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    };
    assert_eq!(outcomes(alone), outcomes(together));
}

#[test]
fn a_crowd_spares_a_small_origin_and_is_served_sooner() {
    let world = together_for(10_000_000, 8, Some(20));
    let plain = ONE_THREAD.run(&world, &Mode::Plain);
    let settings = Options::default().settings(PolicyName::Adaptive);
    let swarm = ONE_THREAD.run(&world, &Mode::Swarm(settings));
    assert!(swarm.totals.origin_bytes < plain.totals.origin_bytes);
    assert!(last_bytes(&swarm).iter().max() < last_bytes(&plain).iter().max());
    assert_eq!(swarm.totals.violations, Vec::<String>::new());
}

#[test]
fn an_origin_without_ranges_serves_all_the_same() {
    let mut world = together_for(3_000_000, 5, None);
    world.net.origin.ranges = false;
    let settings = Options::default().settings(PolicyName::Adaptive);
    let result = ONE_THREAD.run(&world, &Mode::Swarm(settings));
    assert_eq!(last_bytes(&result).len(), 5);
    assert_eq!(result.totals.violations, Vec::<String>::new());
}
