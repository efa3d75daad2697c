//! Who reads what, and hence which chunks are wanted.

use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet, Layout};
use vecmap::VecMap;

use crate::ReaderId;

/// Bytes ahead of a reader that are fetched and kept in memory.
pub const READ_AHEAD: u64 = 8 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Readers(VecMap<ReaderId, Reader>);

#[derive(Debug)]
struct Reader {
    position: u64,
    end: u64,
}

impl Readers {
    pub fn open(&mut self, reader: ReaderId, range: ByteRange) {
        self.0.insert(reader, Reader { position: range.start, end: range.end });
    }

    pub fn advance(&mut self, reader: ReaderId, position: u64) {
        if let Some(reader) = self.0.get_mut(&reader) {
            reader.position = reader.position.max(position);
        }
    }

    pub fn close(&mut self, reader: ReaderId) {
        self.0.remove(&reader);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Offset at which the first of the readers stands.
    pub fn first_position(&self) -> Option<u64> {
        self.0.values().map(|reader| reader.position).min()
    }

    /// Whether any of `bytes` is within a reader's read-ahead, or all are before
    /// every reader. Nobody wants anything where nobody reads.
    pub fn want(&self, bytes: ByteRange) -> bool {
        let ahead = |reader: &Reader| {
            let end = reader.end.min(reader.position.saturating_add(READ_AHEAD));
            bytes.end > reader.position && bytes.start < end
        };
        let before_all = self.0.values().all(|reader| bytes.end <= reader.position);
        !self.0.is_empty() && (before_all || self.0.values().any(ahead))
    }

    /// Every chunk within the read-ahead of a reader, those nearest to their
    /// reader first.
    pub fn wanted(&self, layout: Layout) -> Vec<ChunkIndex> {
        let mut by_distance = Vec::new();
        for reader in self.0.values() {
            let end = reader.end.min(reader.position.saturating_add(READ_AHEAD));
            let run = layout.covering(ByteRange::new(reader.position, end));
            by_distance.extend(run.clone().map(|chunk| (chunk - run.start, ChunkIndex(chunk))));
        }
        by_distance.sort_unstable();
        let mut seen = ChunkSet::new();
        by_distance.retain(|(_, chunk)| {
            let new = !seen.contains(*chunk);
            seen.insert(*chunk);
            new
        });
        by_distance.into_iter().map(|(_, chunk)| chunk).collect()
    }
}
