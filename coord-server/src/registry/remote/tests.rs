#![allow(clippy::unwrap_used)]

use std::time::Duration;

use dcdn_protocol::VERSION;
use dcdn_protocol::message::coord::{DEFAULT_WANT, ToCoord};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::{Event, Limits};
use super::*;

const CONTENT: ContentId = ContentId([7; 32]);

fn peer(number: u8) -> PeerId {
    PeerId([number; 16])
}

fn group(number: u8) -> GroupId {
    GroupId([number; 16])
}

/// A node that has others.
fn node(limits: Limits) -> Registry {
    let mut registry = Registry::new(limits, StdRng::seed_from_u64(1));
    registry.share();
    registry
}

/// A page of a browser of its own comes to this node and enters the swarm.
fn enters(registry: &mut Registry, number: u8, now: Instant) {
    let hello = ToCoord::Hello { version: VERSION, group: group(number), token: None };
    registry.handle(peer(number), Event::Connected(Place::UNKNOWN), now);
    registry.handle(peer(number), Event::Received(hello, 100), now);
    asks(registry, number, 0, now);
}

/// Whom a page is told of when it asks; `None` while its answer waits.
fn asks(registry: &mut Registry, number: u8, want: u8, now: Instant) -> Option<Vec<PeerId>> {
    let join = ToCoord::Join { content: CONTENT, want, have: ChunkSet::new() };
    named(&registry.handle(peer(number), Event::Received(join, 100), now))
}

fn named(effects: &[Effect]) -> Option<Vec<PeerId>> {
    let [Effect::Send(_, FromCoord::Peers { peers, .. })] = effects else { return None };
    Some(peers.iter().map(|it| it.peer).collect())
}

/// Another node shows these.
fn learns(registry: &mut Registry, numbers: impl IntoIterator<Item = u8>, now: Instant) {
    let member =
        |number| RemoteMember { peer: peer(number), group: group(number), have: ChunkSet::new() };
    registry.learn(CONTENT, numbers.into_iter().map(member).collect(), now);
}

#[test]
fn a_node_that_is_alone_names_its_own_peers_only() {
    let start = Instant::now();
    let mut registry = node(Limits::default());
    enters(&mut registry, 1, start);
    enters(&mut registry, 2, start);
    learns(&mut registry, 100..110, start);
    let before = asks(&mut registry, 1, DEFAULT_WANT, start).unwrap();
    assert!(before.iter().any(|named| *named >= peer(100)), "{before:?}");

    registry.alone();

    for seconds in [0, 1, 60] {
        let now = start + Duration::from_secs(seconds);
        assert_eq!(asks(&mut registry, 1, DEFAULT_WANT, now), Some(vec![peer(2)]), "{seconds} s");
    }
}

#[test]
fn peers_that_are_out_of_reach_do_not_count_as_viewers() {
    let start = Instant::now();
    let mut registry = node(Limits { min_viewers: 5, ..Limits::default() });
    enters(&mut registry, 1, start);
    enters(&mut registry, 2, start);
    learns(&mut registry, 100..110, start);
    assert!(!asks(&mut registry, 1, DEFAULT_WANT, start).unwrap().is_empty());

    registry.alone();

    let later = start + Duration::from_secs(60);
    assert_eq!(asks(&mut registry, 1, DEFAULT_WANT, later), Some(Vec::new()));
    assert_eq!(registry.largest(1), [(CONTENT, 2)]);
}

#[test]
fn peers_of_other_nodes_are_named_again_when_these_are_back() {
    let start = Instant::now();
    let mut registry = node(Limits::default());
    enters(&mut registry, 1, start);
    learns(&mut registry, [100], start);
    registry.alone();
    let later = start + Duration::from_secs(60);

    registry.share();
    assert_eq!(registry.due(later, 10).len(), 1, "the swarm is told at once");
    learns(&mut registry, [101], later);

    assert_eq!(asks(&mut registry, 1, DEFAULT_WANT, later), Some(vec![peer(101)]));
}
