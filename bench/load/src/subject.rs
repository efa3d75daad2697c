//! What is measured: a process with a core of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use procfs::process::Process;
use tempfile::TempDir;

use crate::{OURS, THEIRS, echo};

/// Bounds for one address.
const ADDRESS_BOUNDS: [&str; 6] = [
    "--address-connections",
    "--address-sockets",
    "--address-connects",
    "--address-joins",
    "--address-messages",
    "--address-bytes",
];

/// A server under load. Ends with the value.
pub struct Subject {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Path of its socket.
    pub path: &'static str,
    _root: Option<TempDir>,
}

impl Subject {
    /// The echo: this program in its other role.
    pub fn echo() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("echo");
        Self::start(command, echo::PATH, None)
    }

    /// The coordination server, with an empty site and no bounds that a load would meet; but
    /// what comes from this address is kept account of, as that of any visitor.
    pub fn coord(program: &Path) -> Result<Self> {
        let root = tempfile::tempdir()?;
        let mut command = Command::new(program);
        command
            .args(["--listen", "127.0.0.1:0", "--root"])
            .arg(root.path())
            .args([
                "--manifest-store",
                "none",
                "--max-connections",
                "65536",
                "--max-sockets",
                "65536",
                "--socket-messages",
                "100000000",
                "--trusted-proxy",
                "none",
            ])
            .args(ADDRESS_BOUNDS.map(|flag| format!("{flag}=1000000000")))
            .env("RUST_LOG", "error");
        Self::start(command, "/dcdn/ws", Some(root))
    }

    /// A process takes over the core of the thread that starts it.
    fn start(mut command: Command, path: &'static str, root: Option<TempDir>) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        pin(THEIRS)?;
        let process = command.spawn().with_context(|| format!("cannot start {command:?}"));
        pin(OURS)?;
        let mut process = process?;
        let stdout = process.stdout.take().context("the server has no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().trim_start_matches("http://").trim_end_matches('/').parse();
        let address = address.with_context(|| format!("the server said {line:?}"))?;
        Ok(Self { process, address, path, _root: root })
    }

    /// Bytes of its own memory: anonymous pages that are resident. What the kernel keeps for
    /// its sockets is not among them.
    pub fn memory(&self) -> Result<u64> {
        let status = self.as_process()?.status()?;
        Ok(status.rssanon.context("the kernel does not tell RssAnon")? * 1024)
    }

    /// Processor time that it has used.
    pub fn processor_time(&self) -> Result<Duration> {
        let stat = self.as_process()?.stat()?;
        let ticks = stat.utime + stat.stime;
        Ok(Duration::from_millis(ticks * 1000 / procfs::ticks_per_second()))
    }

    fn as_process(&self) -> Result<Process> {
        Ok(Process::new(self.process.id().cast_signed())?)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Keeps this thread, and what it starts, on one core.
pub fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores)
        .with_context(|| format!("this needs two cores; there is no core {core}"))
}
