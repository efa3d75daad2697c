//! Chromium and its driver: found, started, ended.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, Uid};
use thirtyfour::error::WebDriverResult;
use thirtyfour::{Capabilities, ChromiumLikeCapabilities, DesiredCapabilities};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::{PATIENCE, Usage};

const ARGUMENTS: &str = include_str!("../chromium.args");

const BROWSERS: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// What a session with a fresh browser asks of the driver.
pub fn capabilities(profile: &Path, extra: &[String]) -> Result<Capabilities> {
    let browser = find("CHROMIUM", BROWSERS).context("the browser is missing")?;
    ask(&browser, profile, extra).context("capabilities that cannot be written as JSON")
}

fn ask(browser: &Path, profile: &Path, extra: &[String]) -> WebDriverResult<Capabilities> {
    let mut wanted = DesiredCapabilities::chrome();
    wanted.set_binary(&browser.to_string_lossy())?;
    for argument in arguments() {
        wanted.add_arg(argument)?;
    }
    if Uid::effective().is_root() {
        wanted.set_no_sandbox()?;
    }
    wanted.add_arg(&format!("--user-data-dir={}", profile.display()))?;
    for argument in extra {
        wanted.add_arg(argument)?;
    }
    Ok(wanted.into())
}

/// Where a running browser's tools listen, which it writes into its profile.
pub fn tools_url(profile: &Path) -> Result<String> {
    let path = profile.join("DevToolsActivePort");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let (port, path) = text.trim().split_once('\n').context("no port and path of tools")?;
    Ok(format!("ws://127.0.0.1:{port}{path}"))
}

/// The arguments that every Chromium of ours is started with.
fn arguments() -> impl Iterator<Item = &'static str> {
    ARGUMENTS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A running chromedriver. Ends with the value, and takes its browser along.
pub struct Driver {
    process: Child,
    address: SocketAddr,
}

impl Driver {
    /// Starts one on a free port.
    pub async fn start() -> Result<Self> {
        let program = find("CHROMEDRIVER", &["chromedriver"]).context("the driver is missing")?;
        let mut process = Command::new(&program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let stdout = process.stdout.take().context("chromedriver has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let port = timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await? {
                if let Some(port) = announced_port(&line) {
                    return Ok(port);
                }
            }
            bail!("chromedriver ended before it said its port")
        })
        .await
        .context("chromedriver did not say its port")??;
        // Read on, so that the driver never blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { process, address: (Ipv4Addr::LOCALHOST, port).into() })
    }

    /// Where it takes commands.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What driver and browser have cost so far.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of_group(self.leader().context("the driver has ended")?)
    }

    fn leader(&self) -> Option<i32> {
        self.process.id().and_then(|pid| i32::try_from(pid).ok())
    }

    /// SIGKILL for the driver, its browser and all of the browser's processes at once:
    /// they are one process group, which the driver leads.
    pub fn kill(&self) {
        if let Some(leader) = self.leader() {
            // Fails only if there is nobody left to kill.
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `… was started successfully on port 41337.`
fn announced_port(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("started successfully on port ")?;
    rest.trim_end_matches('.').parse().ok()
}

/// The program that a variable names, or the first of some names that is on PATH.
fn find(variable: &str, names: &[&str]) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Ok(path.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut candidates = names.iter().flat_map(|name| folders.iter().map(move |it| it.join(name)));
    candidates.find(|it| it.is_file()).with_context(|| {
        format!(
            "no {} on PATH, and {variable} is not set; `cargo xtask test` installs it on Debian, \
             elsewhere install Chromium and its chromedriver",
            names[0]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_what_the_driver_says() {
        let line = "ChromeDriver was started successfully on port 41337.";
        assert_eq!(announced_port(line), Some(41337));
        assert_eq!(announced_port("Starting ChromeDriver 156.0 on port 0"), None);
    }

    #[test]
    fn comments_are_no_arguments() {
        assert!(arguments().count() > 10);
        assert!(arguments().all(|it| it.starts_with("--") && !it.contains(' ')));
    }
}
