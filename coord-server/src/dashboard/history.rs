//! The last hour, in steps.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::metrics::Metrics;

/// Time that one entry is about.
pub const STEP: Duration = Duration::from_secs(10);

/// Entries that are kept: an hour.
const KEPT: usize = 360;

/// What happened in each step, the oldest first.
#[derive(Debug, Default)]
pub struct History {
    steps: VecDeque<Step>,
    before: Sums,
}

/// One step: visitors at its end, and bytes in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Pages that were connected.
    pub peers: i64,
    /// Sent by this server.
    pub sent: u64,
    /// That pages say they had from the site's server.
    pub origin: u64,
    /// From other visitors.
    pub shared: u64,
    /// From their own store.
    pub store: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    sent: u64,
    origin: u64,
    shared: u64,
    store: u64,
}

impl Sums {
    fn of(metrics: &Metrics) -> Self {
        let said = metrics.reported.totals();
        Self {
            sent: metrics.origin_bytes.get(),
            origin: said.bytes_http,
            shared: said.bytes_p2p,
            store: said.bytes_cache,
        }
    }
}

impl History {
    /// A step is over.
    pub fn note(&mut self, metrics: &Metrics) {
        let step = self.since_the_last(metrics);
        self.before = Sums::of(metrics);
        if self.steps.len() == KEPT {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
    }

    /// All steps, the one that is not over yet at the end.
    pub fn steps(&self, metrics: &Metrics) -> Vec<Step> {
        let last = self.since_the_last(metrics);
        self.steps.iter().copied().chain([last]).collect()
    }

    fn since_the_last(&self, metrics: &Metrics) -> Step {
        let (now, before) = (Sums::of(metrics), self.before);
        Step {
            peers: metrics.peers.get(),
            sent: now.sent.saturating_sub(before.sent),
            origin: now.origin.saturating_sub(before.origin),
            shared: now.shared.saturating_sub(before.shared),
            store: now.store.saturating_sub(before.store),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use dcdn_protocol::stats::Totals;

    use super::*;

    #[test]
    fn each_step_has_what_came_in_it_and_an_hour_is_kept() {
        let metrics = Metrics::new();
        let mut history = History::default();
        metrics.origin_bytes.inc_by(100);
        history.note(&metrics);
        metrics.reported.add(&Totals { bytes_http: 30, bytes_p2p: 70, ..Totals::default() });
        metrics.peers.set(4);

        let steps = history.steps(&metrics);

        let first = Step { peers: 0, sent: 100, origin: 0, shared: 0, store: 0 };
        let second = Step { peers: 4, sent: 0, origin: 30, shared: 70, store: 0 };
        assert_eq!(steps, [first, second]);
        for _ in 0..2 * KEPT {
            history.note(&metrics);
        }
        assert_eq!(history.steps(&metrics).len(), KEPT + 1);
    }
}
