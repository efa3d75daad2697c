//! `cargo xtask demo`: the demo site, with as many visitors as asked for.

use anyhow::{Context, Result};

use crate::browser::Browser;
use crate::interrupt::Interrupt;
use crate::report::{heading, note};
use crate::server::{Server, free_port};
use crate::workspace::Workspace;
use crate::{build, npm, tools};

/// The demo site.
const DEMO: &str = "static/demo";

/// Where the demo is served unless it is said otherwise.
const DEFAULT_PORT: u16 = 8080;

/// What `demo` can be told.
#[derive(clap::Args, Clone, Copy)]
pub struct Options {
    /// Headless browsers that visit the demo and keep its content for you
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=32))]
    peers: u16,

    /// Port to serve on [default: 8080, or the next one that is free]
    #[arg(long, value_name = "P")]
    port: Option<u16>,
}

/// Builds, serves, and waits for Ctrl-C.
pub fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let program = build::run(workspace, build::Options::default())?;
    if let Err(error) = npm::put_players(workspace, &workspace.root.join(DEMO).join("players")) {
        note(format_args!("the page of players has the browser's own only: {error}"));
    }
    let browser = match options.peers {
        0 => None,
        _ => Some(tools::ensure_browser(workspace)?),
    };

    let interrupt = Interrupt::install()?;
    match serve(workspace, options, &program, browser.as_ref(), &interrupt) {
        // Everything has been ended on the way here.
        Err(_) if interrupt.is_raised() => {
            heading("Stopped");
            Ok(())
        }
        result => result,
    }
}

fn serve(
    workspace: &Workspace,
    options: Options,
    program: &std::path::Path,
    browser: Option<&tools::Browser>,
    interrupt: &Interrupt,
) -> Result<()> {
    let root = workspace.root.join(DEMO);
    let port = options.port.map_or_else(|| free_port(DEFAULT_PORT), Ok)?;
    let mut server = Server::start(program, &root, port, interrupt)?;
    let url = server.url.clone();
    heading(format_args!("The demo is at {url}"));

    let mut peers = Vec::new();
    if let Some(browser) = browser {
        for number in 1..=options.peers {
            let name = format!("peer {number} of {}", options.peers);
            note(format_args!("{name} is fetching the content"));
            let mut peer = Browser::start(&browser.program, browser.as_root, interrupt)?;
            let holding = peer.hold(&url).with_context(|| name.clone())?;
            peer.hold(&format!("{url}players.html")).with_context(|| name.clone())?;
            let (resources, megabytes) = (holding.resources, mega(holding.bytes));
            note(format_args!(
                "{name} holds the gallery, {resources} resources of {megabytes} MB, and what the \
                 players play"
            ));
            peers.push(peer);
        }
        heading(format_args!("Open {url} to get them from {} peers", options.peers));
    }
    note("Ctrl-C stops it");
    interrupt.wait_for(|| server.check().map(|()| None))
}

/// Bytes in millions, with one decimal place.
fn mega(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}
