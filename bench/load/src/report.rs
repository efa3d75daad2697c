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
    /// 256 bytes; alone, and beside as many idle sockets as a large swarm has peers.
    pub small: [Throughput; 2],
    /// As long as a relayed signal; the same.
    pub signal: [Throughput; 2],
    /// Of 256 bytes; the same.
    pub latency: [Latency; 2],
    /// Of 1,500 bytes; the same.
    pub signal_latency: [Latency; 2],
    /// 256 bytes and as a signal, of an echo that gathers what it writes.
    pub gathering: [Throughput; 2],
    /// Memory of an open socket.
    pub idle_bytes: f64,
}

/// A round of the coordination server; pairs are of a small and of a large swarm.
#[derive(Serialize)]
pub struct Coord {
    /// Questions for peers, answered; in a swarm of a hundred, too.
    pub join: [Throughput; 3],
    /// Signals passed on.
    pub relay: [Throughput; 2],
    /// Of questions for peers.
    pub latency: [Latency; 2],
    /// Of signals.
    pub relay_latency: [Latency; 2],
    /// Left and entered again, and answered.
    pub entering: [Throughput; 2],
    /// What members say that they hold.
    pub have: [Throughput; 2],
    /// Of idle peers.
    pub memory: Memory,
}

impl Report {
    /// Tables in Markdown.
    pub fn tables(&self, plan: &Plan) -> String {
        let echo = |of: fn(&Echo) -> f64| median(self.echo.iter().map(of));
        let coord = |of: fn(&Coord) -> f64| median(self.coord.iter().map(of));
        let mut text = format!(
            "Medians of {}; {} sockets with {} requests each on their way; one core. Each row is\n\
             compared with the echo beside as many sockets. The time is the server's own on its\n\
             core for one message. Where it was busy for less, the load was too small, and only\n\
             the time counts.\n\n\
             | | per second | of echo | µs | of echo | server busy |\n|---|---|---|---|---|---|\n",
            plan.rounds, plan.sockets, plan.window
        );
        let mut row = |name: &str, of: &[Throughput], limit: &[Throughput]| {
            let all =
                |of: &[Throughput], value: fn(&Throughput) -> f64| median(of.iter().map(value));
            let (rate, cost) = (all(of, |it| it.per_second), all(of, Throughput::cost));
            let share = rate / all(limit, |it| it.per_second);
            let times = cost / all(limit, Throughput::cost);
            let busy = all(of, |it| it.busy) * 100.0;
            let _ = writeln!(
                text,
                "| {name} | {rate:.0} | {share:.2} | {cost:.1} | {times:.2} | {busy:.0} % |"
            );
        };
        let echoes = |of: fn(&Echo) -> Throughput| self.echo.iter().map(of).collect::<Vec<_>>();
        let coords = |of: fn(&Coord) -> Throughput| self.coord.iter().map(of).collect::<Vec<_>>();
        let small = [echoes(|it| it.small[0]), echoes(|it| it.small[1])];
        let signal = [echoes(|it| it.signal[0]), echoes(|it| it.signal[1])];
        let large = thousands(plan.peers);
        let crowded = |what: &str| format!("{what}, {large} sockets");
        row("echo, 256 B", &small[0], &small[0]);
        row(&crowded("echo, 256 B"), &small[1], &small[1]);
        row("echo, 1,500 B", &signal[0], &signal[0]);
        row(&crowded("echo, 1,500 B"), &signal[1], &signal[1]);
        row("echo that gathers, 256 B", &echoes(|it| it.gathering[0]), &small[0]);
        row("echo that gathers, 1,500 B", &echoes(|it| it.gathering[1]), &signal[0]);
        row("relay, 10 in the swarm", &coords(|it| it.relay[0]), &signal[0]);
        row(&format!("relay, {large}"), &coords(|it| it.relay[1]), &signal[1]);
        row("join, 10 in the swarm", &coords(|it| it.join[0]), &small[0]);
        row("join, 100", &coords(|it| it.join[1]), &small[0]);
        row(&format!("join, {large}"), &coords(|it| it.join[2]), &small[1]);
        row("leave and join, 10", &coords(|it| it.entering[0]), &small[0]);
        row(&format!("leave and join, {large}"), &coords(|it| it.entering[1]), &small[1]);
        row("have, 10 in the swarm", &coords(|it| it.have[0]), &small[0]);
        row(&format!("have, {large}"), &coords(|it| it.have[1]), &small[1]);

        let _ = writeln!(
            text,
            "\n| {} requests per second | p50 µs | p99 µs | p99 of echo's |\n|---|---|---|---|",
            plan.rate
        );
        let mut row = |name: &str, of: &[Latency], limit: &[Latency]| {
            let p99 = |of: &[Latency]| median(of.iter().map(|it| it.p99));
            let (p50, share) = (median(of.iter().map(|it| it.p50)), p99(of) / p99(limit));
            let _ = writeln!(text, "| {name} | {p50:.0} | {:.0} | {share:.2} |", p99(of));
        };
        let echoes = |of: fn(&Echo) -> Latency| self.echo.iter().map(of).collect::<Vec<_>>();
        let coords = |of: fn(&Coord) -> Latency| self.coord.iter().map(of).collect::<Vec<_>>();
        let small = [echoes(|it| it.latency[0]), echoes(|it| it.latency[1])];
        let signal = [echoes(|it| it.signal_latency[0]), echoes(|it| it.signal_latency[1])];
        row("echo, 256 B", &small[0], &small[0]);
        row(&crowded("echo, 256 B"), &small[1], &small[1]);
        row("echo, 1,500 B", &signal[0], &signal[0]);
        row(&crowded("echo, 1,500 B"), &signal[1], &signal[1]);
        row("relay, 10 in the swarm", &coords(|it| it.relay_latency[0]), &signal[0]);
        row(&format!("relay, {large}"), &coords(|it| it.relay_latency[1]), &signal[1]);
        row("join, 10 in the swarm", &coords(|it| it.latency[0]), &small[0]);
        row(&format!("join, {large}"), &coords(|it| it.latency[1]), &small[1]);

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
