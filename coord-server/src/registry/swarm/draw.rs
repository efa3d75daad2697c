//! Whom to name: by lot, or by what they will hold.

use dcdn_protocol::GroupId;
use rand::seq::index;
use rand::{Rng, RngExt};
use smallvec::{SmallVec, smallvec};

use super::super::MAX_WANT;
use super::super::member::Member;
use super::super::place::Place;
use super::{Asker, Swarm};

/// Browsers that are looked at for each peer that is wanted.
const LOOKED_AT: usize = 3;

/// Chunks that a peer is wanted for at once, and soon: what eight peers deliver first, and
/// the scheduler's read-ahead of 8 MiB in chunks of 256 KiB.
const NEXT: u32 = 8;
const AHEAD: u32 = 32;

/// What speaks for a peer of the same provider (twice that for one of the same street), and
/// against one for each time that it was named of late. For holding all that is wanted next
/// speaks 1, for holding all that is wanted soon another. Of several settings these did best
/// in simulated crowds (`bench/RESULTS.md`).
const NEAR: f64 = 1.0;
const LOAD: f64 = 0.6;

/// Seconds until a peer's chunks are wanted that were not wanted at once.
const SOON: f64 = 5.0;

/// As much load as so many recommendations: a peer that declines has no room for a while.
pub(super) const DECLINED: f32 = 16.0;

/// Place of a browser, and of a tab in it.
type Spot = (usize, usize);

/// A browser's tabs in the order in which they are named: one, as a rule.
type Tabs = SmallVec<[usize; 2]>;

/// Something by what it is worth: the most first, of equals the one with the lower number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u64);

impl Rank {
    const LAST: Self = Self(u64::MAX);

    fn of(value: f64, number: usize) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
        let bits = (value as f32).to_bits();
        // As whole numbers, floats are in order but for the sign: those below zero come from the
        // highest on.
        let is_below_zero = bits >> 31 == 1;
        let descending = if is_below_zero { bits } else { !bits & (u32::MAX >> 1) };
        Self(u64::from(descending) << 32 | number as u64)
    }

    /// Which it is.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half, and no more, is meant")]
    fn number(self) -> usize {
        self.0 as u32 as usize
    }
}

/// The best of what was offered, the best first.
struct Best(SmallVec<[Rank; MAX_WANT as usize]>);

impl Best {
    fn new(most: usize) -> Self {
        Self(smallvec![Rank::LAST; most])
    }

    /// Moves on whatever is not as good, without a branch that nobody could foresee.
    fn offer(&mut self, mut rank: Rank) {
        for held in &mut self.0 {
            (*held, rank) = ((*held).min(rank), (*held).max(rank));
        }
    }
}

impl Swarm {
    /// Up to `want` members outside `group`, at random.
    ///
    /// Browsers are drawn first, then a tab of each: the tabs of a browser share
    /// its cache and its line. A second tab of a browser is drawn only when there
    /// are fewer browsers than `want`.
    pub(super) fn draw(&self, group: GroupId, want: usize, dice: &mut impl Rng) -> Vec<Spot> {
        let (own, others) = self.others(group);
        let browsers = want.min(others);
        if browsers == 0 {
            return Vec::new();
        }
        let places = index::sample(dice, others, browsers).into_iter();
        let drawn: Vec<(usize, Tabs)> = places
            .map(|place| {
                let place = behind(own, place);
                let tabs = self.browsers.tabs(place).count();
                let sample = index::sample(dice, tabs, tabs.min(want - browsers + 1));
                (place, sample.into_iter().collect())
            })
            .collect();
        in_turns(&drawn, want)
    }

    /// Up to `want` members outside the asker's browser: those of some that have the most
    /// for it.
    ///
    /// The browsers looked at lie side by side, from a random place on. They are in no order, so
    /// they are as good as drawn by lot; and while one is looked at, the next are on their way
    /// from memory.
    pub(super) fn choose(
        &self,
        asker: Asker,
        want: usize,
        now: f64,
        dice: &mut impl Rng,
    ) -> Vec<Spot> {
        let (own, others) = self.others(asker.group);
        if others == 0 || want == 0 {
            return Vec::new();
        }
        let asking = own.and_then(|own| self.browsers.tabs(own).find(|it| it.peer == asker.peer));
        let wish = Wish {
            place: asker.place,
            now,
            usual: self.usual_rate,
            end: self.end,
            from: asking.map_or(0, Member::position),
        };
        let value = wish.pricing();
        let start = dice.random_range(0..others);
        let place_of = |turn: usize| {
            let place = start + turn;
            behind(own, if place < others { place } else { place - others })
        };
        let mut best = Best::new(want.min(others));
        for turn in 0..others.min(want * LOOKED_AT) {
            let first = self.browsers.first_tab(place_of(turn));
            let further = first.further_tabs().iter();
            let worth = further.map(value).fold(value(first), f64::max);
            best.offer(Rank::of(worth, turn));
        }
        let chosen = best.0.into_iter().map(|rank| {
            let place = place_of(rank.number());
            if self.browsers.first_tab(place).further_tabs().is_empty() {
                return (place, smallvec![0]);
            }
            let tabs = self.browsers.tabs(place).enumerate();
            let mut ranks: Vec<Rank> = tabs.map(|(tab, it)| Rank::of(value(it), tab)).collect();
            ranks.sort_unstable();
            (place, ranks.into_iter().map(Rank::number).collect())
        });
        in_turns(&chosen.collect::<SmallVec<[_; MAX_WANT as usize]>>(), want)
    }

    /// Place of the own browser, and how many others there are.
    fn others(&self, group: GroupId) -> (Option<usize>, usize) {
        let own = self.browsers.place_of(group);
        (own, self.browsers.len() - usize::from(own.is_some()))
    }
}

/// What somebody wants who asks for peers.
#[derive(Clone, Copy, Debug)]
struct Wish {
    place: Place,
    /// In seconds.
    now: f64,
    /// Rate of others, and one behind the last chunk that is held.
    usual: f64,
    end: u32,
    /// The first chunk that is lacked.
    from: u32,
}

impl Wish {
    /// What a member is worth.
    fn pricing(self) -> impl Fn(&Member) -> f64 + Copy {
        let Self { place, now, usual, end, from } = self;
        let last = end.max(from.saturating_add(1));
        // Where a stretch ends, and what each chunk of it is worth.
        let stretch = |chunks: u32| {
            let until = from.saturating_add(chunks).min(last);
            (until, f64::from(until - from).recip())
        };
        let (next, soon) = (stretch(NEXT), stretch(AHEAD));
        move |member| {
            let part = |ahead: f64, (until, each): (u32, f64)| {
                let forecast = member.forecast(now, ahead, usual, end);
                f64::from(forecast.count_within(from, until)) * each
            };
            let near = f64::from(member.place.nearness(place));
            part(0.0, next) + part(SOON, soon) + NEAR * near - LOAD * f64::from(member.load(now))
        }
    }
}

/// The own browser is not among the others: those behind it move up.
fn behind(own: Option<usize>, place: usize) -> usize {
    place + usize::from(own.is_some_and(|own| place >= own))
}

/// The first tab of each browser, then the second, until there are enough.
fn in_turns(browsers: &[(usize, Tabs)], want: usize) -> Vec<Spot> {
    let most = browsers.iter().map(|(_, tabs)| tabs.len()).max().unwrap_or(0);
    (0..most)
        .flat_map(|turn| {
            browsers.iter().filter_map(move |(place, tabs)| Some((*place, *tabs.get(turn)?)))
        })
        .take(want)
        .collect()
}
