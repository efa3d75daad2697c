//! Servers that are not ours: nginx, Caddy and Redis, from the distribution's packages.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Family, find};
use crate::until;

/// What nginx needs besides a site: nothing of it outside of its folder. Workers may read
/// what their master may.
const NGINX: &str = "daemon off;
user root;
pid nginx.pid;
worker_processes 1;
events {}
http {
    types { text/html html; text/javascript js; image/jpeg jpg; video/mp4 mp4; }
    access_log off;
    client_body_temp_path client;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include site.conf;
}
";

/// Caddy without its administration port, which is always the same.
const CADDY: &str = "{\n\tadmin off\n}\n";

/// A running server. Ends with the value.
pub struct Companion {
    address: String,
    _folder: TempDir,
    _process: Family,
}

impl Companion {
    /// nginx with this configuration of a site that listens on `address`.
    ///
    /// # Errors
    /// If there is no nginx, or it does not accept the configuration.
    pub async fn nginx(address: &str, site: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dcdn-nginx-").tempdir()?;
        std::fs::write(folder.path().join("nginx.conf"), NGINX)?;
        std::fs::write(folder.path().join("site.conf"), site)?;
        let mut command = Command::new(find("NGINX", &["nginx"])?);
        command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c", "nginx.conf"]);
        Self::start(command, address, folder).await
    }

    /// Caddy with this `Caddyfile` of a site that listens on `address`.
    ///
    /// # Errors
    /// If there is no Caddy, or it does not accept the file.
    pub async fn caddy(address: &str, site: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dcdn-caddy-").tempdir()?;
        let file = folder.path().join("Caddyfile");
        std::fs::write(&file, [CADDY, site].concat())?;
        let mut command = Command::new(find("CADDY", &["caddy"])?);
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(variable, folder.path());
        }
        command.stderr(Stdio::null());
        Self::start(command, address, folder).await
    }

    /// Redis that keeps nothing, listening on `address`.
    ///
    /// # Errors
    /// If there is no Redis.
    pub async fn redis(address: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dcdn-redis-").tempdir()?;
        let (host, port) = address.split_once(':').context("an address without a port")?;
        let mut command = Command::new(find("REDIS_SERVER", &["redis-server", "valkey-server"])?);
        command.args(["--bind", host, "--port", port, "--save", "", "--dir"]).arg(folder.path());
        command.stdout(Stdio::null());
        Self::start(command, address, folder).await
    }

    async fn start(mut command: Command, address: &str, folder: TempDir) -> Result<Self> {
        let mut process = Family::start(&mut command)?;
        let answers = until(|| {
            let ended = process.leader().try_wait().ok().flatten().is_some();
            let answers = std::net::TcpStream::connect(address).is_ok();
            (ended || answers).then_some(answers && !ended)
        });
        ensure!(answers.await?, "it ended at once: {:?}", command.as_std());
        Ok(Self { address: address.to_owned(), _folder: folder, _process: process })
    }

    /// The URL of a path that starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// An address of loopback that nobody listens on. Its port is not one of those that the
/// system gives away, so nobody takes it meanwhile.
///
/// # Errors
/// If there is none.
pub fn free_address() -> Result<String> {
    let attempts =
        std::iter::repeat_with(|| format!("127.0.0.1:{}", 15_000 + rand::random::<u16>() % 15_000));
    let mut free = attempts.take(100).filter(|address| TcpListener::bind(address).is_ok());
    free.next().context("no free port")
}

/// The configuration in `docs/samples` for a site below `root` that is reached at `address`,
/// with a coordination server at `coord`.
///
/// # Errors
/// If the sample is not there, or lacks what is to be replaced.
pub fn sample(name: &str, root: &Path, address: &str, coord: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/samples").join(name);
    let mut text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let port = address.rsplit(':').next().context("an address without a port")?;
    let listens = if text.contains("listen 80;") { "listen 80;" } else { "http://:80 {" };
    let root = root.to_str().context("a folder whose name is not UTF-8")?;
    for (from, to) in [
        (listens, listens.replace("80", port)),
        ("/var/www/site", root.to_owned()),
        ("127.0.0.1:8080", coord.to_owned()),
    ] {
        ensure!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, &to);
    }
    Ok(text)
}
