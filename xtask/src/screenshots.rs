//! `cargo xtask screenshots`: the pages that people see, at the width of a telephone and of a desk,
//! light and dark, with other visitors there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::browser::{Browser, View};
use crate::interrupt::Interrupt;
use crate::report::{heading, note};
use crate::server::{Server, free_port};
use crate::workspace::Workspace;
use crate::{build, tools};

/// Visitors who hold what the demo shows.
const PEERS: usize = 2;

/// Pictures that the documents show: they are copied to `docs/images`.
const SHOWN: [&str; 7] = [
    "demo-desk-dark",
    "overlay-desk-light",
    "overlay-phone-dark",
    "dashboard-desk-light",
    "dashboard-phone-dark",
    "report-desk-light",
    "report-phone-dark",
];

/// Most bytes of one of those.
const MOST: usize = 150_000;

/// A page, and what to wait for there.
struct Page {
    name: &'static str,
    /// On the server.
    path: &'static str,
    until: &'static str,
}

/// Resolves once `condition` holds.
macro_rules! once {
    ($condition:literal) => {
        concat!(
            "new Promise((done) => { const look = () => ",
            $condition,
            " ? done() : setTimeout(look, 100); look(); })"
        )
    };
}

/// Has a page without media install DCDN.
const INSTALLED: &str = "import('/dcdn/dcdn.js').then(({ dcdn }) => dcdn.ready)";

const PAGES: [Page; 3] = [
    Page {
        name: "demo",
        path: "/",
        until: once!(
            "[...document.querySelectorAll('.work img')].every((it) => it.complete) && document.getElementById('headline').textContent.includes('%') && !document.getAnimations().length"
        ),
    },
    Page {
        name: "overlay",
        path: "/?dcdn=debug",
        until: once!(
            "[...document.querySelectorAll('.work img')].every((it) => it.complete) && /[1-9] peers?/.test(document.querySelector('dcdn-overlay')?.shadowRoot.textContent)"
        ),
    },
    Page {
        name: "dashboard",
        path: "/dcdn/",
        until: once!("document.querySelector('#peers-line path')?.getAttribute('d')?.length > 20"),
    },
];

/// Takes them.
pub fn run(workspace: &Workspace) -> Result<()> {
    let report = workspace.root.join("target/trials/trials.html");
    ensure!(report.is_file(), "there is no report to show: `cargo xtask bench trials` makes it");
    let program = build::run(workspace, build::Options::default())?;
    let browser = tools::ensure_browser(workspace)?;
    let interrupt = Interrupt::install()?;
    let start = || Browser::start(&browser.program, browser.as_root, &interrupt);
    let root = workspace.root.join("static/demo");
    let server = Server::start(&program, &root, free_port(8080)?, &interrupt)?;

    heading("Waiting for visitors who hold the demo");
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        let mut peer = start()?;
        peer.hold(&server.url)?;
        peers.push(peer);
    }

    let folder = workspace.root.join("target/screenshots");
    fs::create_dir_all(&folder)?;
    heading(format_args!("Taking pictures into {}", folder.display()));
    let home = server.url.trim_end_matches('/');
    for (suffix, view) in views() {
        for page in &PAGES {
            // Each is somebody new, so what is shown has come from the others.
            let mut visitor = start()?;
            visitor.picture(&format!("{home}/dcdn/config.json"), view, INSTALLED)?;
            let picture = visitor.picture(&format!("{home}{}", page.path), view, page.until)?;
            keep(workspace, &folder, &format!("{}-{suffix}", page.name), &picture)?;
        }
        let report = format!("file://{}#far", report.display());
        let picture = start()?.picture(&report, view, "null")?;
        keep(workspace, &folder, &format!("report-{suffix}"), &picture)?;
    }
    Ok(())
}

/// A desk and a telephone, light and dark.
fn views() -> impl Iterator<Item = (String, View)> {
    [("desk", 1280, 800, 1.0), ("phone", 390, 780, 1.5)].into_iter().flat_map(
        |(device, width, height, scale)| {
            [("light", false), ("dark", true)].map(|(scheme, dark)| {
                (format!("{device}-{scheme}"), View { width, height, scale, dark })
            })
        },
    )
}

fn keep(workspace: &Workspace, folder: &Path, name: &str, picture: &[u8]) -> Result<()> {
    note(format_args!("{name}.jpg, {} bytes", picture.len()));
    fs::write(folder.join(name).with_extension("jpg"), picture)?;
    if !SHOWN.contains(&name) {
        return Ok(());
    }
    ensure!(picture.len() <= MOST, "{name} has {} bytes, more than {MOST}", picture.len());
    let shown = workspace.root.join("docs/images").join(name).with_extension("jpg");
    fs::write(&shown, picture).with_context(|| shown.display().to_string())
}
