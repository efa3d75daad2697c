#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use dcdn_protocol::{ChunkSet, GroupId, PeerId};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

fn peer(number: u8) -> PeerId {
    PeerId([number; 16])
}

/// A page of a browser of its own.
fn page(number: u8) -> Asker {
    Asker { group: GroupId([number; 16]), peer: peer(number), place: Place::UNKNOWN }
}

fn enter(swarm: &mut Swarm, who: Asker, have: &ChunkSet, now: f64) {
    swarm.enter(who, have, now, &mut StdRng::seed_from_u64(now.to_bits()));
}

fn swarm_of(pages: impl Iterator<Item = Asker>) -> Swarm {
    let mut swarm = Swarm::default();
    pages.for_each(|page| enter(&mut swarm, page, &ChunkSet::new(), 0.0));
    swarm
}

#[test]
fn every_other_browser_is_named_about_as_often() {
    for how in Recommendation::ALL {
        let mut dice = StdRng::seed_from_u64(1);
        let mut swarm = swarm_of((0..20).map(page));

        let mut times = HashMap::new();
        for _ in 0..4000 {
            for named in swarm.recommend(how, page(7), 5, 0.0, &mut dice) {
                *times.entry(named.peer).or_insert(0) += 1;
            }
        }

        assert!(!times.contains_key(&peer(7)));
        assert_eq!(times.len(), 19);
        // 4000 * 5 / 19 = 1053, standard deviation 28.
        assert!(times.values().all(|&times| (913..1193).contains(&times)), "{times:?}");
    }
}

#[test]
fn a_browser_with_many_tabs_gets_no_second_place_before_others_have_one() {
    for how in Recommendation::ALL {
        let mut dice = StdRng::seed_from_u64(2);
        let tabs = (0..100).map(|tab| Asker { group: GroupId([1; 16]), ..page(tab) });
        let mut swarm = swarm_of(tabs.chain((100..104).map(page)));

        let named = swarm.recommend(how, page(200), 5, 0.0, &mut dice);

        let singles: HashSet<_> = (100..104).map(peer).collect();
        assert_eq!(named.len(), 5);
        assert_eq!(named.iter().filter(|named| singles.contains(&named.peer)).count(), 4);
    }
}

/// Whom page 99, who holds `have`, is told of.
fn named(swarm: &mut Swarm, have: u32, want: usize, now: f64) -> Vec<Recommended> {
    let mut dice = StdRng::seed_from_u64(3);
    enter(swarm, page(99), &ChunkSet::full(have), now);
    swarm.recommend(Recommendation::Predictive, page(99), want, now, &mut dice)
}

fn peers(named: &[Recommended]) -> HashSet<PeerId> {
    named.iter().map(|named| named.peer).collect()
}

#[test]
fn who_came_one_after_another_do_not_lie_side_by_side() {
    let mut dice = StdRng::seed_from_u64(5);
    let mut swarm = Swarm::default();
    (0..200).for_each(|number| swarm.enter(page(number), &ChunkSet::new(), 0.0, &mut dice));
    // Somebody goes, and the last takes that place.
    (0..50).for_each(|number| swarm.remove(page(number * 4).group, peer(number * 4)));

    let order: Vec<u8> = (0..150).map(|place| swarm.browsers.group(place).unwrap().0[0]).collect();

    let side_by_side = order.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) == 1).count();
    // By lot one or two; in the order of arrival nearly a hundred.
    assert!(side_by_side < 10, "{order:?}");
}

#[test]
fn those_are_named_who_hold_what_is_wanted_next() {
    let mut swarm = Swarm::default();
    for number in 0..12 {
        // Four are behind who asks, four are where it is, four are ahead.
        let have = ChunkSet::full(u32::from(number / 4) * 40);
        enter(&mut swarm, page(number), &have, 0.0);
    }

    let named = named(&mut swarm, 40, 4, 0.0);

    assert_eq!(peers(&named), (8..12).map(peer).collect());
}

#[test]
fn who_goes_fast_is_expected_to_hold_more_than_it_has_said() {
    let mut swarm = Swarm::default();
    enter(&mut swarm, page(1), &ChunkSet::new(), 0.0);
    enter(&mut swarm, page(2), &ChunkSet::full(100), 0.0);
    swarm.report(page(1).group, peer(1), &ChunkSet::full(20), 5.0);

    let expected = |swarm: &mut Swarm, now| {
        let named = named(swarm, 0, 2, now);
        named.into_iter().find(|named| named.peer == peer(1)).unwrap().expected
    };

    // Four chunks a second, of which three quarters are promised.
    assert_eq!(expected(&mut swarm, 9.0), ChunkSet::full(32));
    // It would have said so by now.
    assert_eq!(expected(&mut swarm, 60.0), ChunkSet::full(20));
}

#[test]
fn nobody_is_expected_to_hold_more_than_there_is() {
    let mut swarm = Swarm::default();
    enter(&mut swarm, page(1), &ChunkSet::new(), 0.0);
    swarm.report(page(1).group, peer(1), &ChunkSet::full(20), 5.0);

    assert_eq!(named(&mut swarm, 0, 1, 9.0)[0].expected, ChunkSet::full(20));
}

#[test]
fn who_has_just_come_is_expected_to_go_as_fast_as_others() {
    let mut swarm = Swarm::default();
    enter(&mut swarm, page(2), &ChunkSet::new(), 0.0);
    swarm.report(page(2).group, peer(2), &ChunkSet::full(40), 5.0);
    enter(&mut swarm, page(1), &ChunkSet::new(), 10.0);

    let named = named(&mut swarm, 0, 2, 14.0);

    let of_the_new = named.iter().find(|named| named.peer == peer(1)).unwrap();
    assert_eq!(of_the_new.expected, ChunkSet::full(24));
}

#[test]
fn neighbours_are_preferred_among_equals() {
    let mut swarm = Swarm::default();
    let at = |page: Asker, address: &str| Asker {
        place: address.parse::<IpAddr>().unwrap().into(),
        ..page
    };
    for number in 0..12 {
        let address = if number < 4 { "192.0.2.1" } else { "198.51.100.1" };
        enter(&mut swarm, at(page(number), address), &ChunkSet::full(9), 0.0);
    }
    let asker = at(page(99), "192.0.2.7");
    enter(&mut swarm, asker, &ChunkSet::new(), 0.0);
    let mut dice = StdRng::seed_from_u64(4);

    let named = swarm.recommend(Recommendation::Predictive, asker, 4, 0.0, &mut dice);

    assert_eq!(peers(&named), (0..4).map(peer).collect());
}

#[test]
fn who_declines_is_left_alone_for_a_while() {
    let mut swarm = Swarm::default();
    (0..12).for_each(|number| enter(&mut swarm, page(number), &ChunkSet::full(9), 0.0));
    (0..8).for_each(|number| swarm.declined(page(number).group, peer(number), 0.0));

    assert_eq!(peers(&named(&mut swarm, 0, 4, 0.0)), (8..12).map(peer).collect());
    let later = peers(&named(&mut swarm, 0, 12, 300.0));
    assert_eq!(later.len(), 12);
}
