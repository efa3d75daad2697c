//! Who reads what, and hence which chunks are wanted.

use std::collections::{BTreeMap, BTreeSet};

use dcdn_protocol::{ByteRange, ChunkIndex, Layout};

use crate::ReaderId;

/// Bytes ahead of a reader that are fetched and kept in memory.
pub const READ_AHEAD: u64 = 8 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Readers(BTreeMap<ReaderId, Reader>);

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

    /// Every chunk within the read-ahead of a reader, those nearest to their
    /// reader first.
    pub fn wanted(&self, layout: Layout) -> Vec<ChunkIndex> {
        let mut by_distance = BTreeSet::new();
        for reader in self.0.values() {
            let end = reader.end.min(reader.position.saturating_add(READ_AHEAD));
            let run = layout.covering(ByteRange::new(reader.position, end));
            for chunk in run.clone() {
                by_distance.insert((chunk - run.start, chunk));
            }
        }
        let mut seen = BTreeSet::new();
        by_distance
            .into_iter()
            .filter(|(_, chunk)| seen.insert(*chunk))
            .map(|(_, chunk)| ChunkIndex(chunk))
            .collect()
    }
}
