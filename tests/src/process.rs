//! Browsers and drivers as processes: found, started, ended with all of their children.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::PATIENCE;
use crate::usage::Usage;

/// A process and all that it starts: one process group, which it leads. Ends with the value.
pub struct Family(Child);

impl Family {
    /// Starts one.
    pub fn start(command: &mut Command) -> Result<Self> {
        command.process_group(0).kill_on_drop(true);
        let started = command.spawn();
        Ok(Self(started.with_context(|| format!("failed: {:?}", command.as_std()))?))
    }

    /// The process that leads.
    pub fn leader(&mut self) -> &mut Child {
        &mut self.0
    }

    /// What all of them have cost so far.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of_group(self.group().context("the process has ended")?)
    }

    /// SIGKILL for everybody at once.
    pub fn kill(&self) {
        if let Some(group) = self.group() {
            // Fails only if there is nobody left to kill.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }

    fn group(&self) -> Option<i32> {
        self.0.id().and_then(|pid| i32::try_from(pid).ok())
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What `find` makes of the first line of output in which it finds something; the rest is read
/// and dropped, so that who writes it never blocks on a full pipe.
pub async fn announced<T>(
    output: Option<impl AsyncRead + Unpin + Send + 'static>,
    find: impl Fn(&str) -> Option<T>,
) -> Result<T> {
    let mut lines = BufReader::new(output.context("output that nobody reads")?).lines();
    let found = timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await? {
            if let Some(found) = find(&line) {
                return Ok(found);
            }
        }
        anyhow::bail!("it ended before it said where it listens")
    })
    .await
    .context("it did not say where it listens")??;
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(found)
}

/// The program that a variable names, or the first of some names that is on PATH.
pub fn find(variable: &str, names: &[&str]) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Ok(path.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut candidates = names.iter().flat_map(|name| folders.iter().map(move |it| it.join(name)));
    candidates.find(|it| it.is_file()).with_context(|| {
        format!(
            "no {} on PATH, and {variable} is not set; `cargo xtask test` installs it on Debian",
            names[0]
        )
    })
}
