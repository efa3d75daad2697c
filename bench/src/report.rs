//! The results as Markdown tables.

use std::fmt::Write as _;

use crate::overhead::{Results, Transfer};
use crate::trial::{CONFIGURATIONS, Plan, Trial};

/// Medians with minimum and maximum, and ratios to plain HTTP.
pub fn trials(plan: &Plan, trials: &[Trial]) -> String {
    let mut text = format!(
        "{} trials of each configuration in turns, {} warm-ups, {} seeding visitors, \
         image of {} bytes.\nTimes from navigationStart in ms: median (min to max); \
         in brackets the ratio of medians to plain HTTP.\n\n\
         | configuration | first byte | last byte | over P2P | effective bandwidth |\n\
         |---|---|---|---|---|\n",
        plan.trials,
        plan.warm_ups,
        plan.peers,
        trials.first().map_or(0, |trial| trial.length),
    );
    let of = |configuration: &str, value: fn(&Trial) -> f64| {
        Spread::of(trials.iter().filter(|it| it.configuration == configuration).map(value))
    };
    let (plain_first, plain_last) =
        (of(CONFIGURATIONS[0], first_byte).median, of(CONFIGURATIONS[0], last_byte).median);
    for configuration in CONFIGURATIONS {
        let name = match configuration {
            "http" => "`http` (worker with nothing to do)".to_owned(),
            "plain HTTP" => "plain HTTP (no worker)".to_owned(),
            policy => format!("`{policy}`"),
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {:.0} % | {:.1} MB/s |",
            of(configuration, first_byte).with_ratio(plain_first),
            of(configuration, last_byte).with_ratio(plain_last),
            of(configuration, share).median,
            of(configuration, bandwidth).median,
        );
    }
    text
}

/// Medians with minimum and maximum, and ratios to the browser without a worker.
#[allow(clippy::cast_precision_loss)]
pub fn overhead(results: &Results) -> String {
    let first = &results.first_byte_ms;
    let mut text =
        "First byte in ms, throughput in MB/s, processor time in s: median (min to max); \
         in brackets the ratio of medians to no worker.\n\n\
         | first byte | |\n|---|---|\n"
            .to_owned();
    let plain = Spread::of(first.plain.iter().copied());
    for (name, values) in [
        ("no worker", &first.plain),
        ("worker running, from the origin", &first.running),
        ("worker running, from the store", &first.stored),
        ("worker stopped before, from the origin", &first.stopped),
    ] {
        let spread = Spread::of(values.iter().copied()).precise(plain.median);
        let _ = writeln!(text, "| {name} | {spread} |");
    }
    let plain = Spread::of(results.seek_ms.plain.iter().copied());
    text.push_str("\n| first byte from inside 2 GB, over 20 Mbit/s | |\n|---|---|\n");
    for (name, values) in
        [("no worker", &results.seek_ms.plain), ("worker running", &results.seek_ms.running)]
    {
        let spread = Spread::of(values.iter().copied()).precise(plain.median);
        let _ = writeln!(text, "| {name} | {spread} |");
    }
    text.push_str("\n| large file | throughput | processor time |\n|---|---|---|\n");
    let transfers = &results.transfer;
    let of = |values: &[Transfer], what: fn(&Transfer) -> f64| Spread::of(values.iter().map(what));
    let rate = |it: &Transfer| it.rate;
    let cpu = |it: &Transfer| it.cpu;
    let (plain_rate, plain_cpu) =
        (of(&transfers.plain, rate).median, of(&transfers.plain, cpu).median);
    for (name, values) in [
        ("no worker", &transfers.plain),
        ("worker, from the origin", &transfers.origin),
        ("worker, from the store", &transfers.store),
    ] {
        let (rates, cpus) = (of(values, rate), of(values, cpu));
        let _ = writeln!(
            text,
            "| {name} | {} | {} |",
            rates.with_ratio(plain_rate),
            cpus.precise(plain_cpu)
        );
    }
    let [without, with] = results.peak_memory.map(|bytes| bytes as f64 / 1e6);
    let _ = writeln!(
        text,
        "\nMemory of all processes of a browser at their peaks: {without:.0} MB without a worker, \
         {with:.0} MB with it."
    );
    text
}

fn first_byte(trial: &Trial) -> f64 {
    trial.first_byte_ms
}

fn last_byte(trial: &Trial) -> f64 {
    trial.last_byte_ms
}

/// Percent of the image that came from peers.
#[allow(clippy::cast_precision_loss)]
fn share(trial: &Trial) -> f64 {
    100.0 * trial.bytes_p2p as f64 / trial.length as f64
}

/// Megabytes per second from the request to the last byte.
#[allow(clippy::cast_precision_loss)]
fn bandwidth(trial: &Trial) -> f64 {
    trial.length as f64 / (trial.last_byte_ms - trial.requested_ms) / 1000.0
}

struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(at(middle.wrapping_sub(1)), at(middle)),
            _ => at(middle),
        };
        Self { min: at(0), median, max: at(values.len().wrapping_sub(1)) }
    }

    /// As [`Spread::with_ratio`], for small numbers.
    fn precise(&self, to: f64) -> String {
        let Self { min, median, max } = self;
        format!("{median:.1} ({min:.1} to {max:.1}) [{:.2}]", median / to)
    }

    fn with_ratio(&self, to: f64) -> String {
        let Self { min, median, max } = self;
        format!("{median:.0} ({min:.0} to {max:.0}) [{:.2}]", median / to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0].into_iter());
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.5, 4.0));
    }

    #[test]
    fn without_trials_there_is_a_table_all_the_same() {
        let plan = Plan { trials: 0, warm_ups: 0, peers: 0 };
        assert!(trials(&plan, &[]).contains("NaN"));
        assert!(overhead(&Results::default()).contains("NaN"));
    }
}
