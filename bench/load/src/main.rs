//! `cargo xtask bench coord`: how much the coordination server's sockets carry.
//!
//! The server and, in turns, a bare axum echo have one core, this program has another. The echo
//! reads with buffers of the same size and writes each message by itself; the server gathers
//! what it writes, so an echo that does the same has rows of its own. Both are asked the same way, so what counts is the ratio of
//! the two: it says what our work costs beside what any WebSocket server of this stack pays.
//! Clients here are frames on plain TCP streams (see [`socket`]), cheap enough that the
//! server is the bottleneck; that it was is checked by the share of its core that it used.

mod cast;
mod echo;
mod latency;
mod memory;
mod report;
mod socket;
mod subject;
mod throughput;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::report::Report;
use crate::subject::{Subject, pin};

/// Core of what is measured.
const THEIRS: usize = 0;

/// Core of this program.
const OURS: usize = 1;

/// Loads the coordination server's sockets, beside a bare WebSocket echo in the same run.
#[derive(Parser)]
#[command(name = "cargo xtask bench coord", bin_name = "cargo xtask bench coord")]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    plan: Plan,
}

#[derive(Subcommand)]
enum Role {
    /// The echo itself; prints its URL
    #[command(hide = true)]
    Echo,
}

/// How much is measured.
#[derive(clap::Args, Clone, Copy)]
pub struct Plan {
    /// Times that each figure is taken; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds that each takes
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Sockets that are busy
    #[arg(long, default_value_t = 512)]
    sockets: usize,
    /// Requests that each busy socket has on their way
    #[arg(long, default_value_t = 8)]
    window: usize,
    /// Peers of the large swarm, and idle peers whose memory is measured
    #[arg(long, default_value_t = 10_000)]
    peers: usize,
    /// Requests per second while latency is measured
    #[arg(long, default_value_t = 5000)]
    rate: u32,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

impl Plan {
    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match cli.role {
        Some(Role::Echo) => runtime.block_on(echo::serve()),
        None => runtime.block_on(measure(&cli.plan)),
    }
}

async fn measure(plan: &Plan) -> Result<()> {
    let server = PathBuf::from(
        std::env::var_os("DCDN_SERVER")
            .context("DCDN_SERVER must name the server's binary, as cargo xtask bench sets it")?,
    );
    pin(OURS)?;
    let mut report = Report::default();
    for round in 1..=plan.rounds.max(1) {
        eprintln!("round {round} of {}", plan.rounds.max(1));
        report.echo.push(echo_round(plan).await?);
        report.coord.push(coord_round(plan, &server).await?);
    }
    if plan.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.tables(plan));
    }
    Ok(())
}

async fn echo_round(plan: &Plan) -> Result<report::Echo> {
    let mut echo = Subject::echo()?;
    let small = throughput::echo(plan, &echo, 256).await?;
    let signal = throughput::echo(plan, &echo, cast::SIGNAL_BYTES).await?;
    let latency = latency::echo(plan, &echo, 256).await?;
    let signal_latency = latency::echo(plan, &echo, cast::SIGNAL_BYTES).await?;
    // What idle sockets alone cost: the kernel's tables and the cores' caches know them too.
    let idle = cast::idle(&echo, plan.peers.saturating_sub(plan.sockets)).await?;
    let small_crowded = throughput::echo(plan, &echo, 256).await?;
    let signal_crowded = throughput::echo(plan, &echo, cast::SIGNAL_BYTES).await?;
    let latency_crowded = latency::echo(plan, &echo, 256).await?;
    let signal_latency_crowded = latency::echo(plan, &echo, cast::SIGNAL_BYTES).await?;
    drop(idle);
    echo.path = echo::GATHERING;
    let gathering = [
        throughput::echo(plan, &echo, 256).await?,
        throughput::echo(plan, &echo, cast::SIGNAL_BYTES).await?,
    ];
    drop(echo);
    Ok(report::Echo {
        small: [small, small_crowded],
        signal: [signal, signal_crowded],
        latency: [latency, latency_crowded],
        signal_latency: [signal_latency, signal_latency_crowded],
        gathering,
        idle_bytes: memory::echo(plan).await?,
    })
}

async fn coord_round(plan: &Plan, server: &std::path::Path) -> Result<report::Coord> {
    let small = Subject::coord(server)?;
    let join_small = throughput::joins(plan, &small, throughput::Swarm::Small).await?;
    let relay_small = throughput::relay(plan, &small, throughput::Swarm::Small).await?;
    let latency_small = latency::joins(plan, &small, throughput::Swarm::Small).await?;
    let relay_latency_small = latency::relay(plan, &small, throughput::Swarm::Small).await?;
    let entering_small = throughput::entering(plan, &small, throughput::Swarm::Small).await?;
    let have_small = throughput::haves(plan, &small, throughput::Swarm::Small).await?;
    let join_middle = throughput::joins(plan, &small, throughput::Swarm::Middle).await?;
    drop(small);
    let large = Subject::coord(server)?;
    let crowd = cast::crowd(&large, plan.peers.saturating_sub(plan.sockets)).await?;
    let join_large = throughput::joins(plan, &large, throughput::Swarm::Large).await?;
    let relay_large = throughput::relay(plan, &large, throughput::Swarm::Large).await?;
    let latency_large = latency::joins(plan, &large, throughput::Swarm::Large).await?;
    let relay_latency_large = latency::relay(plan, &large, throughput::Swarm::Large).await?;
    let entering_large = throughput::entering(plan, &large, throughput::Swarm::Large).await?;
    let have_large = throughput::haves(plan, &large, throughput::Swarm::Large).await?;
    drop((crowd, large));
    Ok(report::Coord {
        join: [join_small, join_middle, join_large],
        relay: [relay_small, relay_large],
        latency: [latency_small, latency_large],
        relay_latency: [relay_latency_small, relay_latency_large],
        entering: [entering_small, entering_large],
        have: [have_small, have_large],
        memory: memory::coord(plan, server).await?,
    })
}
