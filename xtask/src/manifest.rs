//! `wasm-pack.toml`: what is built for the browser, and under which names.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::workspace::Workspace;

/// The file's name, at the workspace's root.
pub const FILE: &str = "wasm-pack.toml";

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub wasm: Vec<WasmCrate>,
    pub scripts: Scripts,
}

/// A crate that becomes a wasm file with its glue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WasmCrate {
    pub package: String,
    pub target: BindgenTarget,
    /// Names the outputs: `NAME.js` and `NAME_bg.wasm`.
    pub out_name: String,
    /// Cargo profile.
    pub profile: String,
}

impl WasmCrate {
    /// The names of the crate's outputs.
    pub fn outputs(&self) -> [String; 2] {
        [format!("{}.js", self.out_name), format!("{}_bg.wasm", self.out_name)]
    }
}

/// wasm-bindgen's `--target`, of which we use two.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BindgenTarget {
    NoModules,
    Web,
}

impl fmt::Display for BindgenTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoModules => "no-modules",
            Self::Web => "web",
        })
    }
}

/// Scripts that are staged as they are, but for the build id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scripts {
    /// Relative to the workspace's root.
    pub directory: PathBuf,
    pub files: Vec<String>,
}

impl Manifest {
    /// Reads the workspace's.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let text = workspace.shell.read_file(FILE)?;
        toml::from_str(&text).with_context(|| format!("{FILE} cannot be understood"))
    }
}
