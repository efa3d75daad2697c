//! Members on other nodes: they are named like any other, and forgotten after a while.

use dcdn_protocol::{ChunkSet, PeerId};
use rand::{Rng, RngExt};

use super::super::member::Member;
use super::super::remote::{KNOWN_FOR, MAX_REMOTE, RemoteMember};
use super::{Asker, Swarm};

/// Who has asked for peers and got fewer than wanted, at the most.
const MAX_HUNGRY: usize = 64;

/// Seconds for which somebody is taken to want more peers.
const HUNGRY_FOR: f64 = 10.0;

/// A member on another node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote {
    pub who: Asker,
    until: f64,
}

/// Somebody who got fewer peers than wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::registry) struct Hungry {
    pub who: Asker,
    pub want: usize,
    /// Nothing was answered yet: other nodes may know somebody.
    pub is_waiting: bool,
    pub until: f64,
}

impl Swarm {
    /// A member on another node was heard of. If the swarm knows as many as it may, the one
    /// makes room that was heard of longest ago.
    pub fn enter_remote(
        &mut self,
        who: Asker,
        have: Option<&ChunkSet>,
        now: f64,
        dice: &mut impl Rng,
    ) {
        let until = now + KNOWN_FOR;
        if let Some(known) = self.remote.iter_mut().find(|it| it.who.peer == who.peer) {
            known.until = until;
            // Its browser is what was said first: a second one would be somebody else.
            let group = known.who.group;
            if let Some(have) = have {
                self.report(group, who.peer, have, now);
            }
            return;
        }
        if self.remote.len() >= MAX_REMOTE {
            let oldest = self.remote.remove(0).who;
            self.browsers.remove(oldest.group, oldest.peer);
        }
        self.remote.push(Remote { who, until });
        let none = ChunkSet::new();
        let member = Member::new(who.peer, who.place, have.unwrap_or(&none), now);
        self.browsers.add(who.group, member, dice);
        self.learn(have.unwrap_or(&none), None);
    }

    pub fn knows_remote(&self, peer: PeerId, now: f64) -> bool {
        self.remote.iter().any(|it| it.who.peer == peer && it.until > now)
    }

    pub fn remove_remote(&mut self, peer: PeerId) {
        self.drop_remote(|it| it.who.peer == peer);
    }

    /// Forgets those of whom nothing was heard for too long.
    pub fn forget_remote(&mut self, now: f64) {
        self.drop_remote(|it| it.until <= now);
    }

    /// Forgets all.
    pub fn forget_all_remote(&mut self) {
        self.drop_remote(|_| true);
    }

    /// Up to `count` members of this node, by lot.
    pub fn sample(&self, count: usize, dice: &mut impl Rng) -> Vec<RemoteMember> {
        let browsers = self.browsers.len();
        // Some of those looked at are on other nodes.
        let looked_at = browsers.min(count + self.remote.len());
        let start = dice.random_range(0..browsers.max(1));
        (0..looked_at)
            .filter_map(|turn| {
                let place = (start + turn * browsers / looked_at) % browsers;
                let group = self.browsers.group(place)?;
                let is_local = |tab: &&Member| self.remote.iter().all(|it| it.who.peer != tab.peer);
                let tab = self.browsers.tabs(place).find(is_local)?;
                Some(RemoteMember { peer: tab.peer, group, have: tab.held() })
            })
            .take(count)
            .collect()
    }

    /// `who` would like `want` peers when some are heard of; whether that is remembered.
    pub fn is_hungry(&mut self, who: Asker, want: usize, is_waiting: bool, now: f64) -> bool {
        self.hungry.retain(|it| it.who.peer != who.peer && (it.is_waiting || it.until > now));
        let has_room = self.hungry.len() < MAX_HUNGRY;
        if has_room {
            self.hungry.push(Hungry { who, want, is_waiting, until: now + HUNGRY_FOR });
        }
        has_room
    }

    /// Whether somebody would like to hear of peers.
    pub fn has_hungry(&self, now: f64) -> bool {
        self.hungry.iter().any(|it| it.until > now)
    }

    /// Who would like to hear of peers.
    pub fn take_hungry(&mut self) -> Vec<Hungry> {
        std::mem::take(&mut self.hungry)
    }

    fn drop_remote(&mut self, is_gone: impl Fn(&Remote) -> bool) {
        let gone: Vec<Asker> =
            self.remote.extract_if(.., |it| is_gone(it)).map(|it| it.who).collect();
        for who in gone {
            self.browsers.remove(who.group, who.peer);
        }
    }
}
