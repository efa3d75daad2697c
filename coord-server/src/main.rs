//! `coord-server`: its command line.

mod args;
mod open_files;
mod settings;
mod store_path;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use coord_server::Source;
use coord_server::manifest::ahead;
use coord_server::manifest::store::Store;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

use crate::args::{Ahead, Args, Cli, ConfigTask, LogFormat, Task};

/// Time that files still being read may hold up the end of the process.
const LINGER: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    match perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coord-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform() -> anyhow::Result<()> {
    let (Cli { task, serve }, doubts) = settings::read(env::args_os().collect(), env::vars_os())?;
    start_log(serve.log_format());
    for doubt in doubts {
        tracing::warn!("{doubt}");
    }
    match task {
        None => start(&serve),
        Some(Task::Manifest(ahead)) => make_manifests(&ahead),
        Some(Task::Token(issue)) => {
            println!("{}", issue.token()?);
            Ok(())
        }
        Some(Task::Config(ConfigTask::Check { file })) => {
            let count = settings::check(&file)?;
            println!("{}: {count} settings, no mistakes", file.display());
            Ok(())
        }
    }
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
}

fn start(args: &Args) -> anyhow::Result<()> {
    let mut config = args.config()?;
    config.connections.most = open_files::connections(args.max_connections());
    let runtime = Runtime::new()?;
    let result = runtime.block_on(async {
        let shutdown = asked_to_stop()?;
        check_source(&config.source).await?;
        let listener = bind(&args.listen).await?;
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        announce(scheme, listener.local_addr()?)?;
        match &config.source {
            Source::Root(root) => tracing::info!(root = %root.display(), "serving"),
            Source::Origin(origin) => tracing::info!(origin = %origin.url, "serving"),
        }
        coord_server::run(listener, config, shutdown).await?;
        anyhow::Ok(())
    });
    runtime.shutdown_timeout(LINGER);
    result
}

fn make_manifests(args: &Ahead) -> anyhow::Result<()> {
    let path = args.store()?;
    let store = Store::open(&path)?;
    let made = ahead::make(&args.directory, args.min_bytes, &store)?;
    println!(
        "{} files hashed, {} unchanged, {} below {} bytes; in {}",
        made.hashed,
        made.known,
        made.small,
        args.min_bytes,
        path.display()
    );
    Ok(())
}

/// An origin whose name must not be asked is a mistake; one whose name is not known yet may
/// still come up.
async fn check_source(source: &Source) -> anyhow::Result<()> {
    let Source::Origin(origin) = source else { return Ok(()) };
    match origin.look_up().await {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, origin = %origin.url, "the origin's name cannot be looked up");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        format!(
            "cannot listen on {address}; choose another port with --listen {host}:PORT, \
             or have a free one found with --listen {host}:0"
        )
    })
}

/// The one line on standard output.
fn announce(scheme: &str, address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{scheme}://{}/", visitable(address))?;
    out.flush()
}

/// An address that a browser on this machine can open. Service workers run on
/// loopback without TLS, but not on "every address".
fn visitable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Ends at SIGINT or SIGTERM. Both are caught from the moment this returns.
#[cfg(unix)]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends at Ctrl-C.
#[cfg(not(unix))]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
