//! `cargo xtask test`: every check and test there is, in the order in which failures are
//! cheapest to find.

use std::io::{self, Write};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::ValueEnum;
use xshell::{Cmd, cmd};

use crate::report::{elapsed, heading, note};
use crate::tools::{self, WASM};
use crate::workspace::Workspace;
use crate::{budget, build, npm, package, tidy};

/// What `test` can be told.
#[derive(clap::Args)]
pub struct Options {
    /// Run this step alone, with those that it needs
    #[arg(long, value_name = "STEP")]
    only: Option<Step>,

    /// List the steps
    #[arg(long)]
    list: bool,
}

/// The steps, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    Fmt,
    Tidy,
    Clippy,
    ClippyWasm,
    Unit,
    Doc,
    WasmTest,
    Build,
    Size,
    E2e,
}

/// Crates that run in a browser. Their tests do too.
const BROWSER_CRATES: [&str; 3] = ["dcdn-plain", "dcdn-page-shim", "dcdn-sw"];

/// End-to-end tests that mostly wait, by the beginning of their names.
const LIFETIME: &str = "lifetime::";

/// Seconds that they wait: browsers have limits of 30 s and of 5 minutes.
const LIFETIME_S: &str = "330";

/// Folders with packages of npm: the players and what looks at pages; the sample for Vite.
const NPM_FOLDERS: [&str; 2] = [npm::PLAYERS, "docs/samples/vite"];

impl Step {
    const fn about(self) -> &'static str {
        match self {
            Self::Fmt => "formatting",
            Self::Tidy => "conventions: dependencies, file lengths, nothing generated in git",
            Self::Clippy => "lints, for the host",
            Self::ClippyWasm => "lints, for the browser",
            Self::Unit => "unit and property tests, on the host",
            Self::Doc => "documentation without warnings",
            Self::WasmTest => "tests in headless Chromium: plain objects, page shim and worker",
            Self::Build => "wasm, staging folder and server",
            Self::Size => "what browsers download, against its budgets",
            Self::E2e => "end-to-end tests: Chromium and Firefox against the server",
        }
    }

    /// What must have been run before, besides itself.
    const fn needs(self) -> Option<Self> {
        match self {
            Self::Size | Self::E2e => Some(Self::Build),
            _ => None,
        }
    }

    fn run(self, workspace: &Workspace) -> Result<()> {
        let sh = &workspace.shell;
        match self {
            Self::Fmt => {
                tools::ensure_component(workspace, "rustfmt", "fmt")?;
                perform(&cmd!(sh, "cargo fmt --all --check"))
            }
            Self::Tidy => tidy::run(workspace),
            Self::Clippy => {
                tools::ensure_component(workspace, "clippy", "clippy")?;
                perform(&cmd!(sh, "cargo clippy --workspace --all-targets -- -D warnings"))
            }
            Self::ClippyWasm => {
                tools::ensure_component(workspace, "clippy", "clippy")?;
                tools::ensure_wasm_target(workspace)?;
                let packages = BROWSER_CRATES.iter().flat_map(|name| ["--package", name]);
                // With them come protocol and swarm, whose own tests are the host's.
                perform(&cmd!(
                    sh,
                    "cargo clippy {packages...} --target {WASM} --all-targets -- -D warnings"
                ))
            }
            Self::Unit => {
                let tests = cmd!(sh, "cargo test --workspace --exclude dcdn-tests");
                perform(&tests.env("REDIS_SERVER", tools::ensure_redis(workspace)?))
            }
            Self::Doc => {
                let doc = cmd!(sh, "cargo doc --workspace --no-deps");
                perform(&doc.env("RUSTDOCFLAGS", "-D warnings"))
            }
            Self::WasmTest => wasm_test(workspace),
            Self::Build => build::run(workspace, build::Options::default()).map(drop),
            Self::Size => budget::run(workspace),
            Self::E2e => e2e(workspace),
        }
    }
}

/// Runs all steps, or one, and stops at the first that fails.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.list {
        for step in Step::value_variants() {
            println!("{:<12} {}", name(*step), step.about());
        }
        return Ok(());
    }
    let steps = match options.only {
        Some(step) => step.needs().into_iter().chain([step]).collect(),
        None => Step::value_variants().to_vec(),
    };

    let started = Instant::now();
    let mut done: Vec<(Step, Duration)> = Vec::new();
    for (index, &step) in steps.iter().enumerate() {
        let (number, of, name) = (index + 1, steps.len(), name(step));
        heading(format_args!("{number}/{of} {name}: {}", step.about()));
        let begun = Instant::now();
        let result = step.run(workspace);
        done.push((step, begun.elapsed()));
        if let Err(error) = result {
            summarise(&done, Some(step));
            note(format_args!("to run it again: cargo xtask test --only {name}"));
            return Err(error).context(format!("{name} failed"));
        }
    }
    summarise(&done, None);
    note(format_args!("all passed in {}", elapsed(started.elapsed())));
    Ok(())
}

/// The wasm crates' own tests, each in the place where it runs: a page, a service worker.
/// `webdriver.json` in a crate's folder tells the runner how to start the browser.
fn wasm_test(workspace: &Workspace) -> Result<()> {
    tools::ensure_wasm_target(workspace)?;
    let runner = tools::ensure_wasm_bindgen(workspace)?.join("wasm-bindgen-test-runner");
    tools::ensure_browser(workspace)?;
    let driver = tools::ensure_driver(workspace)?;
    let sh = &workspace.shell;
    for package in BROWSER_CRATES {
        let tests = cmd!(sh, "cargo test --package {package} --target {WASM}");
        let tests = tests
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &runner)
            .env("CHROMEDRIVER", &driver)
            // Seconds for all tests of a crate, on a slow machine too.
            .env("WASM_BINDGEN_TEST_TIMEOUT", "300");
        perform(&tests)?;
    }
    Ok(())
}

/// Real browsers against the server. What mostly waits runs beside the rest, whose time it does
/// not take.
fn e2e(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let environment = [
        ("CHROMIUM", tools::ensure_browser(workspace)?.program),
        ("CHROMEDRIVER", tools::ensure_driver(workspace)?),
        ("FIREFOX", tools::ensure_firefox(workspace)?),
        ("NGINX", tools::ensure_nginx(workspace)?),
        ("CADDY", tools::ensure_caddy(workspace)?),
        ("CURL", tools::ensure_curl(workspace)?),
        ("REDIS_SERVER", tools::ensure_redis(workspace)?),
    ];
    package::run(workspace)?;
    for folder in NPM_FOLDERS {
        npm::fetch(workspace, folder)?;
    }
    perform(&cmd!(sh, "cargo test --package dcdn-tests --no-run"))?;
    let lives =
        cmd!(sh, "cargo test --package dcdn-tests --test e2e -- --test-threads=6 {LIFETIME}");
    let lives = lives.envs(environment.clone()).env("DCDN_LIFETIME_S", LIFETIME_S);
    let mut lives = Command::from(lives);
    let lives = thread::spawn(move || lives.output());
    // Each test has several browsers.
    let rest = cmd!(sh, "cargo test --package dcdn-tests -- --test-threads=2 --skip {LIFETIME}");
    let rest = perform(&rest.envs(environment));
    let lives = lives.join().map_err(|_| anyhow!("no output of {LIFETIME}"))??;
    io::stdout().write_all(&lives.stdout)?;
    rest?;
    ensure!(lives.status.success(), "{LIFETIME} {}", String::from_utf8_lossy(&lives.stderr));
    Ok(())
}

/// Runs a command, whose output is seen; its error names it.
fn perform(command: &Cmd<'_>) -> Result<()> {
    Ok(command.run()?)
}

fn name(step: Step) -> String {
    step.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned())
}

fn summarise(done: &[(Step, Duration)], failed: Option<Step>) {
    heading("Summary");
    for (step, time) in done {
        let outcome = if failed == Some(*step) { "FAILED" } else { "ok" };
        note(format_args!("{:<12} {outcome:<7} {:>12}", name(*step), elapsed(*time)));
    }
}
