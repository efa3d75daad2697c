//! `cargo xtask bench`: measurements in real browsers, simulated crowds, load on the server,
//! and the cost of a decision.

use anyhow::Result;
use xshell::cmd;

use crate::workspace::Workspace;
use crate::{build, tools};

/// What can be measured.
#[derive(clap::Subcommand)]
pub enum Measurement {
    /// The thesis's evaluation and more: an image, 50 MB, a film, a crowd, near and far
    Trials {
        /// Options of the measurement; `-- --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// What the worker costs a visitor who is alone: first byte, throughput, processor time
    Overhead {
        /// Options of the measurement; `-- --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Crowds of visitors in virtual time around the real scheduler
    // Its options are the simulator's own, `--help` among them.
    #[command(disable_help_flag = true)]
    Simulate {
        /// Options of the simulator; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Load on the coordination server's sockets, beside a bare WebSocket echo
    #[command(disable_help_flag = true)]
    Coord {
        /// Options of the load; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// What a decision of the scheduler costs, from 10 chunks to 100,000
    Decisions {
        /// Options of criterion; `-- --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

/// Builds what it takes and measures; the result, and nothing else, goes to standard output.
pub fn run(workspace: &Workspace, measurement: &Measurement) -> Result<()> {
    match measurement {
        Measurement::Trials { options } => in_browsers(workspace, "trials", options),
        Measurement::Overhead { options } => in_browsers(workspace, "overhead", options),
        Measurement::Simulate { options } => simulate(workspace, options),
        Measurement::Coord { options } => coord(workspace, options),
        Measurement::Decisions { options } => decisions(workspace, options),
    }
}

fn decisions(workspace: &Workspace, options: &[String]) -> Result<()> {
    let sh = &workspace.shell;
    let bench = cmd!(sh, "cargo bench --package dcdn-swarm --bench decisions -- {options...}");
    Ok(bench.run()?)
}

/// Asks the simulator's allocator for large pages: a crowd's memory is walked through at random.
const LARGE_PAGES: (&str, &str) = ("_RJEM_MALLOC_CONF", "thp:always,metadata_thp:auto");

/// Hundreds of millions of events: without optimisation that takes an hour.
fn simulate(workspace: &Workspace, options: &[String]) -> Result<()> {
    let sh = &workspace.shell;
    let simulate =
        cmd!(sh, "cargo run --quiet --profile simulation --package dcdn-simulator -- {options...}");
    let (name, value) = LARGE_PAGES;
    Ok(simulate.env(name, value).run()?)
}

/// The sockets need nothing of what browsers get, so that is not built.
fn coord(workspace: &Workspace, options: &[String]) -> Result<()> {
    let sh = &workspace.shell;
    cmd!(sh, "cargo build --quiet --release --package coord-server").run()?;
    let load = cmd!(sh, "cargo run --quiet --release --package dcdn-load -- {options...}");
    Ok(load.env("DCDN_SERVER", workspace.server()).run()?)
}

fn in_browsers(workspace: &Workspace, what: &str, options: &[String]) -> Result<()> {
    let server = build::run(workspace, build::Options::default())?;
    let browser = tools::ensure_browser(workspace)?;
    let driver = tools::ensure_driver(workspace)?;
    let sh = &workspace.shell;
    // What is measured is the browsers' and the server's work, not that of this program.
    let bench = cmd!(sh, "cargo run --quiet --package dcdn-bench -- {what} {options...}");
    let bench = bench
        .env("DCDN_SERVER", server)
        .env("CHROMIUM", browser.program)
        .env("CHROMEDRIVER", driver)
        .env("RUST_LOG", "warn");
    Ok(bench.run()?)
}
