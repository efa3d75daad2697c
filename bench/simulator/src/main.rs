//! `cargo xtask bench simulate`: crowds of visitors in virtual time. See the library.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use coord_server::registry::Recommendation;
use dcdn_protocol::PolicyName;
use dcdn_simulator::report::{self, Execution, Report};
use dcdn_simulator::scenario::{Name, Options};

/// Small pieces of every size by the million, from several threads, in large pages if
/// `_RJEM_MALLOC_CONF` says so: the C library's takes a quarter longer, and has large
/// pages for one thread only.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Simulates crowds of visitors in virtual time with the real scheduler.
///
/// The same seed gives the same result on any machine and any number of threads.
#[derive(Parser)]
#[command(name = "cargo xtask bench simulate", bin_name = "cargo xtask bench simulate")]
struct Cli {
    /// thesis, flash-crowd, steady-vod, image-heavy, live, churn, poison, slow-peers,
    /// together,
    /// origin-outage, scale, or all
    #[arg(long, default_value = "all")]
    scenario: String,
    /// Visitors; each scenario has a number of its own. With `scale`, the largest number
    #[arg(long)]
    viewers: Option<u32>,
    /// Seed of every draw
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A configuration (may be repeated), or `all`
    #[arg(long = "policy", default_value = "adaptive")]
    policies: Vec<String>,
    /// How much later than over plain HTTP readers may get their bytes, in ms
    #[arg(long, default_value_t = 3000)]
    slack_ms: u32,
    /// The same in percent of plain HTTP's time; both add up
    #[arg(long, default_value_t = 0)]
    slack_percent: u32,
    /// What the origin sends at the most, to all together; 0 is no limit
    #[arg(long)]
    origin_mbit: Option<u32>,
    /// Length of the video, the stream or the arrivals, in minutes
    #[arg(long)]
    minutes: Option<f64>,
    /// KiB of a chunk
    #[arg(long)]
    chunk_kib: Option<u32>,
    /// Percentage of pairs that cannot connect
    #[arg(long)]
    nat_percent: Option<f64>,
    /// How the coordination server chooses whom to name: random or predictive
    #[arg(long, default_value = Recommendation::default().as_str())]
    recommend: Recommendation,
    /// Threads; the result does not depend on it [default: as many as are worth while]
    #[arg(long)]
    threads: Option<usize>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Write plots into this folder
    #[arg(long)]
    svg: Option<PathBuf>,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// False if something happened that must not.
fn run(cli: &Cli) -> Result<bool> {
    let options = cli.options()?;
    let execution =
        Execution { threads: cli.threads, progress: !cli.quiet, plots: cli.svg.as_deref() };
    if let Some(folder) = &cli.svg {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let mut reports: Vec<Report> = Vec::new();
    for (name, options) in cli.runs(&options)? {
        if !cli.quiet {
            eprintln!("== {}", name.as_str());
        }
        let report = report::simulate(name, &options, execution)?;
        if !cli.json {
            println!("{}", report.table());
        }
        reports.push(report);
    }
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else if cli.scenario == Name::Scale.as_str() {
        println!("{}", report::growth(&reports));
    }
    if let Some(folder) = &cli.svg
        && cli.scenario == Name::Scale.as_str()
    {
        report::plot_growth(folder, &reports)?;
    }
    let mut clean = true;
    for report in &reports {
        for (configuration, violation) in report.violations() {
            clean = false;
            eprintln!("violation in {} ({configuration}): {violation}", report.scenario);
        }
    }
    Ok(clean)
}

impl Cli {
    fn options(&self) -> Result<Options> {
        Ok(Options {
            seed: self.seed,
            viewers: self.viewers,
            policies: self.policies()?,
            slack_ms: self.slack_ms,
            slack_percent: self.slack_percent,
            origin_mbit: self.origin_mbit,
            minutes: self.minutes,
            chunk_kib: self.chunk_kib,
            nat_percent: self.nat_percent,
            recommendation: self.recommend,
        })
    }

    fn policies(&self) -> Result<Vec<PolicyName>> {
        if self.policies.iter().any(|name| name == "all") {
            return Ok(PolicyName::ALL.to_vec());
        }
        self.policies.iter().map(|name| Ok(name.parse()?)).collect()
    }

    fn runs(&self, options: &Options) -> Result<Vec<(Name, Options)>> {
        if self.scenario == "all" {
            return Ok(Name::ALL.map(|name| (name, options.clone())).to_vec());
        }
        let name: Name = self.scenario.parse()?;
        if name != Name::Scale {
            return Ok(vec![(name, options.clone())]);
        }
        let most = self.viewers.unwrap_or(10_000);
        let steps = (2..10).map(|power| 10u32.pow(power)).take_while(|viewers| *viewers <= most);
        let of = |viewers| (name, Options { viewers: Some(viewers), ..options.clone() });
        Ok(steps.map(of).collect())
    }
}
