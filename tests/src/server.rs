//! The real server, as a process.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::PATIENCE;

/// A running `coord-server`. Ends with the value.
pub struct Server {
    process: Child,
    source: [OsString; 2],
    options: Vec<String>,
    address: String,
    /// Where it keeps manifests, rather than with the user's.
    cache: TempDir,
}

impl Server {
    /// Serves `root` on a free port of loopback, with more options for the command line.
    ///
    /// # Errors
    /// If there is no binary, or it does not say its URL within [`PATIENCE`].
    pub async fn start(root: &Path, options: &[&str]) -> Result<Self> {
        let options = options.iter().map(ToString::to_string).collect();
        Self::listen(["--root".into(), root.into()], options, "127.0.0.1:0", cache()?).await
    }

    /// The same before a site's own server at the URL `origin`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn before(origin: &str, options: &[&str]) -> Result<Self> {
        let options = options.iter().map(ToString::to_string).collect();
        Self::listen(["--origin".into(), origin.into()], options, "127.0.0.1:0", cache()?).await
    }

    /// What the program prints when it is run with these arguments.
    ///
    /// # Errors
    /// If it fails.
    pub async fn prints(args: &[&str]) -> Result<String> {
        let output = command()?.args(args).output().await?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    async fn listen(
        source: [OsString; 2],
        options: Vec<String>,
        listen: &str,
        cache: TempDir,
    ) -> Result<Self> {
        let program = binary()?;
        let mut process = Command::new(&program)
            .args(&source)
            .args(["--listen", listen])
            .args(&options)
            .env_remove("STATE_DIRECTORY")
            .env("XDG_CACHE_HOME", cache.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let stdout = process.stdout.take().context("the server has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = announced_address(&line) {
                    return Ok(address);
                }
            }
            bail!("the server ended before it said its URL")
        })
        .await
        .context("the server did not say its URL")??;
        // Read on, so that the server never blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { process, source, options, address, cache })
    }

    /// `host:port` that it listens on.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The URL of a path that starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks the process to end and waits until it has.
    ///
    /// # Errors
    /// If it does not end within [`PATIENCE`].
    pub async fn stop(&mut self) -> Result<()> {
        let pid = self.process.id().context("the server has ended already")?;
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        timeout(PATIENCE, self.process.wait()).await.context("the server does not stop")??;
        Ok(())
    }

    /// Starts it again, on the same port, with the same options. The ports of
    /// connections that it had may still be in use for a while, which is its own
    /// business to cope with.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn restart(&mut self) -> Result<()> {
        let cache = std::mem::replace(&mut self.cache, cache()?);
        *self =
            Self::listen(self.source.clone(), self.options.clone(), &self.address, cache).await?;
        Ok(())
    }

    /// Stops it, and starts it again on the same port with other options.
    ///
    /// # Errors
    /// As [`Server::stop`] and [`Server::start`].
    pub async fn restart_with(&mut self, options: &[&str]) -> Result<()> {
        self.stop().await?;
        self.options = options.iter().map(ToString::to_string).collect();
        self.restart().await
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// If the server cannot be reached or answers anything but 200.
    pub async fn metrics(&self) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let request = format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
        let (head, body) = answer.split_once("\r\n\r\n").context("not an HTTP response")?;
        ensure!(head.contains(" 200 "), "/metrics answered {head}");
        Ok(body.to_owned())
    }

    /// One of those numbers, by its name.
    ///
    /// # Errors
    /// As [`Server::metrics`], or if there is no such number.
    pub async fn metric(&self, name: &str) -> Result<u64> {
        let text = self.metrics().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.with_context(|| format!("no {name} in {text}"))?.parse().context(name.to_owned())
    }
}

fn cache() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("dcdn-cache-").tempdir()?)
}

/// A command that runs the server's program.
///
/// # Errors
/// If there is none.
pub fn command() -> Result<Command> {
    Ok(Command::new(binary()?))
}

/// The server that `cargo xtask build` left beside the folder of this test's profile.
fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("DCDN_SERVER") {
        return Ok(path.into());
    }
    let test = env::current_exe()?;
    let target = test.ancestors().nth(3).context("a test binary in target/PROFILE/deps")?;
    let path = target.join("release").join(format!("coord-server{}", env::consts::EXE_SUFFIX));
    ensure!(path.is_file(), "there is no {}: `cargo xtask build` makes it", path.display());
    Ok(path)
}

/// `127.0.0.1:8080` from a line with `http://127.0.0.1:8080/` in it.
fn announced_address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|it: char| it == '/' || it.is_whitespace()).unwrap_or(rest.len());
    Some(rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_what_the_server_says() {
        let expected = Some("127.0.0.1:8080".to_owned());
        assert_eq!(announced_address("serving site on http://127.0.0.1:8080/"), expected);
        assert_eq!(announced_address("http://127.0.0.1:8080"), expected);
        assert_eq!(announced_address("starting"), None);
    }
}
