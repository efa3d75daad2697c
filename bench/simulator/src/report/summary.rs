//! Numbers of one configuration.

use serde::Serialize;

use crate::network::LineClass;
use crate::num::{percent, ratio};
use crate::outcome::Outcome;
use crate::run::Result;

/// Violations that are written out; there is little to learn from more.
const MAX_VIOLATIONS: usize = 20;

/// What one configuration did in a scenario. Times are in milliseconds from a
/// viewer's arrival.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its name.
    pub configuration: &'static str,
    /// Bytes that the origin sent.
    pub origin_bytes: u64,
    /// The same as a multiple of all contents.
    pub origin_copies: f64,
    /// The same in percent of what it sends over plain HTTP.
    pub origin_percent_of_http: f64,
    /// Requests to the origin.
    pub origin_requests: u64,
    /// Bytes that viewers were given from peers, in percent of all they were given.
    pub offload_percent: f64,
    /// Bytes that viewers were given.
    pub delivered_bytes: u64,
    /// Of these from the origin.
    pub from_origin_bytes: u64,
    /// Of these from peers.
    pub from_peers_bytes: u64,
    /// Of these from the browser's own store.
    pub from_store_bytes: u64,
    /// Time to the first byte.
    pub first_byte: Spread,
    /// Time to the last byte of those who saw all.
    pub last_byte: Spread,
    /// Against the same viewers over plain HTTP.
    pub lateness: Lateness,
    /// Time until playback began.
    pub start_up: Spread,
    /// Bytes sent that nobody used, in percent of all that were sent.
    pub wasted_percent: f64,
    /// Chunks with the wrong hash.
    pub wrong_hashes: u64,
    /// How even the uploads are.
    pub upload: Fairness,
    /// What happens to a viewer, on average.
    pub per_viewer: PerViewer,
    /// Calls of the scheduler for each chunk that became whole.
    pub handles_per_chunk: f64,
    /// Commands of the scheduler for each chunk that became whole.
    pub commands_per_chunk: f64,
    /// Viewers who saw all that they came for.
    pub finished: u64,
    /// Readers that ended in an error.
    pub failures: u64,
    /// The viewers by the kind of line that they have.
    pub lines: Vec<OfLine>,
    /// What must not happen and did.
    pub violations: Vec<String>,
}

/// Quantiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many values there are.
    pub count: u64,
    /// The median.
    pub p50: u32,
    /// 95 of 100 are no larger.
    pub p95: u32,
    /// 99 of 100 are no larger.
    pub p99: u32,
    /// The largest.
    pub max: u32,
}

/// A viewer against itself over plain HTTP, in milliseconds; less than 0 is earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Lateness {
    /// Of the first byte, at the median.
    pub first_byte_p50: i64,
    /// Of the first byte, at the most.
    pub first_byte_max: i64,
    /// Of the last byte, at the median.
    pub last_byte_p50: i64,
    /// Of the last byte, at the most.
    pub last_byte_max: i64,
    /// The median of the ratios of the times to the last byte.
    pub last_byte_ratio_p50: f64,
    /// The largest of these ratios.
    pub last_byte_ratio_max: f64,
    /// Viewers who saw all over plain HTTP and not here.
    pub missed: u64,
}

/// How even the uploads are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Fairness {
    /// Jain's index (1984) of the parts of their uplinks that viewers gave: 1 if all
    /// gave the same part, 1/n if one gave all.
    pub jain: f64,
    /// What the most generous viewer sent, in percent of all uploads.
    pub largest_percent: f64,
}

/// Averages over viewers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PerViewer {
    /// Stalls of playback.
    pub stalls: f64,
    /// Milliseconds that playback stood still.
    pub stalled_ms: f64,
    /// Percentage of viewers whose playback stood still at all.
    pub stalled_percent: f64,
    /// Messages to the coordination server.
    pub server_in: f64,
    /// Messages from it.
    pub server_out: f64,
    /// Calls of the scheduler.
    pub handles: f64,
    /// Commands of the scheduler.
    pub commands: f64,
    /// Connections that opened, counted at both ends.
    pub links: f64,
    /// `have`s sent.
    pub haves: f64,
    /// Chunks that became whole.
    pub chunks: f64,
}

/// Viewers with one kind of line.
#[derive(Clone, Debug, Serialize)]
pub struct OfLine {
    /// What it is, down and up in Mbit/s.
    pub line: String,
    /// How many have it.
    pub viewers: u64,
    /// Bytes that they were given from peers, in percent of all they were given.
    pub offload_percent: f64,
    /// Bytes that they uploaded for each byte they were given.
    pub upload_ratio: f64,
    /// Percentage of them whose playback stood still at all.
    pub stalled_percent: f64,
    /// Milliseconds that playback stood still, on average.
    pub stalled_ms: f64,
}

impl OfLine {
    fn new(line: LineClass, viewers: &[&&Outcome]) -> Self {
        let sum = |of: fn(&Outcome) -> u64| viewers.iter().map(|it| of(it)).sum::<u64>();
        let count = viewers.len() as u64;
        let mbit = |kbit: u32| f64::from(kbit) / 1000.0;
        Self {
            line: format!("{} / {}", mbit(line.down_kbit), mbit(line.up_kbit)),
            viewers: count,
            offload_percent: round(percent(sum(|it| it.from_peers), sum(|it| it.delivered))),
            upload_ratio: round(ratio(sum(|it| it.uploaded), sum(|it| it.delivered))),
            stalled_percent: round(percent(sum(|it| (it.stalls > 0).into()), count)),
            stalled_ms: round(ratio(sum(|it| it.stalled_ms.into()), count)),
        }
    }
}

impl Summary {
    pub(super) fn new(
        configuration: &'static str,
        result: &Result,
        plain: &Result,
        content_bytes: u64,
        lines: &[LineClass],
    ) -> Self {
        let totals = &result.totals;
        let viewers: Vec<&Outcome> = result.outcomes.iter().filter(|it| !it.seed).collect();
        let sum = |of: fn(&Outcome) -> u64| viewers.iter().map(|it| of(it)).sum::<u64>();
        let spread = |of: fn(&Outcome) -> Option<u32>| {
            Spread::new(viewers.iter().filter_map(|it| of(it)).collect())
        };
        let chunks = sum(|it| it.chunks.into());
        let (handles, commands) = (sum(|it| it.handles.into()), sum(|it| it.commands.into()));
        let of_class = |(class, line): (usize, &LineClass)| {
            let have: Vec<_> = viewers.iter().filter(|it| it.line_class == class).collect();
            OfLine::new(*line, &have)
        };
        let mut violations = totals.violations.clone();
        violations.truncate(MAX_VIOLATIONS);
        Self {
            configuration,
            origin_bytes: totals.origin_bytes,
            origin_copies: round(ratio(totals.origin_bytes, content_bytes)),
            origin_percent_of_http: round(percent(totals.origin_bytes, plain.totals.origin_bytes)),
            origin_requests: totals.origin_requests,
            offload_percent: round(percent(sum(|it| it.from_peers), sum(|it| it.delivered))),
            delivered_bytes: sum(|it| it.delivered),
            from_origin_bytes: sum(|it| it.from_origin),
            from_peers_bytes: sum(|it| it.from_peers),
            from_store_bytes: sum(|it| it.from_store),
            first_byte: spread(|it| it.first_byte),
            last_byte: spread(|it| it.last_byte),
            lateness: Lateness::new(result, plain),
            start_up: spread(|it| it.start_up),
            wasted_percent: round(totals.wasted_percent()),
            wrong_hashes: totals.wrong_hashes,
            upload: Fairness::new(&result.outcomes),
            per_viewer: PerViewer::new(&viewers, result),
            handles_per_chunk: round(ratio(handles, chunks)),
            commands_per_chunk: round(ratio(commands, chunks)),
            finished: sum(|it| it.last_byte.is_some().into()),
            failures: sum(|it| it.failures.into()),
            lines: lines.iter().enumerate().map(of_class).collect(),
            violations,
        }
    }
}

impl PerViewer {
    fn new(viewers: &[&Outcome], result: &Result) -> Self {
        let totals = &result.totals;
        let count = viewers.len() as u64;
        let mean = |of: fn(&Outcome) -> u64| {
            round(ratio(viewers.iter().map(|it| of(it)).sum::<u64>(), count))
        };
        let stalled = viewers.iter().filter(|it| it.stalls > 0).count() as u64;
        Self {
            stalls: mean(|it| it.stalls.into()),
            stalled_ms: mean(|it| it.stalled_ms.into()),
            stalled_percent: round(percent(stalled, count)),
            server_in: round(ratio(totals.server_in, count)),
            server_out: round(ratio(totals.server_out, count)),
            handles: mean(|it| it.handles.into()),
            commands: mean(|it| it.commands.into()),
            links: mean(|it| it.links.into()),
            haves: round(ratio(totals.haves, count)),
            chunks: mean(|it| it.chunks.into()),
        }
    }
}

impl Spread {
    /// Of some values.
    pub fn new(mut values: Vec<u32>) -> Self {
        values.sort_unstable();
        let Some(max) = values.last().copied() else { return Self::default() };
        // The smallest value that is no less than so many of a hundred.
        let at = |part: usize| values[(values.len() * part).div_ceil(100).max(1) - 1];
        Self { count: values.len() as u64, p50: at(50), p95: at(95), p99: at(99), max }
    }
}

impl Lateness {
    fn new(result: &Result, plain: &Result) -> Self {
        let pairs = || result.outcomes.iter().zip(&plain.outcomes);
        let differences = |of: fn(&Outcome) -> Option<u32>| {
            let both = pairs().filter_map(|(ours, theirs)| Some((of(ours)?, of(theirs)?)));
            let mut late: Vec<i64> =
                both.map(|(ours, theirs)| i64::from(ours) - i64::from(theirs)).collect();
            late.sort_unstable();
            let middle = late.get(late.len().saturating_sub(1) / 2).copied();
            (middle.unwrap_or(0), late.last().copied().unwrap_or(0))
        };
        let (first_byte_p50, first_byte_max) = differences(|it| it.first_byte);
        let (last_byte_p50, last_byte_max) = differences(|it| it.last_byte);
        let both = pairs().filter_map(|(ours, theirs)| Some((ours.last_byte?, theirs.last_byte?)));
        let mut ratios: Vec<f64> =
            both.map(|(ours, theirs)| ratio(ours.into(), theirs.into())).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let middle = ratios.get(ratios.len().saturating_sub(1) / 2).copied();
        let missed = pairs()
            .filter(|(ours, theirs)| ours.last_byte.is_none() && theirs.last_byte.is_some())
            .count() as u64;
        Self {
            first_byte_p50,
            first_byte_max,
            last_byte_p50,
            last_byte_max,
            last_byte_ratio_p50: round(middle.unwrap_or(0.0)),
            last_byte_ratio_max: round(ratios.last().copied().unwrap_or(0.0)),
            missed,
        }
    }
}

impl Fairness {
    fn new(outcomes: &[Outcome]) -> Self {
        let uploaded: u64 = outcomes.iter().map(|it| it.uploaded).sum();
        if uploaded == 0 {
            return Self::default();
        }
        let parts = || outcomes.iter().map(|it| ratio(it.uploaded, it.could_upload));
        let (sum, squares) =
            parts().fold((0.0, 0.0), |(sum, squares), part| (sum + part, squares + part * part));
        let largest = outcomes.iter().map(|it| it.uploaded).max().unwrap_or(0);
        Self {
            jain: round(sum * sum / (outcomes.len() as f64 * squares)),
            largest_percent: round(percent(largest, uploaded)),
        }
    }
}

/// Four digits behind the point.
fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occur() {
        let spread = Spread::new((1..=200).rev().collect());
        let expected = Spread { count: 200, p50: 100, p95: 190, p99: 198, max: 200 };
        assert_eq!(spread, expected);
        assert_eq!(Spread::new(vec![7]).p99, 7);
        assert_eq!(Spread::new(vec![]), Spread::default());
    }

    #[test]
    fn uploads_in_proportion_to_uplinks_are_fair() {
        let outcome =
            |uploaded, could_upload| Outcome { uploaded, could_upload, ..Outcome::default() };
        let fair = Fairness::new(&[outcome(10, 100), outcome(100, 1000)]);
        assert_eq!((fair.jain, fair.largest_percent), (1.0, 90.9091));
        let unfair = Fairness::new(&[outcome(10, 100), outcome(0, 1000)]);
        assert_eq!(unfair.jain, 0.5);
    }
}
