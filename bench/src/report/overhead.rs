//! What the worker costs, as Markdown tables.

use std::fmt::Write as _;

use crate::overhead::{Results, Transfer};
use crate::spread::Spread;

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
        let spread = beside(Spread::of(values.iter().copied()), plain.median, 1);
        let _ = writeln!(text, "| {name} | {spread} |");
    }
    let plain = Spread::of(results.seek_ms.plain.iter().copied());
    text.push_str("\n| first byte from inside 2 GB, over 20 Mbit/s | |\n|---|---|\n");
    for (name, values) in
        [("no worker", &results.seek_ms.plain), ("worker running", &results.seek_ms.running)]
    {
        let spread = beside(Spread::of(values.iter().copied()), plain.median, 1);
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
            beside(rates, plain_rate, 0),
            beside(cpus, plain_cpu, 1)
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

/// With the ratio of its median to `base`.
fn beside(spread: Spread, base: f64, digits: usize) -> String {
    format!("{} [{:.2}]", spread.digits(digits), spread.median / base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_trials_there_is_a_table_all_the_same() {
        assert!(overhead(&Results::default()).contains("NaN"));
    }
}
