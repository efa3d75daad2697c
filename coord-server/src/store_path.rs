//! Where manifests are kept unless somebody says otherwise.

use std::env;
use std::path::{Path, PathBuf};

use coord_server::origin::url::OriginUrl;
use sha2::{Digest, Sha256};

/// For the site in this directory. `None` if there is no place for it.
pub fn of_root(root: &Path) -> Option<PathBuf> {
    let root = std::path::absolute(root).ok()?;
    // Without what is at the end of "/var/www/site/".
    let root: PathBuf = root.components().collect();
    of_site(&format!("root {}", root.display()))
}

/// For the site that this server has. `None` if there is no place for it.
pub fn of_origin(origin: &OriginUrl) -> Option<PathBuf> {
    of_site(&format!("origin {origin}"))
}

/// In the service's own directory, if systemd has made one, or in the user's cache.
fn of_site(site: &str) -> Option<PathBuf> {
    if let Some(directories) = env::var_os("STATE_DIRECTORY") {
        let first = env::split_paths(&directories).next()?;
        return Some(first.join("manifests.redb"));
    }
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    let name = hex::encode(&Sha256::digest(site)[..8]);
    Some(cache.join("dcdn").join(name).with_extension("redb"))
}
