//! What was asked of one peer and is on its way in.

use std::collections::VecDeque;

use dcdn_protocol::{ChunkIndex, ContentId};
use js_sys::{ArrayBuffer, Uint8Array};
use vecmap::VecMap;

use crate::assembly::{Assembly, NotAPiece, Placed};

/// Requests taken back whose late pieces are still expected.
const MAX_DROPPED: usize = 256;

/// A chunk of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChunkKey {
    /// The content.
    pub content: ContentId,
    /// The chunk.
    pub chunk: ChunkIndex,
}

/// The requests to one peer.
#[derive(Debug, Default)]
pub struct Downloads {
    wanted: VecMap<ChunkKey, Assembly>,
    dropped: VecDeque<ChunkKey>,
}

/// What a piece has done.
#[derive(Debug)]
pub enum Arrival {
    /// So many bytes of the chunk have come.
    Progress(u32),
    /// The chunk is whole, and no longer asked for.
    Whole(ArrayBuffer),
    /// It came before, or its request was taken back: nothing to say.
    Late,
    /// It was never asked for.
    Unasked,
    /// It is none of the chunk's pieces; the request has failed.
    Broken(NotAPiece),
}

impl Downloads {
    /// Notes that a chunk of `size` bytes is asked for. False if it is already.
    pub fn request(&mut self, key: ChunkKey, size: u32) -> bool {
        self.dropped.retain(|dropped| *dropped != key);
        if self.wanted.contains_key(&key) {
            return false;
        }
        self.wanted.insert(key, Assembly::new(size));
        true
    }

    /// Takes a request back. False if there is none.
    pub fn cancel(&mut self, key: ChunkKey) -> bool {
        self.take_back(key).is_some()
    }

    /// Takes a request back, and gives what has come. `None` if there is none.
    pub fn take_back(&mut self, key: ChunkKey) -> Option<Assembly> {
        let assembly = self.wanted.remove(&key)?;
        if self.dropped.len() == MAX_DROPPED {
            self.dropped.pop_front();
        }
        self.dropped.push_back(key);
        Some(assembly)
    }

    /// Takes every request back, and says which they were.
    pub fn cancel_all(&mut self) -> Vec<ChunkKey> {
        let keys: Vec<ChunkKey> = self.wanted.keys().copied().collect();
        for &key in &keys {
            self.cancel(key);
        }
        keys
    }

    /// A piece has come, as its sender describes it.
    pub fn piece(&mut self, key: ChunkKey, offset: u32, size: u32, body: &Uint8Array) -> Arrival {
        let Some(assembly) = self.wanted.get_mut(&key) else {
            let late = self.dropped.contains(&key);
            return if late { Arrival::Late } else { Arrival::Unasked };
        };
        match assembly.place(offset, size, body) {
            Ok(Placed::Partial(received)) => Arrival::Progress(received),
            Ok(Placed::Again) => Arrival::Late,
            Ok(Placed::Whole(bytes)) => {
                self.wanted.remove(&key);
                Arrival::Whole(bytes)
            }
            Err(wrong) => {
                self.cancel(key);
                Arrival::Broken(wrong)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ChunkKey = ChunkKey { content: ContentId([1; 32]), chunk: ChunkIndex(3) };

    #[test]
    fn a_chunk_is_asked_for_once_until_it_is_taken_back() {
        let mut downloads = Downloads::default();
        assert!(downloads.request(KEY, 10));
        assert!(!downloads.request(KEY, 10));
        assert!(downloads.cancel(KEY));
        assert!(!downloads.cancel(KEY));
        assert!(downloads.request(KEY, 10));
        assert_eq!(downloads.cancel_all(), [KEY]);
        assert_eq!(downloads.cancel_all(), []);
    }

    #[test]
    fn memory_of_requests_taken_back_is_bounded() {
        let mut downloads = Downloads::default();
        for index in 0..1000 {
            let key = ChunkKey { chunk: ChunkIndex(index), ..KEY };
            downloads.request(key, 10);
            downloads.cancel(key);
        }
        assert_eq!(downloads.dropped.len(), MAX_DROPPED);
    }
}
