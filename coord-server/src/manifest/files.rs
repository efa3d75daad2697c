//! Manifests of a directory's files.

use std::sync::Arc;
use std::time::Instant;

use dcdn_protocol::Manifest;
use dcdn_protocol::caching::CacheControl;

use super::error::ManifestError;
use super::hashing::{HashError, Hasher};
use super::store::Store;
use crate::limit::address::Purse;
use crate::metrics::Metrics;
use crate::requests::blocking;
use crate::site::path::SitePath;
use crate::site::root::{Root, SiteFile};

/// How often a file that changes under our hands is hashed anew.
const ATTEMPTS: u32 = 4;

/// Makes manifests of the site's files.
#[derive(Debug)]
pub struct Files {
    root: Root,
    min_bytes: u64,
    cache_control: Option<String>,
    hasher: Hasher,
}

impl Files {
    /// Manifests of the files below `root` of at least `min_bytes`, all of which are sent
    /// with this `Cache-Control`. Hashes are kept in `store`.
    pub fn new(
        root: Root,
        min_bytes: u64,
        cache_control: Option<String>,
        store: Store,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { root, min_bytes, cache_control, hasher: Hasher::new(store, metrics) }
    }

    /// The manifest of the file that `path` stands for, with `url` as its URL. If it has to
    /// be hashed, that is at the cost of `purse`.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub async fn describe(
        &self,
        url: &str,
        path: SitePath,
        purse: &Purse,
    ) -> Result<Manifest, ManifestError> {
        if !CacheControl::parse(self.cache_control.as_deref()).may_be_shared() {
            return Err(ManifestError::Personal("the site's Cache-Control says so"));
        }
        for _ in 0..ATTEMPTS {
            let opened = self.open(path.clone()).await?;
            if opened.version.length < self.min_bytes {
                return Err(ManifestError::TooSmall(self.min_bytes));
            }
            let (version, mime) = (opened.version.clone(), opened.mime);
            let hashes = match self.hasher.hash(opened, purse).await {
                Ok(hashes) => hashes,
                Err(HashError::Changed) => continue,
                // Somebody else's excess, who asked for the same at the same time.
                Err(HashError::Excess(_)) if purse.may_hash(Instant::now()) => continue,
                Err(error) => return Err(ManifestError::Hash(error)),
            };
            return Manifest::new(
                url.to_owned(),
                hashes.layout,
                mime.to_owned(),
                Some(version.etag()),
                version.last_modified(),
                hashes.chunks.clone(),
            )
            .map(|manifest| manifest.with_cache_control(self.cache_control.clone()))
            .map_err(ManifestError::Manifest);
        }
        Err(ManifestError::Changing)
    }

    async fn open(&self, path: SitePath) -> Result<SiteFile, ManifestError> {
        let root = self.root.clone();
        let opened = blocking(move || root.open(&path)).await;
        opened.map_err(|_| ManifestError::Stopped)?.map_err(ManifestError::Open)
    }
}
