//! Names in the browser's store (the Cache API). The worker is the only writer;
//! pages read chunks by these names to upload them.

use crate::{ChunkIndex, ContentId};

/// Name of the cache that holds chunks, manifests and the catalogue. Changes
/// with the format: caches of other names with [`CACHE_PREFIX`] are dropped when
/// a worker activates.
pub const CACHE: &str = "dcdn-store-v2";

/// Every cache of ours starts with this.
pub const CACHE_PREFIX: &str = "dcdn-";

const CHUNKS: &str = "/dcdn/store/chunk/";
const MANIFESTS: &str = "/dcdn/store/manifest?url=";

/// An entry of the cache, by what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A chunk's bytes.
    Chunk(ContentId, ChunkIndex),
    /// The manifest of the resource with this path and query, as a query has them.
    Manifest(String),
}

impl Entry {
    /// The entry at a path (with query), if it is one of these.
    pub fn at(path: &str) -> Option<Self> {
        if let Some(url) = path.strip_prefix(MANIFESTS) {
            return Some(Self::Manifest(url.to_owned()));
        }
        let (content, chunk) = path.strip_prefix(CHUNKS)?.split_once('/')?;
        Some(Self::Chunk(content.parse().ok()?, ChunkIndex(chunk.parse().ok()?)))
    }

    /// Where it is.
    pub fn path(&self) -> String {
        match self {
            Self::Chunk(content, chunk) => chunk_path(*content, *chunk),
            Self::Manifest(url) => manifest_path(url),
        }
    }
}

/// Path under which a chunk's bytes are kept. Never asked of the network.
pub fn chunk_path(content: ContentId, chunk: ChunkIndex) -> String {
    format!("{CHUNKS}{content}/{chunk}")
}

/// Path under which the manifest of a resource is kept.
pub fn manifest_path(url: &str) -> String {
    // The one character that URLs have as it is in paths, but not in queries.
    format!("{MANIFESTS}{}", url.replace('\'', "%27"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_known_by_its_path_and_nothing_else_is_one() {
        let content = ContentId([0xab; 32]);
        for entry in [
            Entry::Chunk(content, ChunkIndex(7)),
            Entry::Manifest("/media/a.jpg?size=2&x=/y".to_owned()),
        ] {
            assert_eq!(Entry::at(&entry.path()), Some(entry));
        }
        for path in ["/dcdn/store/catalogue", "/dcdn/store/chunk/ab/1", "/media/a.jpg", ""] {
            assert_eq!(Entry::at(path), None, "{path}");
        }
    }
}
