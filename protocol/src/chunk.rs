//! Chunk and byte-range arithmetic.
//!
//! A content of `length` bytes is cut into chunks of `chunk_size` bytes, numbered
//! from 0, all equal but the last (thesis section 3.1). Byte ranges are half-open.

use std::fmt;
use std::ops::Range;

use rangemap::RangeSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Bytes in a chunk unless a manifest says otherwise: the largest message that
/// Chromium passes whole, and the Cache API's sweet spot.
pub const DEFAULT_CHUNK_SIZE: u32 = 256 * 1024;

/// Smallest and largest chunk size that a manifest may declare, in bytes.
pub const CHUNK_SIZE_LIMITS: std::ops::RangeInclusive<u32> = 1024..=16 * 1024 * 1024;

/// Most chunks that a content may have: bounds a manifest at 32 MiB.
pub const MAX_CHUNKS: u32 = 1 << 20;

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

/// A set of chunks, kept and written as runs: `[[0,12],[20,21]]` in JSON, half-open.
/// Memory follows the number of runs, so a hostile message costs what it weighs.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ChunkSet(RangeSet<u32>);

impl ChunkSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chunks `0..count`.
    pub fn full(count: u32) -> Self {
        let mut set = Self::new();
        set.insert_run(0..count);
        set
    }

    /// Whether `chunk` is in the set.
    pub fn contains(&self, chunk: ChunkIndex) -> bool {
        self.0.contains(&chunk.0)
    }

    /// Adds a chunk.
    pub fn insert(&mut self, chunk: ChunkIndex) {
        self.insert_run(chunk.0..chunk.0.saturating_add(1));
    }

    /// Adds a run of chunks.
    pub fn insert_run(&mut self, run: Range<u32>) {
        if !run.is_empty() {
            self.0.insert(run);
        }
    }

    /// Takes a chunk out.
    pub fn remove(&mut self, chunk: ChunkIndex) {
        let run = chunk.0..chunk.0.saturating_add(1);
        if !run.is_empty() {
            self.0.remove(run);
        }
    }

    /// Number of chunks.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|run| run.end - run.start).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it holds all of `0..count`.
    pub fn is_full(&self, count: u32) -> bool {
        count == 0 || self.0.gaps(&(0..count)).next().is_none()
    }

    /// Its first `max` runs.
    pub fn first_runs(&self, max: usize) -> Self {
        Self(self.0.iter().take(max).cloned().collect())
    }

    /// What it holds and `other` does not.
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = self.0.clone();
        other.0.iter().for_each(|run| rest.remove(run.clone()));
        Self(rest)
    }

    /// The runs, ascending and apart.
    pub fn runs(&self) -> impl Iterator<Item = Range<u32>> {
        self.0.iter().cloned()
    }

    /// The chunks, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ChunkIndex> {
        self.0.iter().flat_map(|run| run.clone().map(ChunkIndex))
    }
}

impl fmt::Debug for ChunkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter()).finish()
    }
}

impl FromIterator<ChunkIndex> for ChunkSet {
    fn from_iter<I: IntoIterator<Item = ChunkIndex>>(chunks: I) -> Self {
        let mut set = Self::new();
        for chunk in chunks {
            set.insert(chunk);
        }
        set
    }
}

impl Serialize for ChunkSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|run| (run.start, run.end)))
    }
}

impl<'de> Deserialize<'de> for ChunkSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let runs = Vec::<(u32, u32)>::deserialize(deserializer)?;
        let mut set = Self::new();
        for (start, end) in runs {
            if start >= end || end > MAX_CHUNKS {
                return Err(D::Error::custom(format_args!(
                    "not a run of chunks below {MAX_CHUNKS}: [{start},{end}]"
                )));
            }
            set.insert_run(start..end);
        }
        Ok(set)
    }
}
