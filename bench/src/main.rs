//! Measurements in real browsers. The machine's speed drifts, so compare within a run:
//! the tables give ratios.
//!
//! `cargo xtask bench trials`: the thesis's Table 2 (section 4.2). Some seeding visitors
//! with profiles of their own hold an image of the thesis's size; a client page with that
//! image is opened once per trial and configuration, in turns, after warm-ups that are not
//! counted. Each trial has an image of its own (the same picture with other bytes behind
//! it), so that no cache can hold it. Times are the browser's own (Resource Timing), from
//! navigationStart.
//!
//! `cargo xtask bench overhead`: what the worker costs a visitor who is alone.

mod overhead;
mod report;
mod trial;

use anyhow::Result;
use clap::Parser;

/// Measures in real browsers.
#[derive(Parser)]
enum Measurement {
    /// First delivery, per policy
    Trials {
        /// Trials of each configuration that count
        #[arg(long, default_value_t = 10)]
        trials: usize,
        /// Trials of each configuration before those
        #[arg(long, default_value_t = 3)]
        warm_ups: usize,
        /// Visitors who hold the image
        #[arg(long, default_value_t = 5)]
        peers: usize,
        /// Print JSON instead of the table
        #[arg(long)]
        json: bool,
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
        Measurement::Trials { trials, warm_ups, peers, json } => {
            let plan = trial::Plan { trials, warm_ups, peers };
            let results = trial::run(&plan).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&results)?);
            } else {
                println!("{}", report::trials(&plan, &results));
            }
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
