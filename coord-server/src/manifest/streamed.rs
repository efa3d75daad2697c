//! Hashes a content that comes in pieces, a chunk at a time.

use dcdn_protocol::manifest::{ChunkHash, ManifestError};
use dcdn_protocol::{ChunkIndex, Layout};
use sha2::{Digest, Sha256};

/// The hashes of the chunks so far. Holds no byte of them.
pub struct ChunkHasher {
    layout: Layout,
    done: Vec<ChunkHash>,
    hasher: Sha256,
    /// Bytes that the chunk under way still lacks.
    missing: usize,
}

impl ChunkHasher {
    /// Nothing of a content of this layout has come yet.
    pub fn new(layout: Layout) -> Self {
        let missing = layout.size_of(ChunkIndex(0)) as usize;
        Self { layout, done: Vec::new(), hasher: Sha256::new(), missing }
    }

    /// Takes the next bytes. What is more than the content has is ignored.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.missing > 0 {
            let (now, later) = bytes.split_at(bytes.len().min(self.missing));
            self.hasher.update(now);
            self.missing -= now.len();
            bytes = later;
            if self.missing == 0 {
                self.done.push(ChunkHash(self.hasher.finalize_reset().into()));
                let next = u32::try_from(self.done.len()).unwrap_or(u32::MAX);
                self.missing = self.layout.size_of(ChunkIndex(next)) as usize;
            }
        }
    }

    /// The hashes of all chunks.
    ///
    /// # Errors
    /// If not all bytes have come.
    pub fn finish(self) -> Result<Vec<ChunkHash>, ManifestError> {
        let (expected, actual) = (self.layout.chunk_count(), self.done.len());
        if actual != expected as usize {
            return Err(ManifestError::ChunkCount { expected, actual });
        }
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const CHUNK: u32 = 1024;

    fn hasher(length: usize) -> ChunkHasher {
        ChunkHasher::new(Layout::new(length as u64, CHUNK).unwrap())
    }

    proptest! {
        #[test]
        fn the_hashes_are_those_of_the_chunks_however_the_bytes_come(
            bytes in prop::collection::vec(any::<u8>(), 0..5000),
            sizes in prop::collection::vec(1_usize..3000, 1..8),
        ) {
            let mut hasher = hasher(bytes.len());
            let (mut rest, mut sizes) = (bytes.as_slice(), sizes.iter().cycle());
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                hasher.update(piece);
                rest = later;
            }
            let expected: Vec<_> = bytes.chunks(CHUNK as usize).map(ChunkHash::of).collect();
            prop_assert_eq!(hasher.finish().unwrap(), expected);
        }
    }

    #[test]
    fn a_content_that_ends_early_has_no_hashes() {
        let mut hasher = hasher(3000);
        hasher.update(&[0; 2999]);

        assert!(hasher.finish().is_err());
    }
}
