//! The chunks of one content that are in memory. Their bytes stay in JS.

use dcdn_protocol::stats::Source;
use dcdn_protocol::{ByteRange, ChunkIndex, Layout};
use dcdn_swarm::Link;
use js_sys::{Object, Uint8Array};
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

/// Where a chunk's bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// So many bytes from the chunk's start came from a peer that was late with the
    /// others; usually none.
    late_peer: u32,
    /// The others.
    rest: Source,
}

impl From<Source> for Sources {
    fn from(source: Source) -> Self {
        Self { late_peer: 0, rest: source }
    }
}

impl Sources {
    /// So many bytes from a peer that was late, the others from the origin.
    pub fn mixed(late_peer: u32) -> Self {
        Self { late_peer, rest: Source::Http }
    }

    /// Where the byte at `offset` came from, and, if another source's begin after
    /// it, where those do.
    fn at(self, offset: u32) -> (Source, Option<u32>) {
        if offset < self.late_peer {
            return (Source::P2p, Some(self.late_peer));
        }
        (self.rest, None)
    }
}

/// A chunk of which all bytes are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complete {
    /// All from the origin.
    Whole(ChunkIndex),
    /// Begun by a peer and completed by the origin: nobody may see it before
    /// somebody has compared its hash.
    Mixed(ChunkIndex),
    /// From where a reader began to its end, from the origin: see [`Chunks::begin_at`].
    Tail(ChunkIndex),
}

/// The end of a chunk, whose beginning is still to be fetched.
#[derive(Clone, Debug)]
pub struct Tail {
    /// Of which chunk.
    pub index: ChunkIndex,
    /// Room for the whole chunk, with the tail in its place.
    pub bytes: Uint8Array,
    /// Bytes that are missing before it.
    pub missing: u32,
}

/// Chunk buffers by index.
#[derive(Debug, Default)]
pub struct Chunks(VecMap<ChunkIndex, Buffer>);

#[derive(Debug)]
struct Buffer {
    bytes: Uint8Array,
    /// Where what is there begins: 0, or where a reader began.
    from: u32,
    /// Where it ends.
    filled: u32,
    sources: Sources,
    /// Whose unverified bytes its beginning is. As long as it is anybody's, the
    /// chunk is nothing to readers.
    suspect: Option<Link>,
    verified: bool,
    /// The readers are through with it; it only waits to be verified.
    released: bool,
}

impl Buffer {
    fn new(bytes: Uint8Array, filled: u32, sources: Sources) -> Self {
        Self { bytes, from: 0, filled, sources, suspect: None, verified: false, released: false }
    }

    fn reaches_end(&self) -> bool {
        self.filled == self.bytes.length()
    }

    fn is_complete(&self) -> bool {
        self.from == 0 && self.reaches_end()
    }

    fn is_whole(&self) -> bool {
        self.is_complete() && self.suspect.is_none()
    }

    /// The origin's bytes come from `at` on: a peer's from there on do not count.
    fn prefer_origin(&mut self, at: u32) {
        if at < self.sources.late_peer {
            self.sources.late_peer = at;
            self.filled = at;
        }
        if self.sources.late_peer == 0 {
            self.suspect = None;
        }
    }
}

impl Chunks {
    /// Copies a piece of the origin's body, which starts at `offset` of the
    /// content, to where it belongs. Returns the chunks that are now complete.
    pub fn fill(&mut self, layout: Layout, offset: u64, piece: &Uint8Array) -> Vec<Complete> {
        let span = ByteRange::new(offset, offset + u64::from(piece.length()));
        let mut complete = Vec::new();
        for chunk in layout.covering(span).map(ChunkIndex) {
            let place = layout.range_of(chunk);
            let part = place.intersection(span);
            let at = narrow(part.start - place.start);
            let there = self.0.get(&chunk);
            let filled = there.map_or(0, |buffer| buffer.filled);
            // A part that leaves a gap, or that another source has brought, is of no use.
            if at > filled || there.is_some_and(Buffer::is_complete) {
                continue;
            }
            let buffer = self.0.entry(chunk).or_insert_with(|| {
                let bytes = Uint8Array::new_with_length(layout.size_of(chunk));
                Buffer::new(bytes, 0, Source::Http.into())
            });
            buffer.prefer_origin(at);
            if at < buffer.from {
                (buffer.from, buffer.filled) = (at, at);
            }
            let from = narrow(part.start - span.start);
            let bytes = piece.subarray(from, from + narrow(part.len()));
            buffer.bytes.set(&bytes, at);
            buffer.filled = buffer.filled.max(at + narrow(part.len()));
            if buffer.reaches_end() {
                complete.push(match buffer.suspect {
                    _ if buffer.from > 0 => Complete::Tail(chunk),
                    None => Complete::Whole(chunk),
                    Some(_) => Complete::Mixed(chunk),
                });
            }
        }
        complete
    }

    /// Expects the origin's bytes from `offset` on, where a reader begins in the middle of a
    /// chunk. Nothing changes at a chunk's start, or if something of it is there.
    pub fn begin_at(&mut self, layout: Layout, offset: u64) {
        let chunk = layout.chunk_at(offset);
        let at = narrow(offset - layout.range_of(chunk).start);
        if at == 0 || self.0.contains_key(&chunk) {
            return;
        }
        let bytes = Uint8Array::new_with_length(layout.size_of(chunk));
        let buffer = Buffer::new(bytes, at, Source::Http.into());
        self.0.insert(chunk, Buffer { from: at, ..buffer });
    }

    /// Whether anything of a chunk is there.
    pub fn has(&self, chunk: ChunkIndex) -> bool {
        self.0.contains_key(&chunk)
    }

    /// A chunk that lacks nothing but its beginning.
    pub fn tail(&self, index: ChunkIndex) -> Option<Tail> {
        let buffer = self.0.get(&index).filter(|it| it.from > 0 && it.reaches_end())?;
        Some(Tail { index, bytes: buffer.bytes.clone(), missing: buffer.from })
    }

    /// Keeps the beginning of a chunk that was late from the peer at `link`, for the
    /// origin to complete. False, and not kept, if it is none, or if there is something
    /// of the chunk already.
    pub fn begin(
        &mut self,
        layout: Layout,
        chunk: ChunkIndex,
        beginning: &Uint8Array,
        link: Link,
    ) -> bool {
        let (size, filled) = (layout.size_of(chunk), beginning.length());
        if filled == 0 || filled >= size || self.0.contains_key(&chunk) {
            return false;
        }
        let bytes = Uint8Array::new_with_length(size);
        bytes.set(beginning, 0);
        let buffer = Buffer::new(bytes, filled, Sources::mixed(filled));
        let buffer = Buffer { suspect: Some(link), ..buffer };
        self.0.insert(chunk, buffer);
        true
    }

    /// The bytes of a mixed chunk that nobody has verified, and whose beginning it has.
    pub fn suspect(&self, chunk: ChunkIndex) -> Option<(Link, Uint8Array)> {
        let buffer = self.0.get(&chunk).filter(|buffer| buffer.is_complete())?;
        Some((buffer.suspect?, buffer.bytes.clone()))
    }

    /// A mixed chunk has the hash that it should have: readers may see it.
    pub fn clear(&mut self, chunk: ChunkIndex) -> Option<Sources> {
        let buffer = self.0.get_mut(&chunk)?;
        buffer.suspect = None;
        buffer.verified = true;
        Some(buffer.sources)
    }

    /// A mixed chunk is wrong.
    pub fn reject(&mut self, chunk: ChunkIndex) {
        self.0.remove(&chunk);
    }

    /// Puts a verified chunk in its place, unless it is there already.
    pub fn put(&mut self, chunk: ChunkIndex, bytes: Uint8Array, sources: Sources) {
        if self.0.get(&chunk).is_some_and(Buffer::is_whole) {
            return;
        }
        let filled = bytes.length();
        let buffer = Buffer { verified: true, ..Buffer::new(bytes, filled, sources) };
        self.0.insert(chunk, buffer);
    }

    /// What can be given to a reader at `offset`, up to `end` and to the end of
    /// the chunk or of what came from one source, and where it came from.
    pub fn read(&self, layout: Layout, offset: u64, end: u64) -> Option<(Uint8Array, Source)> {
        let chunk = layout.chunk_at(offset);
        let buffer = self.0.get(&chunk).filter(|buffer| buffer.suspect.is_none())?;
        let start = layout.range_of(chunk).start;
        let have = ByteRange::new(start + u64::from(buffer.from), start + u64::from(buffer.filled));
        let part = ByteRange::new(offset, end).intersection(have);
        if part.is_empty() || part.start != offset {
            return None;
        }
        let (first, last) = (narrow(part.start - start), narrow(part.end - start));
        let (source, until) = buffer.sources.at(first);
        Some((buffer.bytes.subarray(first, until.map_or(last, |until| until.min(last))), source))
    }

    /// The beginning of a tail has come too, and the whole has the hash that it should have.
    /// False if the tail is not there any more.
    pub fn complete(&mut self, tail: &Tail) -> bool {
        let Some(buffer) = self.0.get_mut(&tail.index) else { return false };
        if buffer.from != tail.missing || !Object::is(&buffer.bytes, &tail.bytes) {
            return false;
        }
        buffer.from = 0;
        buffer.verified = true;
        true
    }

    /// The bytes of a whole chunk that has the hash that it should have.
    pub fn proven(&self, chunk: ChunkIndex) -> Option<Uint8Array> {
        self.0.get(&chunk).filter(|buffer| buffer.verified).map(|buffer| buffer.bytes.clone())
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
    pub fn cannot_be_verified(&mut self) {
        self.0.retain(|_, buffer| !buffer.released && buffer.suspect.is_none());
    }
}

/// Offsets within one chunk fit, since chunks are bounded.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(all(test, target_arch = "wasm32"))]
mod tests;
