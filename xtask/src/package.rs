//! `cargo xtask package`: the npm package, for pages that are made with a bundler.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use xshell::cmd;

use crate::report::{heading, note};
use crate::tools;
use crate::workspace::Workspace;

/// What the package consists of: its files' places in the workspace.
const FILES: [&str; 7] = [
    "npm/package.json",
    "npm/README.md",
    "npm/dcdn.js",
    "static/dcdn.d.ts",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];

/// What `npm pack` says that it has packed.
#[derive(Deserialize)]
struct Packed {
    filename: String,
    files: Vec<PackedFile>,
}

#[derive(Deserialize)]
struct PackedFile {
    path: String,
}

/// Leaves the package in `target/npm/dcdn`, and as an archive beside that.
pub fn run(workspace: &Workspace) -> Result<PathBuf> {
    let npm = tools::ensure_npm(workspace)?;
    heading("Packing the npm package");
    let folder = gather(workspace)?;
    let sh = &workspace.shell;
    let _there = sh.push_dir(&folder);
    let said = cmd!(sh, "{npm} pack --json --pack-destination ..").quiet().read()?;
    let [packed] = serde_json::from_str::<[Packed; 1]>(&said).context("what npm pack says")?;
    let mut names: Vec<_> = packed.files.iter().map(|it| it.path.as_str()).collect();
    let mut expected = FILES.map(|it| it.rsplit('/').next().unwrap_or(it));
    names.sort_unstable();
    expected.sort_unstable();
    ensure!(names == expected, "npm has packed {names:?}, not {expected:?}");
    let archive = folder.with_file_name(packed.filename);
    note(format_args!("{}", archive.display()));
    Ok(archive)
}

/// Puts the package's files into one folder, with the workspace's version.
pub fn gather(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.root.join("target/npm/dcdn");
    fs::create_dir_all(&folder)?;
    for file in FILES {
        let name = file.rsplit('/').next().unwrap_or(file);
        fs::copy(workspace.root.join(file), folder.join(name)).context(file)?;
    }
    let manifest = folder.join("package.json");
    let mut package: Value = serde_json::from_str(&fs::read_to_string(&manifest)?)?;
    package["version"] = env!("CARGO_PKG_VERSION").into();
    fs::write(manifest, serde_json::to_string_pretty(&package)? + "\n")?;
    Ok(folder)
}
