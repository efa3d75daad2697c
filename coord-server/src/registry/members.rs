//! The members of one swarm, by browser.

use dcdn_protocol::{GroupId, PeerId};
use indexmap::{IndexMap, IndexSet};
use rand::Rng;
use rand::seq::index;

/// Members by group: no group is empty. Entering, leaving and drawing cost the
/// same in a swarm of ten and of ten thousand.
#[derive(Debug, Default)]
pub(super) struct Members(IndexMap<GroupId, IndexSet<PeerId>>);

impl Members {
    pub(super) fn insert(&mut self, group: GroupId, peer: PeerId) {
        self.0.entry(group).or_default().insert(peer);
    }

    pub(super) fn remove(&mut self, group: GroupId, peer: PeerId) {
        let Some(peers) = self.0.get_mut(&group) else { return };
        peers.swap_remove(&peer);
        if peers.is_empty() {
            self.0.swap_remove(&group);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Up to `want` members outside `group`, at random.
    ///
    /// Browsers are drawn first, then a tab of each: the tabs of a browser share
    /// its cache and its line. A second tab of a browser is drawn only when there
    /// are fewer browsers than `want`.
    pub(super) fn draw(&self, group: GroupId, want: usize, rng: &mut impl Rng) -> Vec<PeerId> {
        let own = self.0.get_index_of(&group);
        let others = self.0.len() - usize::from(own.is_some());
        let browsers = want.min(others);
        if browsers == 0 {
            return Vec::new();
        }
        let tabs_each = want - browsers + 1;
        let drawn: Vec<Vec<PeerId>> = index::sample(rng, others, browsers)
            .into_iter()
            // The own group is not among the others: those behind it move up.
            .map(|place| place + usize::from(own.is_some_and(|own| place >= own)))
            .filter_map(|place| self.0.get_index(place))
            .map(|(_, tabs)| draw_tabs(tabs, tabs_each, rng))
            .collect();
        (0..tabs_each)
            .flat_map(|turn| drawn.iter().filter_map(move |tabs| tabs.get(turn)))
            .copied()
            .take(want)
            .collect()
    }
}

fn draw_tabs(tabs: &IndexSet<PeerId>, want: usize, rng: &mut impl Rng) -> Vec<PeerId> {
    let places = index::sample(rng, tabs.len(), want.min(tabs.len()));
    places.into_iter().filter_map(|place| tabs.get_index(place)).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn peer(number: u8) -> PeerId {
        PeerId([number; 16])
    }

    fn group(number: u8) -> GroupId {
        GroupId([number; 16])
    }

    fn members(entering: impl Iterator<Item = (GroupId, PeerId)>) -> Members {
        let mut members = Members::default();
        entering.for_each(|(group, peer)| members.insert(group, peer));
        members
    }

    #[test]
    fn every_other_browser_is_drawn_about_as_often() {
        let mut rng = StdRng::seed_from_u64(1);
        let members = members((0..20).map(|n| (group(n), peer(n))));

        let mut times = HashMap::new();
        for _ in 0..4000 {
            for drawn in members.draw(group(7), 5, &mut rng) {
                *times.entry(drawn).or_insert(0) += 1;
            }
        }

        assert!(!times.contains_key(&peer(7)));
        assert_eq!(times.len(), 19);
        // 4000 * 5 / 19 = 1053, standard deviation 28.
        assert!(times.values().all(|&times| (913..1193).contains(&times)), "{times:?}");
    }

    #[test]
    fn a_browser_with_many_tabs_gets_no_second_place_before_others_have_one() {
        let mut rng = StdRng::seed_from_u64(2);
        let tabs = (0..100).map(|n| (group(1), peer(n)));
        let members = members(tabs.chain((100..104).map(|n| (group(n), peer(n)))));

        let drawn = members.draw(group(0), 5, &mut rng);

        let singles: HashSet<_> = (100..104).map(peer).collect();
        assert_eq!(drawn.len(), 5);
        assert_eq!(drawn.iter().filter(|peer| singles.contains(peer)).count(), 4);
    }
}
