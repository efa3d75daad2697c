//! The members of a swarm by browser.

use std::iter;

use dcdn_protocol::{GroupId, PeerId};
use indexmap::IndexSet;
use rand::{Rng, RngExt};

use super::super::member::Member;

/// Browsers in an order that is random at all times, so that any that lie side by side are as
/// good as drawn by lot, and are in memory what is read at once. Finding, adding and removing
/// one cost the same however many there are.
#[derive(Debug, Default)]
pub(super) struct Browsers {
    groups: IndexSet<GroupId>,
    /// The first tab of each, which has the others.
    tabs: Vec<Member>,
}

impl Browsers {
    pub fn len(&self) -> usize {
        self.tabs.len()
    }

    /// Where a browser is.
    pub fn place_of(&self, group: GroupId) -> Option<usize> {
        self.groups.get_index_of(&group)
    }

    /// Which browser is there.
    pub fn group(&self, place: usize) -> Option<GroupId> {
        self.groups.get_index(place).copied()
    }

    /// The first tab of the browser there.
    ///
    /// # Panics
    /// If there is none.
    pub fn first_tab(&self, place: usize) -> &Member {
        &self.tabs[place]
    }

    /// All tabs of the browser there, the first first.
    ///
    /// # Panics
    /// If there is none.
    pub fn tabs(&self, place: usize) -> impl Iterator<Item = &Member> {
        let first = &self.tabs[place];
        iter::once(first).chain(first.further_tabs())
    }

    /// One of its tabs by number.
    pub fn tab_mut(&mut self, place: usize, tab: usize) -> Option<&mut Member> {
        let first = self.tabs.get_mut(place)?;
        match tab.checked_sub(1) {
            None => Some(first),
            Some(further) => first.further_tabs_mut().get_mut(further),
        }
    }

    pub fn find(&mut self, group: GroupId, peer: PeerId) -> Option<&mut Member> {
        let first = &mut self.tabs[self.groups.get_index_of(&group)?];
        if first.peer == peer {
            return Some(first);
        }
        first.further_tabs_mut().iter_mut().find(|tab| tab.peer == peer)
    }

    /// One more tab, of a browser that may be new: then it takes a place by lot, and whoever
    /// was there goes to the end.
    pub fn add(&mut self, group: GroupId, tab: Member, dice: &mut impl Rng) {
        let (last, is_new) = self.groups.insert_full(group);
        if !is_new {
            self.tabs[last].add_tab(tab);
            return;
        }
        self.tabs.push(tab);
        let place = dice.random_range(0..=last);
        self.tabs.swap(place, last);
        self.groups.swap_indices(place, last);
    }

    /// Takes a tab out, and its browser if that has no other. Returns whether it was there.
    pub fn remove(&mut self, group: GroupId, peer: PeerId) -> bool {
        let Some(place) = self.groups.get_index_of(&group) else { return false };
        let first = &mut self.tabs[place];
        if first.peer != peer {
            return first.remove_tab(peer);
        }
        if let Some(next) = first.next_tab() {
            *first = next;
        } else {
            self.tabs.swap_remove(place);
            self.groups.swap_remove_index(place);
        }
        true
    }
}
