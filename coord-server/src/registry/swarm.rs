//! One swarm: its members by browser, and who of them is named to whom.

mod browsers;
mod draw;
mod remote;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use dcdn_protocol::message::coord::Recommended;
use dcdn_protocol::{ChunkSet, GroupId, PeerId};
use rand::Rng;

use self::browsers::Browsers;
pub(super) use self::remote::Hungry;
use self::remote::Remote;
use super::member::Member;
use super::place::Place;

/// How peers are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recommendation {
    /// Anybody: the thesis's basic protocol (section 3.1).
    Random,
    /// Who holds what is wanted next and was not named to many others, by what each has
    /// said and how fast it goes (thesis section 5.2.2).
    #[default]
    Predictive,
}

impl Recommendation {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Random, Self::Predictive];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Predictive => "predictive",
        }
    }
}

/// A [`Recommendation`] that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are random and predictive")]
pub struct UnknownRecommendation;

impl FromStr for Recommendation {
    type Err = UnknownRecommendation;

    fn from_str(text: &str) -> Result<Self, UnknownRecommendation> {
        Self::ALL.into_iter().find(|it| it.as_str() == text).ok_or(UnknownRecommendation)
    }
}

/// Members by browser. Entering, leaving and naming cost the same in a
/// swarm of ten and of ten thousand.
#[derive(Debug, Default)]
pub(super) struct Swarm {
    browsers: Browsers,
    /// Rate of those that were seen to grow, in chunks per second.
    usual_rate: f64,
    /// One behind the last chunk that anybody has said it holds.
    end: u32,
    /// Members whose sockets this node has.
    local: usize,
    /// Members whose sockets other nodes have, in the order in which they became known.
    remote: Vec<Remote>,
    hungry: Vec<Hungry>,
    /// When other nodes were told of this swarm, and when they are to be, in milliseconds.
    pub told_at: Option<u64>,
    pub tell_at: Option<u64>,
}

/// Weight of one more measured rate in the usual one.
const NEW_RATE: f64 = 0.1;

/// Who asks, or enters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub group: GroupId,
    pub peer: PeerId,
    pub place: Place,
}

impl Swarm {
    /// A peer enters, or says again what it holds. `now` is in seconds.
    pub fn enter(&mut self, who: Asker, have: &ChunkSet, now: f64, dice: &mut impl Rng) {
        let rate = match self.browsers.find(who.group, who.peer) {
            Some(member) => member.report(have, now),
            None => {
                let member = Member::new(who.peer, who.place, have, now);
                self.browsers.add(who.group, member, dice);
                self.local += 1;
                None
            }
        };
        self.learn(have, rate);
    }

    /// A member holds something else. Nothing happens to who is none.
    pub fn report(&mut self, group: GroupId, peer: PeerId, have: &ChunkSet, now: f64) {
        let Some(member) = self.browsers.find(group, peer) else { return };
        let rate = member.report(have, now);
        self.learn(have, rate);
    }

    /// A member of this node leaves.
    pub fn remove(&mut self, group: GroupId, peer: PeerId) {
        self.local -= usize::from(self.browsers.remove(group, peer));
        self.hungry.retain(|it| it.who.peer != peer);
    }

    /// Browsers that this node knows of.
    pub fn browsers(&self) -> usize {
        self.browsers.len()
    }

    /// Whether no member is on this node.
    pub fn is_empty(&self) -> bool {
        self.local == 0
    }

    /// A member has said that it has connections enough.
    pub fn declined(&mut self, group: GroupId, peer: PeerId, now: f64) {
        if let Some(member) = self.browsers.find(group, peer) {
            member.add_load(draw::DECLINED, now);
        }
    }

    /// Up to `want` members of other browsers than the asker's, who is a member, and what
    /// each is expected to hold.
    pub fn recommend(
        &mut self,
        how: Recommendation,
        asker: Asker,
        want: usize,
        now: f64,
        dice: &mut impl Rng,
    ) -> Vec<Recommended> {
        let drawn = match how {
            Recommendation::Random => self.draw(asker.group, want, dice),
            Recommendation::Predictive => self.choose(asker, want, now, dice),
        };
        let (usual, end) = (self.usual_rate, self.end);
        let name = |(browser, tab): (usize, usize)| {
            let member = self.browsers.tab_mut(browser, tab)?;
            member.add_load(1.0, now);
            let forecast = member.forecast(now, 0.0, usual, end);
            let expected = match how {
                Recommendation::Random => member.held(),
                Recommendation::Predictive => forecast.to_set(),
            };
            Some(Recommended { peer: member.peer, expected })
        };
        drawn.into_iter().filter_map(name).collect()
    }

    /// Of `want` peers those that somebody may hear of: none in a swarm of fewer browsers than
    /// `min_viewers`.
    pub fn may_want(&self, want: usize, min_viewers: usize) -> usize {
        if self.browsers.len() < min_viewers { 0 } else { want }
    }

    fn learn(&mut self, have: &ChunkSet, rate: Option<f64>) {
        if let Some(last) = have.runs().next_back() {
            self.end = self.end.max(last.end);
        }
        if let Some(rate) = rate {
            let weight = if self.usual_rate > 0.0 { NEW_RATE } else { 1.0 };
            self.usual_rate += (rate - self.usual_rate) * weight;
        }
    }
}
