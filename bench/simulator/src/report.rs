//! What was found, for people and for programs.

mod plot;
mod summary;
mod table;

use std::path::Path;

use anyhow::Result;
use dcdn_protocol::PolicyName;
use serde::Serialize;

use crate::event::ContentNo;
use crate::run::{self, Engine, Mode};
use crate::scenario::{self, Name, Options};
use crate::world::{Plan, World};

pub use summary::{Fairness, Lateness, OfLine, PerViewer, Spread, Summary};

/// Name of the control.
pub const PLAIN: &str = "plain HTTP";

/// Name of the control with an origin that knows no limit.
pub const UNLIMITED: &str = "plain HTTP, unlimited origin";

/// What one scenario showed. Neither the machine nor its speed leaves a trace in
/// it: the same seed gives the same bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scenario.
    pub scenario: &'static str,
    /// Of every draw.
    pub seed: u64,
    /// Visitors, seeds apart.
    pub viewers: u32,
    /// Bytes of all contents that somebody wanted.
    pub content_bytes: u64,
    /// What the origin can send, in Mbit/s; `None` is no limit.
    pub origin_mbit: Option<u32>,
    /// What readers may be late, in milliseconds.
    pub slack_ms: u32,
    /// The same in percent of plain HTTP's time.
    pub slack_percent: u32,
    /// The controls first, then each configuration.
    pub configurations: Vec<Summary>,
}

/// How a scenario is run.
#[derive(Clone, Copy, Debug)]
pub struct Execution<'a> {
    /// Threads; `None` is as many as are worth while. The result does not depend on it.
    pub threads: Option<usize>,
    /// Whether to tell of progress on standard error.
    pub progress: bool,
    /// Where to put plots.
    pub plots: Option<&'a Path>,
}

/// One configuration's run.
struct Measured {
    name: &'static str,
    result: run::Result,
}

/// Runs a scenario with plain HTTP and with each configuration.
///
/// # Errors
/// If an option does not make sense, or a plot cannot be written.
pub fn simulate(name: Name, options: &Options, execution: Execution<'_>) -> Result<Report> {
    let world = scenario::build(name, options)?;
    let engine = Engine { threads: execution.threads, progress: execution.progress };
    let run = |name: &'static str, world: &World, mode: &Mode| {
        if execution.progress {
            eprintln!("{name}");
        }
        Measured { name, result: engine.run(world, mode) }
    };

    let mut measured = vec![run(PLAIN, &world, &Mode::Plain)];
    if world.net.origin.mbit.is_some() || world.net.origin.down.is_some() {
        let mut unlimited = world.clone();
        (unlimited.net.origin.mbit, unlimited.net.origin.down) = (None, None);
        measured.push(run(UNLIMITED, &unlimited, &Mode::Plain));
    }
    for policy in options.policies.iter().filter(|policy| **policy != PolicyName::Http) {
        let mode = Mode::Swarm(options.settings(*policy));
        measured.push(run(policy.as_str(), &world, &mode));
    }
    if let Some(folder) = execution.plots {
        plot::all(folder, name.as_str(), &measured)?;
    }
    Ok(Report::new(name, options, &world, &measured))
}

impl Report {
    fn new(name: Name, options: &Options, world: &World, measured: &[Measured]) -> Self {
        let plain = &measured[0].result;
        let content_bytes = wanted_bytes(world);
        let lines = &world.net.lines;
        let summary =
            |it: &Measured| Summary::new(it.name, &it.result, plain, content_bytes, lines);
        let viewers = plain.outcomes.iter().filter(|outcome| !outcome.seed).count();
        Self {
            scenario: name.as_str(),
            seed: options.seed,
            viewers: crate::num::count(viewers),
            content_bytes,
            origin_mbit: world.net.origin.mbit,
            slack_ms: options.slack_ms,
            slack_percent: options.slack_percent,
            configurations: measured.iter().map(summary).collect(),
        }
    }

    /// As Markdown.
    pub fn table(&self) -> String {
        table::of(self)
    }

    /// What must not happen and did, of all configurations.
    pub fn violations(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = self.configurations.iter();
        all.flat_map(|it| it.violations.iter().map(|text| (it.configuration, text.as_str())))
    }
}

/// Writes how what a viewer costs grows from report to report into a folder.
///
/// # Errors
/// If the plot cannot be written.
pub fn plot_growth(folder: &Path, reports: &[Report]) -> Result<()> {
    plot::growth(folder, reports)
}

/// How what a viewer costs grows from report to report, as Markdown.
pub fn growth(reports: &[Report]) -> String {
    table::growth(reports)
}

/// Bytes of the contents that somebody wants.
fn wanted_bytes(world: &World) -> u64 {
    let mut wanted = vec![false; world.contents.len()];
    for visit in &world.visits {
        let (first, count) = match visit.plan {
            Plan::Seed(content) | Plan::Video { content, .. } => (content, 1),
            Plan::Page { first, count } | Plan::Live { first, count, .. } => (first, count),
        };
        let first = first.0 as usize;
        wanted[first..first + count as usize].fill(true);
    }
    let contents = (0..).zip(wanted).filter(|(_, wanted)| *wanted);
    contents.map(|(no, _)| world.content(ContentNo(no)).layout.length()).sum()
}
