//! Peers whose sockets other nodes have: some of each swarm are known here for a while, and
//! named, and signals pass to them.
//!
//! Pure like the rest: what is to be told to other nodes comes out of [`Registry::due`] and
//! as [`Effect::Forward`], what they say goes into [`Registry::learn`] and
//! [`Registry::deliver`]. Carrying it is [`cluster`](crate::cluster)'s affair.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Instant;

use dcdn_protocol::message::coord::{FromCoord, Signal};
use dcdn_protocol::{ChunkSet, ContentId, GroupId, PeerId};
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::shape::fault_of;
use super::swarm::{Asker, Hungry};
use super::{Effect, Registry, Swarm};

/// Members of a swarm that are told to other nodes at a time.
const SHARED: usize = 32;

/// Members on other nodes that a swarm knows at the most.
pub(super) const MAX_REMOTE: usize = 96;

/// Milliseconds between two tellings of a swarm where something happens or somebody wants
/// more peers, and where nothing does.
const BUSY_MS: u64 = 1_000;
const IDLE_MS: u64 = 10_000;

/// Seconds for which a member on another node is known after it was heard of: two idle
/// tellings and some time on the way.
pub(super) const KNOWN_FOR: f64 = 25.0;

/// A member of a swarm, as nodes tell each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteMember {
    /// Who.
    pub peer: PeerId,
    /// Its browser.
    pub group: GroupId,
    /// What it has last said that it holds.
    #[serde(default, skip_serializing_if = "ChunkSet::is_empty")]
    pub have: ChunkSet,
}

/// A signal to a peer of another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The sender.
    pub from: PeerId,
    /// The sender's browser.
    pub group: GroupId,
    /// A swarm that both are in.
    pub content: ContentId,
    /// The receiver.
    pub to: PeerId,
    /// What to pass.
    pub signal: Signal,
}

/// When which swarm is to be told. Empty and idle on a server that is alone.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    enabled: bool,
    due: BTreeSet<(u64, ContentId)>,
}

impl Agenda {
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// `swarm` is to be told at `at`, or earlier if that was the plan.
    fn plan(&mut self, content: ContentId, swarm: &mut Swarm, at: u64) {
        if !self.enabled || swarm.tell_at.is_some_and(|planned| planned <= at) {
            return;
        }
        if let Some(planned) = swarm.tell_at.replace(at) {
            self.due.remove(&(planned, content));
        }
        self.due.insert((at, content));
    }

    /// Something has happened in `swarm`.
    pub fn stir(&mut self, content: ContentId, swarm: &mut Swarm, now: f64) {
        let at = swarm.told_at.map_or(0, |told| told + BUSY_MS).max(millis(now));
        self.plan(content, swarm, at);
    }

    /// Whether an answer without peers may wait: what others know of the swarm is about to be
    /// asked.
    pub fn is_worth_waiting(&self, swarm: &Swarm, now: f64) -> bool {
        self.enabled && swarm.told_at.is_none_or(|told| told + BUSY_MS <= millis(now))
    }

    /// A swarm has no member here any more: others are to hear that at once.
    pub fn end(&mut self, content: ContentId, swarm: &Swarm) {
        if self.enabled {
            if let Some(planned) = swarm.tell_at {
                self.due.remove(&(planned, content));
            }
            self.due.insert((0, content));
        }
    }
}

fn millis(seconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let millis = (seconds * 1000.0) as u64;
    millis
}

impl Registry {
    /// From now on there are other nodes, or there are again: every swarm is due.
    pub fn share(&mut self) {
        self.agenda.enabled = true;
        for (content, swarm) in &mut self.swarms {
            swarm.told_at = None;
            self.agenda.plan(*content, swarm, 0);
        }
    }

    /// Up to `most` swarms that others are to be told of now, and some of their members;
    /// none if there are none any more.
    pub fn due(&mut self, now: Instant, most: usize) -> Vec<(ContentId, Vec<RemoteMember>)> {
        let now = self.seconds(now);
        let mut told = Vec::new();
        while told.len() < most
            && let Some(&(at, content)) = self.agenda.due.first()
            && at <= millis(now)
        {
            self.agenda.due.pop_first();
            let Some(swarm) = self.swarms.get_mut(&content) else {
                told.push((content, Vec::new()));
                continue;
            };
            (swarm.told_at, swarm.tell_at) = (Some(millis(now)), None);
            told.push((content, swarm.sample(SHARED, &mut self.dice)));
            let next = if swarm.has_hungry(now) { BUSY_MS } else { IDLE_MS };
            self.agenda.plan(content, swarm, millis(now) + next);
        }
        told
    }

    /// Other nodes have these members of a swarm. Whoever waits for an answer gets it, and
    /// whoever has asked of late and got fewer peers than wanted hears of them.
    pub fn learn(
        &mut self,
        content: ContentId,
        members: Vec<RemoteMember>,
        now: Instant,
    ) -> Vec<Effect> {
        let now = self.seconds(now);
        let Some(swarm) = self.swarms.get_mut(&content) else { return Vec::new() };
        swarm.forget_remote(now);
        for RemoteMember { peer, group, have } in members {
            if !self.peers.contains_key(&peer) {
                let who = Asker { group, peer, place: Place::UNKNOWN };
                swarm.enter_remote(who, Some(&have), now, &mut self.dice);
            }
        }
        let how = self.limits.recommendation;
        let mut effects = Vec::new();
        for Hungry { who, want, is_waiting, until } in swarm.take_hungry() {
            let want = swarm.may_want(want, self.limits.min_viewers);
            let peers = swarm.recommend(how, who, want, now, &mut self.dice);
            if peers.is_empty() && until > now {
                swarm.is_hungry(who, want, false, now);
            }
            if is_waiting || !peers.is_empty() {
                effects.push(Effect::Send(who.peer, FromCoord::Peers { content, peers }));
            }
        }
        effects
    }

    /// Other nodes are out of reach, and so are their peers. Whoever waits for what they know
    /// is answered.
    pub fn alone(&mut self) -> Vec<Effect> {
        self.agenda = Agenda::default();
        let mut effects = Vec::new();
        for (content, swarm) in &mut self.swarms {
            swarm.tell_at = None;
            swarm.forget_all_remote();
            let waiting = swarm.take_hungry().into_iter().filter(|it| it.is_waiting);
            effects.extend(waiting.map(|it| {
                let peers = Vec::new();
                Effect::Send(it.who.peer, FromCoord::Peers { content: *content, peers })
            }));
        }
        effects
    }

    /// A signal came from another node; `None` if its receiver is not in the swarm here.
    pub fn deliver(&mut self, envelope: Envelope, now: Instant) -> Option<Effect> {
        let now = self.seconds(now);
        let Envelope { from, group, content, to, signal } = envelope;
        let is_member = self.peers.get(&to)?.swarms.binary_search(&content).is_ok();
        if !is_member || fault_of(&signal).is_some() {
            return None;
        }
        let swarm = self.swarms.get_mut(&content)?;
        let who = Asker { group, peer: from, place: Place::UNKNOWN };
        swarm.enter_remote(who, None, now, &mut self.dice);
        Some(Effect::Send(to, FromCoord::Signal { from, signal }))
    }

    /// `to` is not to be reached any more; `from` had something for it.
    pub fn lost(&mut self, from: PeerId, to: PeerId) -> Effect {
        if let Some(peer) = self.peers.get(&from) {
            for content in &peer.swarms {
                if let Some(swarm) = self.swarms.get_mut(content) {
                    swarm.remove_remote(to);
                }
            }
        }
        super::Refusal::unknown(to).into_effect(from)
    }

    /// A swarm that `from` shares with a peer of another node.
    pub(super) fn shared_with_remote(
        &self,
        from: PeerId,
        to: PeerId,
        now: f64,
    ) -> Option<ContentId> {
        let knows = |content: &&ContentId| {
            self.swarms.get(content).is_some_and(|swarm| swarm.knows_remote(to, now))
        };
        self.peers.get(&from)?.swarms.iter().find(knows).copied()
    }
}
