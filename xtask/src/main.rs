//! `cargo xtask`: builds, shows and tests DCDN on a machine that has nothing but Rust.
//!
//! What is missing is installed where that is safe (inside `target/`, with rustup, or
//! with apt as root on Debian) and otherwise named together with the command that
//! installs it.

mod bench;
mod browser;
mod budget;
mod build;
mod demo;
mod interrupt;
mod manifest;
mod package;
mod report;
mod server;
mod slim;
mod stage;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Build, show and test DCDN")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile the wasm, stage what the server serves, compile the server
    Build(build::Options),
    /// Build, and serve the demo site until Ctrl-C
    Demo(demo::Options),
    /// Make the npm package
    Package,
    /// Run every check and test, with all their set-up
    Test(test::Options),
    /// Measure, in real browsers or in virtual time
    #[command(subcommand)]
    Bench(bench::Measurement),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::locate()?;
    match command {
        Command::Build(options) => build::run(&workspace, options).map(drop),
        Command::Demo(options) => demo::run(&workspace, options),
        Command::Package => package::run(&workspace).map(drop),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Bench(measurement) => bench::run(&workspace, &measurement),
    }
}
