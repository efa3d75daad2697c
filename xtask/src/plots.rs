//! `cargo xtask plots`: the plots in the docs, of what the simulator finds.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;
use xshell::cmd;

use crate::report::{heading, note};
use crate::workspace::Workspace;

/// A crowd that a minute brings and a film of two minutes keeps.
const CROWD: [&str; 8] =
    ["--scenario", "flash-crowd", "--viewers", "300", "--minutes", "2", "--seed", "7"];

/// Slacks that are compared, in milliseconds.
const SLACKS: [u32; 6] = [0, 250, 1000, 3000, 6000, 12_000];

/// Width of a plot, of the names on its left, and of a bar of 100 %; height of a row.
const WIDTH: u32 = 760;
const NAMES: u32 = 110;
const LONGEST: f64 = 150.0;
const ROW: u32 = 26;

/// Distance of the panels, and room above and below the rows.
const PANEL: u32 = 215;
const ABOVE: u32 = 44;
const BELOW: u32 = 10;

/// Both in the page's light and in its dark.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}\
    .head{font-weight:600}.value{fill:#57606a}rect{fill:#0b7a55}.plain rect{fill:#8c959f}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.value{fill:#9da7b3}rect{fill:#5fd8aa}\
    .plain rect{fill:#6e7681}}";

#[derive(Deserialize)]
struct Report {
    configurations: Vec<Configuration>,
}

/// What of a configuration is drawn.
#[derive(Deserialize)]
struct Configuration {
    configuration: String,
    origin_percent_of_http: f64,
    start_up: Spread,
    per_viewer: PerViewer,
}

#[derive(Deserialize)]
struct Spread {
    p50: f64,
}

#[derive(Deserialize)]
struct PerViewer {
    stalled_ms: f64,
}

/// Simulates, and writes `docs/images/policies.svg` and `docs/images/slack.svg`.
pub fn run(workspace: &Workspace) -> Result<()> {
    heading("Simulating (a minute, with the compilation of the simulator)");
    let policies = simulate(workspace, &["--policy", "all"])?;
    let mut slacks = Vec::new();
    for slack in SLACKS {
        let mut configurations = simulate(workspace, &["--slack-ms", &slack.to_string()])?;
        let mut adaptive = configurations.pop().context("nothing was simulated")?;
        adaptive.configuration = format!("{slack} ms");
        // Without DCDN no slack makes a difference.
        if slacks.is_empty() {
            slacks.append(&mut configurations);
        }
        slacks.push(adaptive);
    }
    for (name, rows) in [("policies", policies), ("slack", slacks)] {
        let path = workspace.root.join("docs/images").join(format!("{name}.svg"));
        fs::write(&path, plot(&rows)).with_context(|| path.display().to_string())?;
        note(format_args!("{}", path.display()));
    }
    Ok(())
}

fn simulate(workspace: &Workspace, options: &[&str]) -> Result<Vec<Configuration>> {
    let sh = &workspace.shell;
    let simulate = cmd!(
        sh,
        "cargo run --quiet --profile simulation --package dcdn-simulator -- {CROWD...} {options...} --json --quiet"
    );
    let [report] = serde_json::from_str::<[Report; 1]>(&simulate.quiet().read()?)
        .context("what the simulator says")?;
    Ok(report.configurations)
}

/// A row for each configuration, and beside each other what is measured of it.
fn plot(rows: &[Configuration]) -> String {
    type Measure = (&'static str, fn(&Configuration) -> f64, fn(f64) -> String);
    let measures: [Measure; 3] = [
        ("server sends, of plain HTTP", |it| it.origin_percent_of_http, |it| format!("{it:.1} %")),
        ("start of playback, median", |it| it.start_up.p50, |it| format!("{:.2} s", it / 1000.0)),
        (
            "stalled, per viewer",
            |it| it.per_viewer.stalled_ms,
            |it| format!("{:.2} s", it / 1000.0),
        ),
    ];
    let height = ABOVE + ROW * u32::try_from(rows.len()).unwrap_or_default() + BELOW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <style>{STYLE}</style>\n"
    );
    let middle = |row: usize| ABOVE + ROW * u32::try_from(row).unwrap_or_default() + ROW / 2;
    for (row, it) in rows.iter().enumerate() {
        let _ =
            writeln!(svg, "<text x=\"0\" y=\"{}\">{}</text>", middle(row) + 4, it.configuration);
    }
    for ((head, of, written), left) in measures.into_iter().zip((NAMES..).step_by(PANEL as usize)) {
        let most = rows.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
        let _ = writeln!(svg, "<text class=\"head\" x=\"{left}\" y=\"24\">{head}</text>");
        for (row, it) in rows.iter().enumerate() {
            let (class, value, y) = (class(it), of(it), middle(row));
            let width = (value / most * LONGEST).max(1.0);
            let _ = writeln!(
                svg,
                "<g{class}><rect x=\"{left}\" y=\"{}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"/>\
                 <text class=\"value\" x=\"{:.1}\" y=\"{}\">{}</text></g>",
                y - 7,
                f64::from(left) + width + 6.0,
                y + 4,
                written(value),
            );
        }
    }
    svg + "</svg>\n"
}

fn class(it: &Configuration) -> &'static str {
    if it.configuration == "plain HTTP" { " class=\"plain\"" } else { "" }
}
