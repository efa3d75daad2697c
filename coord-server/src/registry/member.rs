//! What is known of one peer in one swarm, and what follows from it.

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

/// A peer in a swarm. Times are seconds of one clock.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub peer: PeerId,
    pub place: Place,
    held: ChunkSet,
    said_at: f64,
    /// Where what it reads has grown last: the chunk behind the run.
    position: u32,
    /// Chunks per second; `None` until it has grown once.
    rate: Option<f64>,
    load: f64,
    load_at: f64,
}

/// What a member is expected to hold: what it has said, and one run that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forecast<'a> {
    held: &'a ChunkSet,
    from: u32,
    until: u32,
}

impl Member {
    /// Enters and says what it holds.
    pub fn new(peer: PeerId, place: Place, have: &ChunkSet, now: f64) -> Self {
        let held = have.first_runs(MAX_HELD_RUNS);
        let position = held.runs().next().map_or(0, |run| run.end);
        Self { peer, place, held, said_at: now, position, rate: None, load: 0.0, load_at: now }
    }

    /// Says what it holds now. Returns its rate if that could be measured.
    pub fn report(&mut self, have: &ChunkSet, now: f64) -> Option<f64> {
        let have = have.first_runs(MAX_HELD_RUNS);
        let span = now - self.said_at;
        if have == self.held {
            // Nothing has come for a while: it is through, or has stopped.
            self.rate = self.rate.filter(|_| span < REPORTS);
            return None;
        }
        let grown = have.without(&self.held);
        if let Some(first) = grown.runs().next() {
            let behind = have.runs().find(|run| run.contains(&first.start)).map(|run| run.end);
            self.position = behind.unwrap_or(self.position);
        }
        let measured = (span >= LEAST_SPAN).then(|| f64::from(grown.count()) / span);
        if let Some(measured) = measured {
            self.rate = Some(self.rate.map_or(measured, |rate| (rate + measured) / 2.0));
        }
        self.held = have;
        self.said_at = now;
        measured
    }

    /// What it said last.
    pub fn held(&self) -> &ChunkSet {
        &self.held
    }

    /// First chunk that it lacks where it reads.
    pub fn position(&self) -> u32 {
        self.position
    }

    /// What it holds in `ahead` seconds from now. `usual` is the rate of others, which is
    /// taken for one that has not been seen to grow; nobody holds chunks from `end` on.
    pub fn forecast(&self, now: f64, ahead: f64, usual: f64, end: u32) -> Forecast<'_> {
        let silent = now - self.said_at;
        let is_growing = silent < REPORTS;
        let rate = if is_growing { self.rate.unwrap_or(usual) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "a float that is too large saturates")]
        let growth = (rate * (silent + ahead) * PROMISED) as u32;
        let until = self.position.saturating_add(growth).min(end);
        Forecast { held: &self.held, from: self.position, until }
    }

    /// How often it was recommended of late, fading.
    pub fn load(&self, now: f64) -> f64 {
        self.load * (-(now - self.load_at) / LOAD_MEMORY).exp()
    }

    /// It was recommended once more, or has declined and has as many as `times` said.
    pub fn add_load(&mut self, times: f64, now: f64) {
        self.load = self.load(now) + times;
        self.load_at = now;
    }
}

impl Forecast<'_> {
    /// Chunks of `start..end` that are expected to be held.
    pub fn count_within(&self, start: u32, end: u32) -> u32 {
        let held: u32 = self.held.runs_within(start..end).map(|run| run.end - run.start).sum();
        let predicted = self.from.clamp(start, end)..self.until.clamp(start, end);
        if predicted.is_empty() {
            return held;
        }
        let known = self.held.runs_within(predicted.clone()).map(|run| run.end - run.start);
        held + (predicted.end - predicted.start) - known.sum::<u32>()
    }

    /// All of it.
    pub fn to_set(self) -> ChunkSet {
        let mut set = self.held.clone();
        set.insert_run(self.from..self.until.max(self.from));
        set.first_runs(MAX_HELD_RUNS)
    }
}
