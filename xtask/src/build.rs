//! `cargo xtask build`: the wasm, the staging folder, the server.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Message, TargetKind};
use xshell::cmd;

use crate::manifest::{self, Manifest, WasmCrate};
use crate::report::{heading, note};
use crate::slim;
use crate::stage::Staged;
use crate::tools::{self, WASM};
use crate::workspace::Workspace;

/// The package whose traps `static/sw.js` hears of.
const WORKER: &str = "dcdn-sw";

/// What `build` can be told.
#[derive(clap::Args, Clone, Copy, Default)]
pub struct Options {
    /// Compile the wasm without optimisation and with names, for readable stack traces
    #[arg(long)]
    debug: bool,

    /// Leave out what does not compile and go on with the rest; still fails in the end
    #[arg(long)]
    keep_going: bool,
}

/// Builds everything and returns the server's path.
pub fn run(workspace: &Workspace, options: Options) -> Result<PathBuf> {
    let manifest = Manifest::read(workspace)?;
    tools::ensure_wasm_target(workspace)?;
    let wasm_bindgen = tools::ensure_wasm_bindgen(workspace)?.join("wasm-bindgen");

    heading("Compiling the worker and the page shim (1 to 2 minutes the first time)");
    let (staged, left_out) = stage(workspace, &manifest, &wasm_bindgen, options)?;
    staged.write_to(&workspace.staging())?;
    eprintln!("\n{}", staged.size_table()?);

    heading("Compiling the server (1 to 2 minutes the first time)");
    let sh = &workspace.shell;
    cmd!(sh, "cargo build --release --package coord-server").run()?;
    let server = workspace.server();
    ensure!(server.is_file(), "cargo left no {}", server.display());
    note(format_args!("{}", server.display()));
    ensure!(left_out.is_empty(), "the build is incomplete: {}", left_out.join("; "));
    Ok(server)
}

/// Makes everything that is staged; also says what had to be left out.
fn stage(
    workspace: &Workspace,
    manifest: &Manifest,
    wasm_bindgen: &Path,
    options: Options,
) -> Result<(Staged, Vec<String>)> {
    let mut staged = Staged::default();
    let mut left_out = Vec::new();
    let mut made = |outputs: Result<Vec<(String, Vec<u8>)>>| match outputs {
        Ok(outputs) => {
            staged.extend(outputs);
            Ok(())
        }
        Err(error) if options.keep_going => {
            note(format_args!("left out: {error:#}"));
            left_out.push(error.to_string());
            Ok(())
        }
        Err(error) => Err(error),
    };
    for (profile, crates) in by_profile(manifest, options) {
        let mut compiled = compile(workspace, profile, &crates, options)?;
        for krate in crates {
            let wasm = compiled
                .remove(&krate.package)
                .with_context(|| format!("{} has left no wasm: no cdylib?", krate.package));
            made(wasm.and_then(|wasm| bind(workspace, wasm_bindgen, krate, &wasm, options)))?;
        }
    }
    for name in &manifest.scripts.files {
        made(script(workspace, manifest, name, options))?;
    }
    Ok((staged.seal(), left_out))
}

/// Crates of one profile are compiled by one cargo, which knows best how to use the cores.
fn by_profile(manifest: &Manifest, options: Options) -> BTreeMap<&str, Vec<&WasmCrate>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for krate in &manifest.wasm {
        let profile = if options.debug { "dev" } else { &krate.profile };
        groups.entry(profile).or_default().push(krate);
    }
    groups
}

/// Compiles crates for the browser; returns the wasm of each package.
fn compile(
    workspace: &Workspace,
    profile: &str,
    crates: &[&WasmCrate],
    options: Options,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&workspace.root)
        .args(["build", "--target", WASM, "--profile", profile])
        .arg("--message-format=json-render-diagnostics")
        .args(crates.iter().flat_map(|krate| ["--package", &krate.package]))
        .args(options.keep_going.then_some("--keep-going"))
        .stdout(Stdio::piped());
    if let Some(own_std) = (!options.debug).then(|| tools::own_std(workspace)).flatten() {
        cargo.envs(own_std.environment).args(own_std.arguments);
    }
    let mut child = cargo.spawn().context("cargo cannot be started")?;
    let stdout = child.stdout.take().context("cargo has no stdout")?;
    let mut compiled = BTreeMap::new();
    for message in Message::parse_stream(BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) = message?
            && artifact.target.kind.contains(&TargetKind::CDyLib)
            && let Some(wasm) = artifact.filenames.iter().find(|it| it.extension() == Some("wasm"))
        {
            let name = workspace.metadata[&artifact.package_id].name.to_string();
            compiled.insert(name, wasm.clone().into_std_path_buf());
        }
    }
    ensure!(child.wait()?.success() || options.keep_going, "failed: {cargo:?}");
    Ok(compiled)
}

/// Makes the glue of a wasm file; returns both.
fn bind(
    workspace: &Workspace,
    wasm_bindgen: &Path,
    krate: &WasmCrate,
    wasm: &Path,
    options: Options,
) -> Result<Vec<(String, Vec<u8>)>> {
    let sh = &workspace.shell;
    let folder = sh.create_temp_dir()?;
    let (out_dir, out_name) = (folder.path(), &krate.out_name);
    let target = krate.target.to_string();
    let names: &[&str] = match options.debug {
        true => &["--debug", "--keep-debug"],
        false => &["--remove-name-section", "--remove-producers-section"],
    };
    cmd!(
        sh,
        "{wasm_bindgen} {wasm} --out-dir {out_dir} --out-name {out_name} --target {target} --no-typescript {names...}"
    )
    .quiet()
    .run()?;
    let [glue_name, wasm_name] = krate.outputs();
    for path in sh.read_dir(out_dir)? {
        let name = path.file_name().and_then(OsStr::to_str).context("a file without a name")?;
        let expected = name == glue_name || name == wasm_name;
        ensure!(expected, "wasm-bindgen made {name} for {}: nothing serves it", krate.package);
    }
    let mut glue = sh.read_file(out_dir.join(&glue_name))?;
    if krate.package == WORKER {
        glue = slim::guarded(&glue)
            .with_context(|| format!("wasm-bindgen has made {glue_name} in another way"))?;
    }
    let wasm = sh.read_binary_file(out_dir.join(&wasm_name))?;
    if options.debug {
        return Ok(vec![(glue_name, glue.into_bytes()), (wasm_name, wasm)]);
    }
    let (glue, wasm) = slim::shorten(&slim::without_comments(&glue), &wasm)
        .with_context(|| format!("wasm-bindgen has made {wasm_name} in another way"))?;
    Ok(vec![(glue_name, glue.into_bytes()), (wasm_name, wasm)])
}

/// A script, without its comments.
fn script(
    workspace: &Workspace,
    manifest: &Manifest,
    name: &str,
    options: Options,
) -> Result<Vec<(String, Vec<u8>)>> {
    let path = manifest.scripts.directory.join(name);
    let mut text = workspace.shell.read_file(&path).with_context(|| {
        format!("there is no {}, which {} names", path.display(), manifest::FILE)
    })?;
    if !options.debug {
        text = slim::without_comments(&text);
    }
    Ok(vec![(name.to_owned(), text.into_bytes())])
}
