//! One content on its way to its readers: what is in memory, what is under way.
//! The counterpart of the worker's `session` and `chunks`, without the bytes.

use dcdn_protocol::{ChunkIndex, Layout};
use dcdn_swarm::{Download, Link, OriginRequest, ReaderId};

use crate::event::{ContentNo, Slot};

/// Chunks of the origin that wait for the manifest at the most, as in the worker.
const MAX_UNVERIFIED: usize = 32;

/// One content on its way to its readers.
#[derive(Debug)]
pub struct Session {
    /// Its number.
    pub slot: Slot,
    /// Of what.
    pub content: ContentNo,
    /// How it is cut; known to [`Session::download`] from [`Session::described`] on.
    pub layout: Layout,
    /// Decides; `None` over plain HTTP.
    pub download: Option<Box<Download>>,
    /// Whether length and type are known, so that responses can start.
    pub described: bool,
    /// The manifest.
    pub manifest: Manifest,
    /// Readers wait until a content that is known is found to be current.
    pub settling: bool,
    /// Who reads.
    pub readers: Vec<Reader>,
    /// What is in memory.
    pub buffers: Vec<Buffer>,
    /// Requests to the origin.
    pub flights: Vec<Flight>,
    /// Whole chunks of the origin that wait for the manifest.
    pub unverified: Vec<ChunkIndex>,
    /// Whether the page looks for peers.
    pub joined: bool,
    /// When a tick is due; `u64::MAX` if none.
    pub tick_at: u64,
    /// When it ends if nobody reads by then.
    pub linger_at: u64,
}

/// What is known of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// Asked for.
    Pending,
    /// Here; waits for the origin's word, until that time at the most.
    Waiting,
    /// In force.
    Ready,
}

/// One response on its way to the application.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Its number.
    pub id: ReaderId,
    /// The next byte.
    pub position: u64,
    /// One past the last byte.
    pub end: u64,
    /// Over plain HTTP: up to where bytes have come.
    pub upto: u64,
    /// One past the last byte as it was asked for, perhaps beyond the content's end.
    pub asked_end: u64,
}

/// A chunk in memory, or its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// Which.
    pub chunk: ChunkIndex,
    /// Bytes from the chunk's start.
    pub filled: u32,
    /// How many of these came from a peer.
    pub from_peer: u32,
    /// All from the store.
    pub from_store: bool,
    /// May be given to readers.
    pub readable: bool,
    /// Where an unverified beginning came from, and whether it is wrong.
    pub salvaged: Option<(Link, bool)>,
}

/// A request to the origin.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    /// Its number.
    pub request: OriginRequest,
    /// First byte of the answer.
    pub start: u64,
    /// One past the last byte of the answer.
    pub end: u64,
    /// Bytes that have come to the line.
    pub line: u64,
    /// Bytes that have passed the line.
    pub got: u64,
    /// Whether anything has.
    pub answered: bool,
}

/// What the origin's bytes have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// The chunk is whole and right; so many bytes of it came from a peer.
    Whole(ChunkIndex, u32),
    /// It is whole, and what a peer gave of it was wrong.
    Wrong(ChunkIndex, Link),
}

impl Session {
    /// A session that knows nothing yet.
    pub fn new(
        slot: Slot,
        content: ContentNo,
        layout: Layout,
        download: Option<Box<Download>>,
    ) -> Self {
        Self {
            slot,
            content,
            layout,
            download,
            described: false,
            manifest: Manifest::Pending,
            settling: false,
            readers: Vec::new(),
            buffers: Vec::new(),
            flights: Vec::new(),
            unverified: Vec::new(),
            joined: false,
            tick_at: u64::MAX,
            linger_at: u64::MAX,
        }
    }

    /// The buffer of a chunk.
    pub fn buffer(&mut self, chunk: ChunkIndex) -> Option<&mut Buffer> {
        self.buffers.iter_mut().find(|buffer| buffer.chunk == chunk)
    }

    /// Whether a chunk is in memory as a whole, right and readable.
    pub fn is_whole(&self, chunk: ChunkIndex) -> bool {
        let size = self.layout.size_of(chunk);
        self.buffers.iter().any(|it| it.chunk == chunk && it.filled == size && it.readable)
    }

    /// Puts a whole, verified chunk in its place. False if it was there already.
    pub fn put(&mut self, chunk: ChunkIndex, from_store: bool) -> bool {
        if self.is_whole(chunk) {
            return false;
        }
        let size = self.layout.size_of(chunk);
        let from_peer = if from_store { 0 } else { size };
        self.buffers.retain(|buffer| buffer.chunk != chunk);
        self.buffers.push(Buffer {
            chunk,
            filled: size,
            from_peer,
            from_store,
            readable: true,
            salvaged: None,
        });
        true
    }

    /// Keeps the first bytes of a chunk from a peer. False if there is better.
    pub fn salvage(&mut self, chunk: ChunkIndex, received: u32, link: Link, bad: bool) -> bool {
        if received == 0 || self.buffer(chunk).is_some_and(|buffer| buffer.filled >= received) {
            return false;
        }
        self.buffers.retain(|buffer| buffer.chunk != chunk);
        self.buffers.push(Buffer {
            chunk,
            filled: received,
            from_peer: received,
            from_store: false,
            readable: false,
            salvaged: Some((link, bad)),
        });
        true
    }

    /// Bytes of the origin, `from..to`, have come.
    pub fn fill(&mut self, from: u64, to: u64, whole: &mut Vec<Filled>) {
        let layout = self.layout;
        for chunk in layout.covering(dcdn_protocol::ByteRange::new(from, to)).map(ChunkIndex) {
            let place = layout.range_of(chunk);
            let at = crate::num::narrow(from.max(place.start) - place.start);
            let until = crate::num::narrow(to.min(place.end) - place.start);
            let size = layout.size_of(chunk);
            let known = self.buffers.iter().position(|buffer| buffer.chunk == chunk);
            let index = known.unwrap_or_else(|| {
                let (filled, from_peer) = (0, 0);
                let (from_store, readable, salvaged) = (false, true, None);
                self.buffers.push(Buffer {
                    chunk,
                    filled,
                    from_peer,
                    from_store,
                    readable,
                    salvaged,
                });
                self.buffers.len() - 1
            });
            let buffer = &mut self.buffers[index];
            // A part that leaves a gap, or that another source has brought, is of no use.
            if buffer.filled == size || at > buffer.filled {
                continue;
            }
            buffer.filled = buffer.filled.max(until);
            if buffer.filled < size {
                continue;
            }
            match buffer.salvaged.take() {
                Some((link, true)) => {
                    self.buffers.swap_remove(index);
                    whole.push(Filled::Wrong(chunk, link));
                }
                _ => {
                    buffer.readable = true;
                    whole.push(Filled::Whole(chunk, buffer.from_peer));
                }
            }
        }
    }

    /// What a reader at `position` can be given up to `end`: bytes from the origin,
    /// peers and store.
    pub fn readable(&self, position: u64, end: u64) -> Option<(u64, [u64; 3])> {
        let chunk = self.layout.chunk_at(position);
        let start = self.layout.range_of(chunk).start;
        let buffer = self.buffers.iter().find(|buffer| buffer.chunk == chunk)?;
        let upto = end.min(start + u64::from(buffer.filled));
        if !buffer.readable || upto <= position {
            return None;
        }
        let bytes = upto - position;
        let split = start + u64::from(buffer.from_peer);
        let from_peer = split.min(upto).saturating_sub(position);
        let sources =
            if buffer.from_store { [0, 0, bytes] } else { [bytes - from_peer, from_peer, 0] };
        Some((upto, sources))
    }

    /// No reader needs the chunk.
    pub fn release(&mut self, chunk: ChunkIndex) {
        self.buffers.retain(|buffer| buffer.chunk != chunk);
    }

    /// A chunk of the origin waits for the manifest, if there is room.
    pub fn wait_for_manifest(&mut self, chunk: ChunkIndex) {
        if self.unverified.len() < MAX_UNVERIFIED {
            self.unverified.push(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;

    const SIZE: u64 = DEFAULT_CHUNK_SIZE as u64;

    fn session() -> Session {
        let layout = Layout::new(3 * SIZE, DEFAULT_CHUNK_SIZE).expect("a layout");
        Session::new(Slot(0), ContentNo(0), layout, None)
    }

    #[test]
    fn the_origins_bytes_can_be_read_before_their_chunk_is_whole() {
        let (mut session, mut whole) = (session(), Vec::new());
        session.fill(0, 1000, &mut whole);
        assert_eq!(session.readable(0, 3 * SIZE), Some((1000, [1000, 0, 0])));
        session.fill(1000, SIZE + 5, &mut whole);
        assert_eq!(whole, [Filled::Whole(ChunkIndex(0), 0)]);
        assert_eq!(session.readable(SIZE, 3 * SIZE), Some((SIZE + 5, [5, 0, 0])));
    }

    #[test]
    fn what_was_salvaged_is_read_only_when_the_origin_has_completed_it() {
        let (mut session, mut whole) = (session(), Vec::new());
        assert!(session.salvage(ChunkIndex(1), 1000, Link(0), false));
        assert_eq!(session.readable(SIZE, 3 * SIZE), None);
        session.fill(SIZE + 1000, 2 * SIZE, &mut whole);
        assert_eq!(whole, [Filled::Whole(ChunkIndex(1), 1000)]);
        let read = session.readable(SIZE, 3 * SIZE);
        assert_eq!(read, Some((2 * SIZE, [SIZE - 1000, 1000, 0])));
    }

    #[test]
    fn a_lie_that_was_salvaged_is_found_out_and_dropped() {
        let (mut session, mut whole) = (session(), Vec::new());
        session.salvage(ChunkIndex(1), 1000, Link(7), true);
        session.fill(SIZE + 1000, 2 * SIZE, &mut whole);
        assert_eq!(whole, [Filled::Wrong(ChunkIndex(1), Link(7))]);
        assert_eq!(session.readable(SIZE, 3 * SIZE), None);
    }
}
