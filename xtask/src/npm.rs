//! Packages of npm: what the tests load into pages, the players of the demo.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::tools;
use crate::workspace::Workspace;

/// The folder with the players' packages.
pub const PLAYERS: &str = "tests/players";

/// What the demo has of them.
const PLAYER_FILES: [&str; 3] = [
    "hls.js/dist/hls.min.js",
    "shaka-player/dist/shaka-player.compiled.js",
    "video.js/dist/video.min.js",
];

/// Fetches packages into this folder: exactly the versions in its `package-lock.json`. Once:
/// what is there needs no network.
pub fn fetch(workspace: &Workspace, folder: &str) -> Result<()> {
    if is_fetched(workspace, folder)? {
        return Ok(());
    }
    let npm = tools::ensure_npm(workspace)?;
    let sh = &workspace.shell;
    let _there = sh.push_dir(workspace.root.join(folder));
    Ok(cmd!(sh, "{npm} ci --no-audit --no-fund --ignore-scripts").run()?)
}

/// Puts the players into this folder. Fails where they are not and there is no npm.
pub fn put_players(workspace: &Workspace, folder: &Path) -> Result<()> {
    let can_fetch = tools::has_npm() || is_fetched(workspace, PLAYERS)?;
    ensure!(can_fetch, "there is no npm, which fetches the others");
    fetch(workspace, PLAYERS)?;
    fs::create_dir_all(folder)?;
    for file in PLAYER_FILES {
        let from = workspace.root.join(PLAYERS).join("node_modules").join(file);
        let name = from.file_name().context("a player's file without a name")?;
        fs::copy(&from, folder.join(name))?;
    }
    Ok(())
}

fn is_fetched(workspace: &Workspace, folder: &str) -> Result<bool> {
    let folder = workspace.root.join(folder);
    let changed = |file: &str| fs::metadata(folder.join(file)).and_then(|it| it.modified());
    let wanted = changed("package-lock.json")?;
    // Where npm notes what it has installed.
    Ok(changed("node_modules/.package-lock.json").is_ok_and(|installed| installed >= wanted))
}
