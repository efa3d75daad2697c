//! What is known of one peer in one swarm, and what follows from it.

use std::ops::Range;

use dcdn_protocol::message::coord::{HAVE_INTERVAL_MS, MAX_HELD_RUNS};
use dcdn_protocol::{ChunkSet, PeerId};

use super::place::Place;

/// Seconds between two reports of a page whose holding grows. Who has been silent for
/// longer, with a second for the way here, gets nothing new.
const REPORTS: f64 = HAVE_INTERVAL_MS as f64 / 1000.0 + 1.0;

/// Least seconds that a rate is measured over.
const LEAST_SPAN: f64 = 1.0;

/// Share of the predicted growth that is promised to others: a chunk that is not there
/// costs whoever asks for it a round trip.
const PROMISED: f64 = 0.75;

/// Seconds in which a recommendation's load falls to 1/e: by then a connection is open, or
/// was declined.
const LOAD_MEMORY: f64 = 30.0;

const UNKNOWN_RATE: f32 = -1.0;

/// A peer in a swarm. Times are seconds of one clock.
///
/// In a large swarm those that are looked at are in no cache, so all that speaks for or
/// against one is in one line of it.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Member {
    pub peer: PeerId,
    pub place: Place,
    said_at: f64,
    /// How often it was recommended, fading, and when that was so.
    load: f32,
    loaded_at: f32,
    /// What it has said that it holds, if that is one run.
    run: (u32, u32),
    /// Where what it reads has grown last: the chunk behind the run.
    position: u32,
    /// Chunks per second; negative until it has grown once.
    rate: f32,
    aside: Option<Box<Aside>>,
}

const _: () = assert!(size_of::<Member>() == 64);

/// What most members have not.
#[derive(Clone, Debug, Default)]
struct Aside {
    /// What it has said that it holds, if that is several runs.
    scattered: Option<ChunkSet>,
    /// Further tabs of its browser.
    tabs: Vec<Member>,
}

/// What a member is expected to hold: what it has said, and one run that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forecast<'a> {
    member: &'a Member,
    until: u32,
}

impl Member {
    /// Enters and says what it holds.
    pub fn new(peer: PeerId, place: Place, have: &ChunkSet, now: f64) -> Self {
        let mut new = Self {
            peer,
            place,
            said_at: now,
            load: 0.0,
            loaded_at: 0.0,
            run: (0, 0),
            position: have.runs().next().map_or(0, |run| run.end),
            rate: UNKNOWN_RATE,
            aside: None,
        };
        new.hold(have.first_runs(MAX_HELD_RUNS));
        new
    }

    /// Says what it holds now. Returns its rate if that could be measured.
    pub fn report(&mut self, have: &ChunkSet, now: f64) -> Option<f64> {
        let (have, held) = (have.first_runs(MAX_HELD_RUNS), self.held());
        let span = now - self.said_at;
        if have == held {
            // Nothing has come for a while: it is through, or has stopped.
            if span >= REPORTS {
                self.rate = UNKNOWN_RATE;
            }
            return None;
        }
        let grown = have.without(&held);
        if let Some(first) = grown.runs().next() {
            let behind = have.runs().find(|run| run.contains(&first.start)).map(|run| run.end);
            self.position = behind.unwrap_or(self.position);
        }
        let measured = (span >= LEAST_SPAN).then(|| f64::from(grown.count()) / span);
        if let Some(measured) = measured {
            let rate = self.rate().map_or(measured, |rate| (rate + measured) / 2.0);
            #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
            let rate = rate as f32;
            self.rate = rate;
        }
        self.hold(have);
        self.said_at = now;
        measured
    }

    /// What it said last.
    pub fn held(&self) -> ChunkSet {
        if let Some(scattered) = self.scattered() {
            return scattered.clone();
        }
        let mut held = ChunkSet::new();
        held.insert_run(self.run.0..self.run.1);
        held
    }

    /// First chunk that it lacks where it reads.
    pub fn position(&self) -> u32 {
        self.position
    }

    /// What it holds in `ahead` seconds from now. `usual` is the rate of others, which is
    /// taken for one that has not been seen to grow; nobody holds chunks from `end` on.
    #[inline]
    pub fn forecast(&self, now: f64, ahead: f64, usual: f64, end: u32) -> Forecast<'_> {
        let silent = now - self.said_at;
        let is_growing = silent < REPORTS;
        let rate = if is_growing { self.rate().unwrap_or(usual) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "a float that is too large saturates")]
        let growth = (rate * (silent + ahead) * PROMISED) as u32;
        let until = self.position.saturating_add(growth).min(end);
        Forecast { member: self, until }
    }

    /// How often it was recommended of late, fading.
    #[inline]
    pub fn load(&self, now: f64) -> f32 {
        self.load * faded(now - f64::from(self.loaded_at))
    }

    /// It was recommended once more, or has declined and has as many as `times` said.
    pub fn add_load(&mut self, times: f32, now: f64) {
        self.load = self.load(now) + times;
        #[expect(clippy::cast_possible_truncation, reason = "a second in a year is near enough")]
        let now = now as f32;
        self.loaded_at = now;
    }

    /// Further tabs of the browser whose first this is.
    #[inline]
    pub fn further_tabs(&self) -> &[Member] {
        self.aside.as_ref().map_or(&[], |aside| &aside.tabs)
    }

    /// The same, to be changed.
    pub fn further_tabs_mut(&mut self) -> &mut [Member] {
        self.aside.as_mut().map_or(&mut [], |aside| &mut aside.tabs)
    }

    /// Its browser has one more tab.
    pub fn add_tab(&mut self, tab: Member) {
        self.aside.get_or_insert_default().tabs.push(tab);
    }

    /// Its browser has one tab less. Returns whether there was one.
    pub fn remove_tab(&mut self, peer: PeerId) -> bool {
        let Some(aside) = &mut self.aside else { return false };
        let before = aside.tabs.len();
        aside.tabs.retain(|tab| tab.peer != peer);
        aside.tabs.len() < before
    }

    /// The tab that is the first once this has gone.
    pub fn next_tab(&mut self) -> Option<Member> {
        let aside = self.aside.as_mut()?;
        if aside.tabs.is_empty() {
            return None;
        }
        let mut next = aside.tabs.remove(0);
        for tab in aside.tabs.drain(..) {
            next.add_tab(tab);
        }
        Some(next)
    }

    fn hold(&mut self, have: ChunkSet) {
        let mut runs = have.runs();
        let run = runs.next().map_or((0, 0), |run| (run.start, run.end));
        if runs.next().is_some() {
            drop(runs);
            self.aside.get_or_insert_default().scattered = Some(have);
            return;
        }
        self.run = run;
        if let Some(aside) = &mut self.aside {
            aside.scattered = None;
        }
    }

    #[inline]
    fn scattered(&self) -> Option<&ChunkSet> {
        self.aside.as_ref()?.scattered.as_ref()
    }

    #[inline]
    fn rate(&self) -> Option<f64> {
        Some(f64::from(self.rate)).filter(|rate| *rate >= 0.0)
    }

    /// Chunks that it has said it holds in these bounds.
    #[inline]
    fn count_held(&self, bounds: Range<u32>) -> u32 {
        match self.scattered() {
            None => self.run.1.min(bounds.end).saturating_sub(self.run.0.max(bounds.start)),
            Some(held) => count_within(held, bounds),
        }
    }
}

#[cold]
fn count_within(held: &ChunkSet, bounds: Range<u32>) -> u32 {
    held.runs_within(bounds).map(|run| run.end - run.start).sum()
}

/// What is left of a load after so many seconds: `exp(-seconds / LOAD_MEMORY)` to a part in
/// 300, without asking the mathematics library for each member that is looked at.
#[inline]
fn faded(seconds: f64) -> f32 {
    const HALVES_IN: f64 = LOAD_MEMORY * std::f64::consts::LN_2;
    let halvings = (seconds / HALVES_IN).clamp(0.0, 126.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
    let whole = halvings as u32;
    #[expect(clippy::cast_possible_truncation, reason = "below one")]
    let part = (halvings - f64::from(whole)) as f32;
    // Exact at a whole and at a half halving.
    let of_part = 1.0 - part * (0.671_573 - 0.171_573 * part);
    of_part * f32::from_bits((127 - whole) << 23)
}

impl Forecast<'_> {
    /// Chunks of `start..end` that are expected to be held.
    #[inline]
    pub fn count_within(&self, start: u32, end: u32) -> u32 {
        let held = self.member.count_held(start..end);
        let predicted = self.member.position.clamp(start, end)..self.until.clamp(start, end);
        if predicted.is_empty() {
            return held;
        }
        held + (predicted.end - predicted.start) - self.member.count_held(predicted)
    }

    /// All of it.
    pub fn to_set(self) -> ChunkSet {
        let mut set = self.member.held();
        set.insert_run(self.member.position..self.until.max(self.member.position));
        match self.member.scattered() {
            None => set,
            Some(_) => set.first_runs(MAX_HELD_RUNS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_fades_as_it_should() {
        for tenth in 0..6000 {
            let seconds = f64::from(tenth) / 10.0;
            let exact = (-seconds / LOAD_MEMORY).exp();
            let error = (f64::from(faded(seconds)) / exact - 1.0).abs();
            assert!(error < 1.0 / 300.0, "{seconds} s: {error}");
        }
        // Clocks of f32 may be a little ahead.
        assert!(f64::from(faded(-0.5) - 1.0).abs() < f64::EPSILON);
        assert!(faded(f64::INFINITY) < 1e-37);
    }
}
