//! Chunk and byte-range arithmetic.
//!
//! A content of `length` bytes is cut into chunks of `chunk_size` bytes, numbered
//! from 0, all equal but the last (thesis section 3.1). Byte ranges are half-open.

mod set;

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use set::ChunkSet;

/// Bytes in a chunk unless a manifest says otherwise: the largest message that
/// Chromium passes whole, and the Cache API's sweet spot.
pub const DEFAULT_CHUNK_SIZE: u32 = 256 * 1024;

/// Smallest and largest chunk size that a manifest may declare, in bytes.
pub const CHUNK_SIZE_LIMITS: std::ops::RangeInclusive<u32> = 1024..=16 * 1024 * 1024;

/// Most chunks that a content may have: bounds a manifest at 32 MiB.
pub const MAX_CHUNKS: u32 = 1 << 20;

/// Chunks that a content has at most before its chunks become larger: 16 GiB of default
/// chunks, a manifest of 2 MiB.
pub const COMFORTABLE_CHUNKS: u32 = 1 << 16;

/// Position of a chunk in its content, from 0.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ChunkIndex(pub u32);

impl fmt::Display for ChunkIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A half-open range of bytes, `start..end`; never negative, possibly empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl ByteRange {
    /// `start..end`, empty where `end` is before `start`.
    pub fn new(start: u64, end: u64) -> Self {
        let end = end.max(start);
        Self { start, end }
    }

    /// Number of bytes.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether it holds no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The bytes in both.
    pub fn intersection(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }
}

/// How a content is cut: its length and its chunk size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    length: u64,
    chunk_size: u32,
}

impl Layout {
    /// A layout, if both numbers are within [`CHUNK_SIZE_LIMITS`] and [`MAX_CHUNKS`].
    ///
    /// # Errors
    /// [`InvalidLayout`] says which number is out of bounds.
    pub fn new(length: u64, chunk_size: u32) -> Result<Self, InvalidLayout> {
        if !CHUNK_SIZE_LIMITS.contains(&chunk_size) {
            return Err(InvalidLayout::ChunkSize(chunk_size));
        }
        if length > u64::from(chunk_size) * u64::from(MAX_CHUNKS) {
            return Err(InvalidLayout::TooLong(length));
        }
        Ok(Self { length, chunk_size })
    }

    /// How a content of this length is cut by whoever makes its manifest, and by whoever
    /// has none yet: into default chunks, or, where there would be more than
    /// [`COMFORTABLE_CHUNKS`], into those of the smallest power of two of which there are
    /// not, within what a manifest may declare.
    ///
    /// # Errors
    /// [`InvalidLayout::TooLong`] above 16 TiB.
    pub fn of_length(length: u64) -> Result<Self, InvalidLayout> {
        let limit = *CHUNK_SIZE_LIMITS.end();
        let mut chunk_size = DEFAULT_CHUNK_SIZE;
        while chunk_size < limit
            && length.div_ceil(chunk_size.into()) > u64::from(COMFORTABLE_CHUNKS)
        {
            chunk_size *= 2;
        }
        Self::new(length, chunk_size)
    }

    /// Length of the content in bytes.
    pub fn length(self) -> u64 {
        self.length
    }

    /// Bytes in every chunk but the last.
    pub fn chunk_size(self) -> u32 {
        self.chunk_size
    }

    /// Number of chunks; 0 for an empty content.
    pub fn chunk_count(self) -> u32 {
        narrow(self.length.div_ceil(u64::from(self.chunk_size)))
    }

    /// Every chunk, in order.
    pub fn chunks(self) -> impl DoubleEndedIterator<Item = ChunkIndex> {
        (0..self.chunk_count()).map(ChunkIndex)
    }

    /// The bytes of `chunk`; empty past the end.
    pub fn range_of(self, chunk: ChunkIndex) -> ByteRange {
        let start = (u64::from(chunk.0) * u64::from(self.chunk_size)).min(self.length);
        let end = (start + u64::from(self.chunk_size)).min(self.length);
        ByteRange::new(start, end)
    }

    /// Bytes in `chunk`; 0 past the end.
    pub fn size_of(self, chunk: ChunkIndex) -> u32 {
        narrow(self.range_of(chunk).len())
    }

    /// The chunk that holds the byte at `offset`; for an offset at or past the
    /// end, one past the last chunk.
    pub fn chunk_at(self, offset: u64) -> ChunkIndex {
        if offset >= self.length {
            return ChunkIndex(self.chunk_count());
        }
        ChunkIndex(narrow(offset / u64::from(self.chunk_size)))
    }

    /// The chunks that hold any byte of `range`.
    pub fn covering(self, range: ByteRange) -> Range<u32> {
        let range = range.intersection(ByteRange::new(0, self.length));
        if range.is_empty() {
            return 0..0;
        }
        self.chunk_at(range.start).0..self.chunk_at(range.end - 1).0 + 1
    }

    /// The bytes of a run of chunks.
    pub fn range_of_run(self, chunks: &Range<u32>) -> ByteRange {
        if chunks.is_empty() {
            return ByteRange::new(0, 0);
        }
        let first = self.range_of(ChunkIndex(chunks.start));
        let last = self.range_of(ChunkIndex(chunks.end - 1));
        ByteRange::new(first.start, last.end)
    }
}

/// A number known to be at most `u32::MAX` by [`Layout::new`]'s bounds.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A layout out of bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLayout {
    /// Not within [`CHUNK_SIZE_LIMITS`].
    #[error("chunk size {0} is not within {CHUNK_SIZE_LIMITS:?}")]
    ChunkSize(u32),
    /// More than [`MAX_CHUNKS`] chunks.
    #[error("a content of {0} bytes has more than {MAX_CHUNKS} chunks")]
    TooLong(u64),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn chunks_double_until_there_are_few_enough() {
        const GIB: u64 = 1 << 30;
        let cases = [
            (0, 256 << 10),
            (16 * GIB, 256 << 10),
            (16 * GIB + 1, 512 << 10),
            (100 * GIB, 2 << 20),
            (1024 * GIB, 16 << 20),
            (16 * 1024 * GIB, 16 << 20),
        ];
        for (length, chunk_size) in cases {
            assert_eq!(Layout::of_length(length).unwrap().chunk_size(), chunk_size, "{length}");
        }
        assert!(Layout::of_length(16 * 1024 * GIB + 1).is_err());
    }
}
