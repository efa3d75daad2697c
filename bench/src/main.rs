//! Measurements in real browsers. The machine's speed drifts, so compare within a run:
//! the tables give ratios.
//!
//! `cargo xtask bench trials`: the thesis's evaluation and more; see [`trials`]. The Markdown
//! tables go to standard output, and with every single value and a page with pictures into a
//! folder.
//!
//! `cargo xtask bench overhead`: what the worker costs a visitor who is alone.

mod overhead;
mod report;
mod spread;
mod trials;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::trials::{Part, Plan, Results};

/// Measures in real browsers.
#[derive(Parser)]
enum Measurement {
    /// The thesis's tables, and large files, films, crowds and first visits
    Trials {
        /// Trials of each configuration that count; a third of that of what takes long
        #[arg(long, default_value_t = 10)]
        trials: usize,
        /// Trials of each configuration before those; none of what takes long
        #[arg(long, default_value_t = 3)]
        warm_ups: usize,
        /// Visitors who hold what is asked for
        #[arg(long, default_value_t = 5)]
        peers: usize,
        /// This part alone; may be repeated [default: all]
        #[arg(long, value_name = "PART")]
        only: Vec<Part>,
        /// Folder for `trials.md`, `trials.html`, `trials.json`, pictures, and each trial as it happens
        #[arg(long, value_name = "DIR", default_value = "target/trials")]
        out: PathBuf,
    },
    /// The worker beside none
    Overhead {
        /// First bytes of each kind
        #[arg(long, default_value_t = 20)]
        trials: usize,
        /// Transfers of the large file of each kind
        #[arg(long, default_value_t = 5)]
        transfers: usize,
        /// Bytes of the large file
        #[arg(long, default_value_t = 64_000_000)]
        large: usize,
        /// Print JSON instead of the table
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Measurement::parse() {
        Measurement::Trials { trials, warm_ups, peers, only, out } => {
            let parts = if only.is_empty() { Part::value_variants().to_vec() } else { only };
            let plan = Plan { trials, warm_ups, peers, parts };
            let results = trials::run(plan, &out).await?;
            write(&out, &results)?;
            println!("{}", report::markdown::trials(&results));
        }
        Measurement::Overhead { trials, transfers, large, json } => {
            let results = overhead::run(&overhead::Plan { trials, transfers, large }).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&results)?);
            } else {
                println!("{}", report::overhead(&results));
            }
        }
    }
    Ok(())
}

fn write(folder: &Path, results: &Results) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("trials.json"), serde_json::to_string_pretty(results)?)?;
    fs::write(folder.join("trials.md"), report::markdown::trials(results))?;
    fs::write(folder.join("trials.html"), report::html::trials(results))?;
    for (name, picture) in results.sections.iter().filter_map(report::picture::pictures) {
        fs::create_dir_all(folder.join("plots"))?;
        fs::write(folder.join("plots").join(name), picture)?;
    }
    eprintln!("written: {}", folder.join("trials.html").display());
    Ok(())
}
