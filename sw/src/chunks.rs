//! The chunks of one content that are in memory. Their bytes stay in JS.

use dcdn_protocol::stats::Source;
use dcdn_protocol::{ByteRange, ChunkIndex, Layout};
use js_sys::Uint8Array;
use vecmap::VecMap;

/// Chunks of the origin that wait for the manifest at the most: 8 MiB.
const MAX_UNVERIFIED: usize = 32;

/// A whole chunk on its way in.
pub struct Chunk {
    /// Which.
    pub index: ChunkIndex,
    /// Its bytes.
    pub bytes: Uint8Array,
}

/// Chunk buffers by index.
#[derive(Debug, Default)]
pub struct Chunks(VecMap<ChunkIndex, Buffer>);

#[derive(Debug)]
struct Buffer {
    bytes: Uint8Array,
    /// Bytes from the chunk's start that are there.
    filled: u32,
    source: Source,
    verified: bool,
    /// The readers are through with it; it only waits to be verified.
    released: bool,
}

impl Buffer {
    fn is_whole(&self) -> bool {
        self.filled == self.bytes.length()
    }
}

impl Chunks {
    /// Copies a piece of the origin's body, which starts at `offset` of the
    /// content, to where it belongs. Returns the chunks that are now whole.
    pub fn fill(&mut self, layout: Layout, offset: u64, piece: &Uint8Array) -> Vec<ChunkIndex> {
        let span = ByteRange::new(offset, offset + u64::from(piece.length()));
        let mut whole = Vec::new();
        for chunk in layout.covering(span).map(ChunkIndex) {
            let place = layout.range_of(chunk);
            let part = place.intersection(span);
            let buffer = self.0.entry(chunk).or_insert_with(|| Buffer {
                bytes: Uint8Array::new_with_length(layout.size_of(chunk)),
                filled: 0,
                source: Source::Http,
                verified: false,
                released: false,
            });
            let at = narrow(part.start - place.start);
            // A part that leaves a gap, or that another source has brought, is of no use.
            if buffer.is_whole() || at > buffer.filled {
                continue;
            }
            let from = narrow(part.start - span.start);
            let bytes = piece.subarray(from, from + narrow(part.len()));
            buffer.bytes.set(&bytes, at);
            buffer.filled = buffer.filled.max(at + narrow(part.len()));
            if buffer.is_whole() {
                whole.push(chunk);
            }
        }
        whole
    }

    /// Puts a verified chunk in its place, unless it is there already.
    pub fn put(&mut self, chunk: ChunkIndex, bytes: Uint8Array, source: Source) {
        if self.0.get(&chunk).is_some_and(Buffer::is_whole) {
            return;
        }
        let filled = bytes.length();
        self.0.insert(chunk, Buffer { bytes, filled, source, verified: true, released: false });
    }

    /// What can be given to a reader at `offset`, up to `end` and to the end of
    /// the chunk, and where it came from.
    pub fn read(&self, layout: Layout, offset: u64, end: u64) -> Option<(Uint8Array, Source)> {
        let chunk = layout.chunk_at(offset);
        let buffer = self.0.get(&chunk)?;
        let start = layout.range_of(chunk).start;
        let have = ByteRange::new(start, start + u64::from(buffer.filled));
        let part = ByteRange::new(offset, end).intersection(have);
        if part.is_empty() {
            return None;
        }
        let view = buffer.bytes.subarray(narrow(part.start - start), narrow(part.end - start));
        Some((view, buffer.source))
    }

    /// The bytes of a whole chunk.
    pub fn whole(&self, chunk: ChunkIndex) -> Option<Uint8Array> {
        self.0.get(&chunk).filter(|buffer| buffer.is_whole()).map(|buffer| buffer.bytes.clone())
    }

    /// Whole chunks that nobody has verified yet.
    pub fn unverified(&self) -> Vec<ChunkIndex> {
        self.0
            .iter()
            .filter(|(_, buffer)| buffer.is_whole() && !buffer.verified)
            .map(|(chunk, _)| *chunk)
            .collect()
    }

    /// The chunk has the hash that it should have.
    pub fn verified(&mut self, chunk: ChunkIndex) {
        let Some(buffer) = self.0.get_mut(&chunk) else { return };
        buffer.verified = true;
        if buffer.released {
            self.0.remove(&chunk);
        }
    }

    /// No reader needs the chunk. With `keep_unverified` it stays until the
    /// manifest can say whether it may be stored.
    pub fn release(&mut self, chunk: ChunkIndex, keep_unverified: bool) {
        let waiting = self.0.values().filter(|buffer| buffer.released).count();
        match self.0.get_mut(&chunk) {
            Some(buffer)
                if keep_unverified
                    && buffer.is_whole()
                    && !buffer.verified
                    && waiting < MAX_UNVERIFIED =>
            {
                buffer.released = true;
            }
            _ => {
                self.0.remove(&chunk);
            }
        }
    }

    /// There will be no manifest: what only waited for it goes.
    pub fn drop_released(&mut self) {
        self.0.retain(|_, buffer| !buffer.released);
    }
}

/// Offsets within one chunk fit, since chunks are bounded.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
