//! Names in the browser's store (the Cache API). The worker is the only writer;
//! pages read chunks by these names to upload them.

use crate::{ChunkIndex, ContentId};

/// Name of the cache that holds chunks, manifests and the catalogue. Changes
/// with the format: caches of other names with [`CACHE_PREFIX`] are dropped when
/// a worker activates.
pub const CACHE: &str = "dcdn-store-v1";

/// Every cache of ours starts with this.
pub const CACHE_PREFIX: &str = "dcdn-";

/// Path under which a chunk's bytes are kept. Never asked of the network.
pub fn chunk_path(content: ContentId, chunk: ChunkIndex) -> String {
    format!("/dcdn/store/chunk/{content}/{chunk}")
}

/// Path under which the manifest of a resource is kept.
pub fn manifest_path(url: &str) -> String {
    format!("/dcdn/store/manifest?url={url}")
}
