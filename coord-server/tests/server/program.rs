//! The program as a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::support::SiteDirectory;

/// The program, with nothing of the user's.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coord-server"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("DCDN_") {
            command.env_remove(variable);
        }
    }
    command.env_remove("STATE_DIRECTORY").env_remove("HOME").env_remove("XDG_CACHE_HOME");
    command
}

/// The program for a site.
pub fn command(site: &SiteDirectory) -> Command {
    let mut command = program();
    command.arg("--root").arg(site.root()).env("XDG_CACHE_HOME", site.outside());
    command
}

/// A running program; killed when dropped.
pub struct Running {
    pub child: Child,
    pub url: String,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_suffix('\n').expect("one line").to_owned();
        Self { child, url }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
    }

    /// Sends a signal, `TERM` for one.
    pub fn signal(&self, name: &str) {
        let (signal, id) = (format!("-{name}"), self.child.id().to_string());
        assert!(Command::new("kill").args([signal, id]).status().unwrap().success());
    }

    /// Waits until it has ended; whether it ended well.
    pub fn ended(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// The value of a metric without labels.
    pub async fn metric(&self, name: &str) -> u64 {
        let text =
            reqwest::get(format!("{}metrics", self.url)).await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
