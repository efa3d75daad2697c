//! Where things are, and which crates there are.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use xshell::Shell;

/// The checkout, with a shell that stands at its root.
pub struct Workspace {
    pub shell: Shell,
    pub metadata: Metadata,
    pub root: PathBuf,
}

impl Workspace {
    /// The one that the current folder is in. Asks cargo, which builds nothing but
    /// resolves Cargo.lock if that is out of date.
    pub fn locate() -> Result<Self> {
        let metadata = MetadataCommand::new().exec().context("cargo metadata failed")?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let shell = Shell::new()?;
        shell.change_dir(&root);
        Ok(Self { shell, metadata, root })
    }

    /// What the server embeds; here whatever CARGO_TARGET_DIR says.
    pub fn staging(&self) -> PathBuf {
        self.root.join("target/dcdn")
    }

    /// Tools that xtask installs for itself; here whatever CARGO_TARGET_DIR says.
    pub fn tools(&self) -> PathBuf {
        self.root.join("target/tools")
    }

    /// The server that `build` leaves.
    pub fn server(&self) -> PathBuf {
        let name = format!("coord-server{}", std::env::consts::EXE_SUFFIX);
        self.metadata.target_directory.join("release").join(name).into_std_path_buf()
    }

    /// The version of a dependency that Cargo.lock has settled on.
    pub fn locked_version(&self, package: &str) -> Result<String> {
        let mut versions = self.metadata.packages.iter().filter(|it| it.name == package);
        match (versions.next(), versions.next()) {
            (Some(only), None) => Ok(only.version.to_string()),
            (None, _) => bail!("{package} is not in Cargo.lock"),
            (Some(one), Some(other)) => bail!(
                "Cargo.lock has two versions of {package}: {} and {}",
                one.version,
                other.version
            ),
        }
    }
}
