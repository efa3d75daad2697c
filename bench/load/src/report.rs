//! Medians, and tables of them.

use std::fmt::Write;

use serde::Serialize;

use crate::Plan;
use crate::latency::Latency;
use crate::memory::Memory;
use crate::throughput::Throughput;

/// All rounds.
#[derive(Default, Serialize)]
pub struct Report {
    /// Of the bare echo.
    pub echo: Vec<Echo>,
    /// Of the coordination server.
    pub coord: Vec<Coord>,
}

/// A round of the echo.
#[derive(Serialize)]
pub struct Echo {
    /// 256 bytes.
    pub small: Throughput,
    /// As long as a relayed signal.
    pub signal: Throughput,
    /// Of 256 bytes.
    pub latency: Latency,
    /// Memory of an open socket.
    pub idle_bytes: f64,
}

/// A round of the coordination server; pairs are of a small and of a large swarm.
#[derive(Serialize)]
pub struct Coord {
    /// Questions for peers, answered.
    pub join: [Throughput; 2],
    /// Signals passed on.
    pub relay: [Throughput; 2],
    /// Of questions for peers.
    pub latency: [Latency; 2],
    /// Left and entered again, and answered.
    pub entering: Throughput,
    /// Of idle peers.
    pub memory: Memory,
}

impl Report {
    /// Tables in Markdown.
    pub fn tables(&self, plan: &Plan) -> String {
        let echo = |of: fn(&Echo) -> f64| median(self.echo.iter().map(of));
        let coord = |of: fn(&Coord) -> f64| median(self.coord.iter().map(of));
        let small = echo(|it| it.small.per_second);
        let signal = echo(|it| it.signal.per_second);
        let mut text = format!(
            "Medians of {}; {} sockets with {} requests each on their way; one core.\n\n\
             | | per second | of echo | server busy |\n|---|---|---|---|\n",
            plan.rounds, plan.sockets, plan.window
        );
        let mut row = |name: &str, rate: f64, limit: f64, busy: f64| {
            let share = rate / limit;
            let _ = writeln!(text, "| {name} | {rate:.0} | {share:.2} | {:.0} % |", busy * 100.0);
        };
        row("echo, 256 B", small, small, echo(|it| it.small.busy));
        row("echo, 1,500 B", signal, signal, echo(|it| it.signal.busy));
        row(
            "relay, 10 in the swarm",
            coord(|it| it.relay[0].per_second),
            signal,
            coord(|it| it.relay[0].busy),
        );
        let large = thousands(plan.peers);
        row(
            &format!("relay, {large}"),
            coord(|it| it.relay[1].per_second),
            signal,
            coord(|it| it.relay[1].busy),
        );
        row(
            "join, 10 in the swarm",
            coord(|it| it.join[0].per_second),
            small,
            coord(|it| it.join[0].busy),
        );
        row(
            &format!("join, {large}"),
            coord(|it| it.join[1].per_second),
            small,
            coord(|it| it.join[1].busy),
        );
        row(
            "leave and join, 10",
            coord(|it| it.entering.per_second),
            small,
            coord(|it| it.entering.busy),
        );

        let _ = writeln!(
            text,
            "\n| {} requests per second | p50 µs | p99 µs | p99 of echo's |\n|---|---|---|---|",
            plan.rate
        );
        let limit = echo(|it| it.latency.p99);
        let mut row = |name: &str, p50: f64, p99: f64| {
            let _ = writeln!(text, "| {name} | {p50:.0} | {p99:.0} | {:.2} |", p99 / limit);
        };
        row("echo, 256 B", echo(|it| it.latency.p50), limit);
        row("join, 10 in the swarm", coord(|it| it.latency[0].p50), coord(|it| it.latency[0].p99));
        row(
            &format!("join, {large}"),
            coord(|it| it.latency[1].p50),
            coord(|it| it.latency[1].p99),
        );

        let _ = writeln!(text, "\n| memory of the server | KiB |\n|---|---|");
        let mut row = |name: &str, bytes: f64| {
            let _ = writeln!(text, "| {name} | {:.2} |", bytes / 1024.0);
        };
        row("socket of the echo", echo(|it| it.idle_bytes));
        row("idle peer in one swarm", coord(|it| it.memory.peer));
        row("further membership, 1,000 swarms", coord(|it| it.memory.membership));
        row("further swarm with nobody else", coord(|it| it.memory.lone_swarm));
        text
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn thousands(count: usize) -> String {
    if count < 1000 { count.to_string() } else { format!("{},{:03}", count / 1000, count % 1000) }
}
