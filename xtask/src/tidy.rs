//! Conventions that no compiler checks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{DependencyKind, PackageId};
use xshell::cmd;

use crate::manifest::Manifest;
use crate::workspace::Workspace;

/// Who may depend on whom in this workspace (tests aside). One way, so that the core can
/// be tested without browser or server.
const MAY_DEPEND: [(&str, &[&str]); 11] = [
    ("dcdn-protocol", &[]),
    ("dcdn-swarm", &["dcdn-protocol"]),
    ("dcdn-plain", &["dcdn-protocol"]),
    ("dcdn-sw", &["dcdn-plain", "dcdn-protocol", "dcdn-swarm"]),
    ("dcdn-page-shim", &["dcdn-plain", "dcdn-protocol"]),
    ("coord-server", &["dcdn-protocol"]),
    ("dcdn-tests", &["dcdn-protocol"]),
    ("dcdn-bench", &["dcdn-protocol", "dcdn-swarm", "dcdn-tests"]),
    ("dcdn-load", &["dcdn-protocol"]),
    ("dcdn-simulator", &["coord-server", "dcdn-protocol", "dcdn-swarm"]),
    ("xtask", &[]),
];

/// Crates without IO, clock or browser.
const PURE: [&str; 2] = ["dcdn-protocol", "dcdn-swarm"];

/// What those may not reach by any number of steps.
const IMPURE: [&str; 7] =
    ["futures-timer", "gloo-timers", "js-sys", "tokio", "wasm-bindgen", "web-sys", "web-time"];

/// Most lines of a source file; past that it has more than one subject.
const MAX_LINES: usize = 600;

/// Checks all of it; the error lists everything that is wrong.
pub fn run(workspace: &Workspace) -> Result<()> {
    let mut faults = Vec::new();
    faults.extend(wrong_dependencies(workspace)?);
    faults.extend(impure(workspace)?);
    let files = committed_files(workspace)?;
    faults.extend(generated(&files, &Manifest::read(workspace)?));
    faults.extend(too_long(workspace, &files)?);
    ensure!(faults.is_empty(), "\n  {}", faults.join("\n  "));
    Ok(())
}

fn wrong_dependencies(workspace: &Workspace) -> Result<Vec<String>> {
    let rules = BTreeMap::from(MAY_DEPEND);
    let members = workspace.metadata.workspace_packages();
    let names: BTreeSet<&str> = members.iter().map(|it| it.name.as_str()).collect();
    let mut faults = Vec::new();
    for member in members {
        let Some(allowed) = rules.get(member.name.as_str()) else {
            bail!("xtask/src/tidy.rs does not say what {} may depend on", member.name);
        };
        let dependencies = member.dependencies.iter();
        let ours = dependencies.filter(|it| {
            it.kind != DependencyKind::Development && names.contains(it.name.as_str())
        });
        faults.extend(
            ours.filter(|it| !allowed.contains(&it.name.as_str()))
                .map(|it| format!("{} may not depend on {}", member.name, it.name)),
        );
    }
    Ok(faults)
}

fn impure(workspace: &Workspace) -> Result<Vec<String>> {
    let resolve = workspace.metadata.resolve.as_ref().context("cargo resolved nothing")?;
    let graph: HashMap<&PackageId, Vec<&PackageId>> = resolve
        .nodes
        .iter()
        .map(|node| {
            let normal = node.deps.iter().filter(|dependency| {
                dependency.dep_kinds.iter().any(|it| it.kind == DependencyKind::Normal)
            });
            (&node.id, normal.map(|dependency| &dependency.pkg).collect())
        })
        .collect();
    let mut faults = Vec::new();
    for member in workspace.metadata.workspace_packages() {
        if !PURE.contains(&member.name.as_str()) {
            continue;
        }
        let mut reached = BTreeSet::from([&member.id]);
        let mut open = vec![&member.id];
        while let Some(id) = open.pop() {
            let next = graph.get(id).into_iter().flatten();
            open.extend(next.copied().filter(|it| reached.insert(it)));
        }
        let names = reached.into_iter().map(|id| workspace.metadata[id].name.as_str());
        faults.extend(
            names
                .filter(|name| IMPURE.contains(name))
                .map(|name| format!("{} must stay pure but reaches {name}", member.name)),
        );
    }
    Ok(faults)
}

fn committed_files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let list = cmd!(workspace.shell, "git ls-files").quiet().read()?;
    Ok(list.lines().map(PathBuf::from).collect())
}

/// What `cargo xtask build` makes does not belong into git.
fn generated(files: &[PathBuf], manifest: &Manifest) -> Vec<String> {
    let outputs: BTreeSet<String> = manifest.wasm.iter().flat_map(|it| it.outputs()).collect();
    let is_generated = |path: &&PathBuf| {
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        path.starts_with("target") || outputs.contains(name) || has_extension(path, "wasm")
    };
    let faults = files.iter().filter(is_generated);
    faults.map(|path| format!("{} is generated, but in git", path.display())).collect()
}

fn too_long(workspace: &Workspace, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for path in files.iter().filter(|path| has_extension(path, "rs")) {
        // Committed, but taken away in the work tree.
        if !workspace.root.join(path).is_file() {
            continue;
        }
        let lines = workspace.shell.read_file(path)?.lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{} has {lines} lines, more than {MAX_LINES}", path.display()));
        }
    }
    Ok(faults)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|it| it == extension)
}
