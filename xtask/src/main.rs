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
mod npm;
mod package;
mod plots;
mod report;
mod screenshots;
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
    /// Draw the plots of the docs, from simulations
    Plots,
    /// Take the pictures of pages that the docs show
    Screenshots,
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
        Command::Plots => plots::run(&workspace),
        Command::Screenshots => screenshots::run(&workspace),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Bench(measurement) => bench::run(&workspace, &measurement),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_the_documents_tell_people_to_type_is_understood() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let book = fs::read_dir(root.join("docs")).unwrap().map(|it| it.unwrap().path());
        let documents =
            ["README.md", "CONTRIBUTING.md"].map(|it| root.join(it)).into_iter().chain(book);
        let mut understood = 0;
        for path in documents.filter(|it| it.extension().is_some_and(|it| it == "md")) {
            let text = fs::read_to_string(&path).unwrap();
            for line in text.lines().map(str::trim).filter(|it| it.starts_with("cargo xtask ")) {
                let command = line.split(" #").next().unwrap_or_default();
                let parsed = Cli::try_parse_from(command.split_whitespace().skip(1));
                parsed.unwrap_or_else(|error| panic!("{}: {line}\n{error}", path.display()));
                understood += 1;
            }
        }
        assert!(understood > 10, "only {understood} commands found");
    }
}
