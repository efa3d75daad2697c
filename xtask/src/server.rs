//! The server as a child process.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::interrupt::{Interrupt, POLL};

/// How long the server may take to say its URL.
const START: Duration = Duration::from_secs(30);

/// A running server. Ends with the value.
pub struct Server {
    process: Child,
    pub url: String,
}

impl Server {
    /// Serves `root` on this port of loopback and waits until it does.
    pub fn start(program: &Path, root: &Path, port: u16, interrupt: &Interrupt) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("--root").arg(root).arg("--listen").arg(format!("127.0.0.1:{port}"));
        command.stdout(Stdio::piped());
        apart(&mut command);
        let mut process = command.spawn().with_context(|| format!("failed: {command:?}"))?;
        let stdout = process.stdout.take().context("the server has no stdout")?;
        let mut server = Self { process, url: String::new() };

        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // Reads to the end, so that the server never blocks on a full pipe.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let started = Instant::now();
        while server.url.is_empty() {
            interrupt.check()?;
            ensure!(started.elapsed() < START, "the server did not say its URL");
            match lines.recv_timeout(POLL) {
                Ok(line) => server.url = url_in(&line).unwrap_or_default().to_owned(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the server ended ({})", server.process.wait()?);
                }
            }
        }
        Ok(server)
    }

    /// Fails if the process has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!("the server ended ({status})");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// The first free port of loopback from `first` on.
pub fn free_port(first: u16) -> Result<u16> {
    let mut ports = first..=u16::MAX;
    ports
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .with_context(|| format!("no port is free from {first} on"))
}

/// Keeps the terminal's Ctrl-C from a child: it is ended in order, by us.
pub fn apart(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Ends a child, and waits until it has.
pub fn end(process: &mut Child) {
    // Both fail only if it has ended before.
    let _ = process.kill();
    let _ = process.wait();
}

fn url_in(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| word.starts_with("http://"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_port_that_is_taken_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();

        assert!(free_port(port).unwrap() > port);
    }

    #[test]
    fn the_url_is_found_among_words() {
        assert_eq!(url_in("serving on http://127.0.0.1:8080/"), Some("http://127.0.0.1:8080/"));
        assert_eq!(url_in("starting"), None);
    }
}
