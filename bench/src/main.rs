//! `cargo xtask bench trials`: the thesis's Table 2 (section 4.2) in real browsers.
//!
//! Some seeding visitors with profiles of their own hold an image of the thesis's
//! size; a client page with that image is opened once per trial and configuration,
//! in turns, after warm-ups that are not counted. Each trial has an image of its own
//! (the same picture with other bytes behind it), so that no cache can hold it.
//! Times are the browser's own (Resource Timing), from navigationStart. The machine's
//! speed drifts, so compare within a run: the table gives ratios to plain HTTP.

mod report;
mod trial;

use anyhow::Result;
use clap::Parser;

/// Measures first delivery.
#[derive(Parser)]
struct Options {
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
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let plan =
        trial::Plan { trials: options.trials, warm_ups: options.warm_ups, peers: options.peers };
    let results = trial::run(&plan).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    } else {
        println!("{}", report::table(&plan, &results));
    }
    Ok(())
}
