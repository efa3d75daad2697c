//! The manifest: what a content is, and the hash of each of its chunks.
//!
//! The thesis's metadata (section 3.1: length, chunk size, MIME type) with the
//! hashes that make bytes from strangers usable.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::chunk::{InvalidLayout, Layout};
use crate::frame::{self, FrameError};
use crate::{ChunkIndex, ContentId, names, record};

/// The codes by which the coordination server says that a resource has no manifest, and will
/// have none as it is. Any other is of the moment: it may be asked again.
pub const REFUSALS: [&str; 8] = [
    "bad_url",
    "not_public",
    "personal",
    "outside_root",
    "not_found",
    "too_small",
    "too_large",
    "unsuited",
];

/// SHA-256 of one chunk's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkHash(pub [u8; HASH_LEN]);

/// Bytes of a SHA-256.
pub const HASH_LEN: usize = 32;

impl ChunkHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// A content's description. On the wire it is one frame: the fields as JSON, the
/// chunk hashes concatenated as the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Path and query of the resource on its origin, `/media/a.jpg`.
    pub url: String,
    /// How the content is cut.
    pub layout: Layout,
    /// MIME type, as the origin's `Content-Type` says.
    pub mime: String,
    /// The origin's `ETag`, verbatim.
    pub etag: Option<String>,
    /// The origin's `Last-Modified`, verbatim.
    pub last_modified: Option<String>,
    /// The origin's `Cache-Control`, verbatim.
    pub cache_control: Option<String>,
    /// SHA-256 of each chunk, in order.
    pub hashes: Vec<ChunkHash>,
    content: ContentId,
}

impl Manifest {
    /// A manifest for `hashes.len()` chunks.
    ///
    /// # Errors
    /// [`ManifestError::ChunkCount`] if there are not as many hashes as chunks.
    pub fn new(
        url: String,
        layout: Layout,
        mime: String,
        etag: Option<String>,
        last_modified: Option<String>,
        hashes: Vec<ChunkHash>,
    ) -> Result<Self, ManifestError> {
        let expected = layout.chunk_count();
        if hashes.len() != expected as usize {
            return Err(ManifestError::ChunkCount { expected, actual: hashes.len() });
        }
        let content = content_id(layout, &hashes);
        let cache_control = None;
        Ok(Self { url, layout, mime, etag, last_modified, cache_control, hashes, content })
    }

    /// The same with what the origin says of caching.
    #[must_use]
    pub fn with_cache_control(self, cache_control: Option<String>) -> Self {
        Self { cache_control, ..self }
    }

    /// SHA-256 over the length (`u64` little-endian), the chunk size (`u32`
    /// little-endian) and the chunk hashes in order.
    pub fn content_id(&self) -> ContentId {
        self.content
    }

    /// The hash that `chunk` must have; `None` past the end.
    pub fn hash_of(&self, chunk: ChunkIndex) -> Option<ChunkHash> {
        self.hashes.get(chunk.0 as usize).copied()
    }

    /// The header of the manifest's frame, for callers that have a JSON writer of their own.
    pub fn header(&self) -> Header {
        Header {
            kind: Kind::Manifest,
            version: crate::VERSION,
            url: self.url.clone(),
            content: self.content,
            length: self.layout.length(),
            chunk_size: self.layout.chunk_size(),
            mime: self.mime.clone(),
            etag: self.etag.clone(),
            last_modified: self.last_modified.clone(),
            cache_control: self.cache_control.clone(),
        }
    }

    /// The body of the manifest's frame: the hashes.
    pub fn body(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// The manifest as one frame.
    ///
    /// # Errors
    /// If the header is over [`frame::MAX_HEADER`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        frame::encode(&self.header(), &self.body())
    }

    /// Reads a manifest's frame.
    ///
    /// # Errors
    /// If the frame is wrong, or as [`Manifest::from_parts`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let (header, body) = frame::decode(bytes)?;
        Self::from_parts(header, body)
    }

    /// Puts a manifest together and checks that its content id is that of its hashes, so
    /// that a manifest known by its id can come from anywhere.
    ///
    /// # Errors
    /// If the version, the layout, the number of hashes or the content id is wrong.
    pub fn from_parts(fields: Header, body: &[u8]) -> Result<Self, ManifestError> {
        if fields.version != crate::VERSION {
            return Err(ManifestError::Version(fields.version));
        }
        let layout = Layout::new(fields.length, fields.chunk_size)?;
        let (hashes, rest) = body.as_chunks::<HASH_LEN>();
        if !rest.is_empty() {
            return Err(ManifestError::ChunkCount {
                expected: layout.chunk_count(),
                actual: hashes.len(),
            });
        }
        let hashes = hashes.iter().copied().map(ChunkHash).collect();
        let manifest =
            Self::new(fields.url, layout, fields.mime, fields.etag, fields.last_modified, hashes)?
                .with_cache_control(fields.cache_control);
        if manifest.content != fields.content {
            return Err(ManifestError::ContentId);
        }
        Ok(manifest)
    }
}

fn content_id(layout: Layout, hashes: &[ChunkHash]) -> ContentId {
    let mut hasher = Sha256::new();
    hasher.update(layout.length().to_le_bytes());
    hasher.update(layout.chunk_size().to_le_bytes());
    for hash in hashes {
        hasher.update(hash.0);
    }
    ContentId(hasher.finalize().into())
}

/// The header of a manifest's frame.
#[derive(Debug, Serialize, Deserialize)]
pub struct Header {
    #[serde(rename = "type")]
    kind: Kind,
    version: u16,
    url: String,
    content: ContentId,
    length: u64,
    chunk_size: u32,
    mime: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
}

record!(Header {
    kind("type"),
    version,
    url,
    content,
    length,
    chunk_size,
    mime,
    etag or_none,
    last_modified or_none,
    cache_control or_none,
});

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Manifest,
}

names!(Kind { Manifest = "manifest" });

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The bytes are not a manifest's frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Of a version that this code does not speak.
    #[error("manifest of version {0}, not {version}", version = crate::VERSION)]
    Version(u16),
    /// Length or chunk size out of bounds.
    #[error(transparent)]
    Layout(#[from] InvalidLayout),
    /// Not one hash for each chunk.
    #[error("{actual} chunk hashes for {expected} chunks")]
    ChunkCount {
        /// Chunks by length and chunk size.
        expected: u32,
        /// Hashes in the body.
        actual: usize,
    },
    /// The content id is not that of the hashes.
    #[error("content id does not match the chunk hashes")]
    ContentId,
}
