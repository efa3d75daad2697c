//! The programs that xtask needs, found or installed.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::report::{heading, note};
use crate::workspace::Workspace;

/// The compilation target of everything that runs in a browser.
pub const WASM: &str = "wasm32-unknown-unknown";

/// Makes sure that rustc can compile for the browser.
pub fn ensure_wasm_target(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let sysroot = cmd!(sh, "rustc --print sysroot").quiet().read()?;
    if Path::new(&sysroot).join("lib/rustlib").join(WASM).is_dir() {
        return Ok(());
    }
    heading(format_args!("Adding the target {WASM} (about 10 s)"));
    cmd!(sh, "rustup target add {WASM}").run().with_context(|| {
        format!("rustc has no target {WASM}; without rustup, install your distribution's package of Rust's wasm32 standard library")
    })
}

/// What makes a standard library of our own small: no words for panics, which trap at once.
const SMALL_STD: [&str; 4] =
    ["-Zunstable-options", "-Cpanic=immediate-abort", "-Zlocation-detail=none", "-Zfmt-debug=none"];

/// With what cargo compiles the standard library along, for size: environment and arguments.
/// A tenth of what browsers download are the words of panics that the library comes with.
pub struct OwnStd {
    pub environment: Vec<(&'static str, String)>,
    pub arguments: &'static [&'static str],
}

/// The toolchain's own way to do so, whose options are not stable: `None`, and a word, where it
/// has another or the library's source cannot be had.
pub fn own_std(workspace: &Workspace) -> Option<OwnStd> {
    let environment = vec![
        ("RUSTC_BOOTSTRAP", "1".to_owned()),
        ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", SMALL_STD.join(" ")),
    ];
    let arguments = &["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"];
    match ensure_std_source(workspace).and_then(|()| knows_small_std(workspace)) {
        Ok(()) => Some(OwnStd { environment, arguments }),
        Err(error) => {
            note(format_args!("the wasm will be a tenth larger than it could be: {error:#}"));
            None
        }
    }
}

fn ensure_std_source(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let sysroot = cmd!(sh, "rustc --print sysroot").quiet().read()?;
    if Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file() {
        return Ok(());
    }
    heading("Adding the source of Rust's standard library (about 10 s)");
    cmd!(sh, "rustup component add rust-src").run().context("there is no rust-src")
}

/// Asked of rustc, since another release may call it something else.
fn knows_small_std(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    cmd!(sh, "rustc --target {WASM} {SMALL_STD...} --print cfg")
        .env("RUSTC_BOOTSTRAP", "1")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .context("this rustc does not know how")
}

/// Makes sure that a component of the Rust toolchain is there.
pub fn ensure_component(workspace: &Workspace, component: &str, probe: &str) -> Result<()> {
    let sh = &workspace.shell;
    if cmd!(sh, "cargo {probe} --version").quiet().ignore_stdout().ignore_stderr().run().is_ok() {
        return Ok(());
    }
    heading(format_args!("Adding the Rust component {component} (about 10 s)"));
    cmd!(sh, "rustup component add {component}").run()?;
    Ok(())
}

/// The folder with `wasm-bindgen` and `wasm-bindgen-test-runner` of the version in
/// Cargo.lock: glue and wasm of different versions do not fit together.
pub fn ensure_wasm_bindgen(workspace: &Workspace) -> Result<PathBuf> {
    let version = workspace.locked_version("wasm-bindgen")?;
    let own = workspace.tools().join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).chain([own.clone()]);
    if let Some(found) = places.find(|place| holds_wasm_bindgen(workspace, place, &version)) {
        return Ok(found);
    }
    heading(format_args!(
        "Installing wasm-bindgen {version} into target/tools (1 to 3 minutes, once)"
    ));
    let sh = &workspace.shell;
    let root = workspace.tools();
    cmd!(sh, "cargo install wasm-bindgen-cli --version ={version} --root {root}")
        .run()
        .with_context(|| {
            format!("to install it yourself: cargo install wasm-bindgen-cli --version {version}")
        })?;
    Ok(own)
}

/// A Chromium, and how it must be started here.
pub struct Browser {
    pub program: PathBuf,
    /// Chromium's sandbox refuses to run as root.
    pub as_root: bool,
}

/// Finds Chromium or a relative of it; installs it where that is safe.
pub fn ensure_browser(workspace: &Workspace) -> Result<Browser> {
    let program = ensure_program(workspace, &CHROMIUM)?;
    Ok(Browser { program, as_root: is_root(workspace) })
}

/// Finds chromedriver; installs it where that is safe.
pub fn ensure_driver(workspace: &Workspace) -> Result<PathBuf> {
    ensure_program(workspace, &CHROMEDRIVER)
}

/// Finds Firefox, and on Linux what it plays films with; installs them where that is safe. It
/// needs no driver.
pub fn ensure_firefox(workspace: &Workspace) -> Result<PathBuf> {
    let firefox = ensure_program(workspace, &FIREFOX)?;
    if cfg!(target_os = "linux") && !has_library(workspace, "libavcodec.so") {
        install(workspace, "libavcodec-extra").with_context(|| {
            "Firefox plays no H.264 without FFmpeg's libavcodec: install it from your \
             distribution (Debian and Ubuntu: sudo apt-get install libavcodec-extra)"
        })?;
    }
    Ok(firefox)
}

/// Finds npm; installs it where that is safe.
pub fn ensure_npm(workspace: &Workspace) -> Result<PathBuf> {
    ensure_program(workspace, &NPM)
}

/// Whether there is npm.
pub fn has_npm() -> bool {
    find(&NPM).is_some()
}

/// Finds curl; installs it where that is safe.
pub fn ensure_curl(workspace: &Workspace) -> Result<PathBuf> {
    ensure_program(workspace, &CURL)
}

/// Finds nginx; installs it where that is safe.
pub fn ensure_nginx(workspace: &Workspace) -> Result<PathBuf> {
    ensure_program(workspace, &NGINX)
}

/// Finds Caddy; installs it where that is safe.
pub fn ensure_caddy(workspace: &Workspace) -> Result<PathBuf> {
    ensure_program(workspace, &CADDY)
}

/// Finds Redis; installs it where that is safe. Debian's package starts no server where there
/// is no init to start it, and tests start their own.
pub fn ensure_redis(workspace: &Workspace) -> Result<PathBuf> {
    ensure_program(workspace, &REDIS)
}

/// A program that is not Rust's.
struct Program {
    /// Names it outright.
    variable: &'static str,
    /// Names that it goes by.
    names: &'static [&'static str],
    debian: &'static str,
    homebrew: &'static str,
}

const CHROMIUM: Program = Program {
    variable: "CHROMIUM",
    names: &[
        "chromium",
        "chromium-browser",
        "google-chrome-stable",
        "google-chrome",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ],
    debian: "chromium",
    homebrew: "--cask google-chrome",
};

const CHROMEDRIVER: Program = Program {
    variable: "CHROMEDRIVER",
    names: &["chromedriver"],
    debian: "chromium-driver",
    homebrew: "--cask chromedriver",
};

const FIREFOX: Program = Program {
    variable: "FIREFOX",
    names: &["firefox-esr", "firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"],
    debian: "firefox-esr",
    homebrew: "--cask firefox",
};

const NPM: Program = Program { variable: "NPM", names: &["npm"], debian: "npm", homebrew: "node" };

const CURL: Program =
    Program { variable: "CURL", names: &["curl"], debian: "curl", homebrew: "curl" };

const NGINX: Program =
    Program { variable: "NGINX", names: &["nginx"], debian: "nginx", homebrew: "nginx" };

const CADDY: Program =
    Program { variable: "CADDY", names: &["caddy"], debian: "caddy", homebrew: "caddy" };

const REDIS: Program = Program {
    variable: "REDIS_SERVER",
    names: &["redis-server", "valkey-server"],
    debian: "redis-server",
    homebrew: "redis",
};

fn ensure_program(workspace: &Workspace, program: &Program) -> Result<PathBuf> {
    if let Some(found) = find(program) {
        return Ok(found);
    }
    let Program { variable, names, debian, homebrew } = program;
    install(workspace, debian).with_context(|| {
        format!(
            "{} is missing. Install it (Debian and Ubuntu: sudo apt-get install {debian}; \
             macOS: brew install {homebrew}), or set {variable} to its path",
            names[0]
        )
    })?;
    find(program).with_context(|| format!("apt has installed {debian}, but not {}", names[0]))
}

/// Installs a package where nobody need be asked: as root, on a system that has apt.
fn install(workspace: &Workspace, package: &str) -> Result<()> {
    let sh = &workspace.shell;
    if !(is_root(workspace) && Path::new("/usr/bin/apt-get").is_file()) {
        bail!("only root installs {package} with apt");
    }
    heading(format_args!("Installing {package} with apt (up to 2 minutes, once)"));
    let _silent = sh.push_env("DEBIAN_FRONTEND", "noninteractive");
    cmd!(sh, "apt-get update").run()?;
    cmd!(sh, "apt-get install --yes --no-install-recommends {package}").run()?;
    Ok(())
}

/// Whether the dynamic linker knows a library whose name begins so. Where it cannot be asked, it is
/// taken to.
fn has_library(workspace: &Workspace, name: &str) -> bool {
    let known = cmd!(workspace.shell, "/sbin/ldconfig -p").quiet().ignore_stderr().read();
    known.map_or(true, |known| known.lines().any(|line| line.trim_start().starts_with(name)))
}

/// Asked of `id`: the standard library does not tell.
fn is_root(workspace: &Workspace) -> bool {
    cmd!(workspace.shell, "id -u").quiet().ignore_stderr().read().is_ok_and(|id| id == "0")
}

fn find(program: &Program) -> Option<PathBuf> {
    if let Some(path) = env::var_os(program.variable) {
        return Some(path.into());
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let at = |name: &&str| folders.iter().map(|it| it.join(name)).find(|it| it.is_file());
    program.names.iter().find_map(at)
}

fn holds_wasm_bindgen(workspace: &Workspace, place: &Path, version: &str) -> bool {
    ["wasm-bindgen", "wasm-bindgen-test-runner"].into_iter().all(|name| {
        let program = place.join(name).with_extension(env::consts::EXE_EXTENSION);
        if !program.is_file() {
            return false;
        }
        let said = cmd!(workspace.shell, "{program} --version").quiet().ignore_stderr().read();
        let matches =
            said.as_ref().is_ok_and(|said| said.split_whitespace().any(|it| it == version));
        if !matches {
            note(format_args!("not using {}: it is not version {version}", program.display()));
        }
        matches
    })
}
