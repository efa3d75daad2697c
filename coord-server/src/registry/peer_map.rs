//! Maps by peer.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use dcdn_protocol::PeerId;

/// A map by peer. Servers draw these ids at random, so their own bits are as good as any
/// hash of them, and nobody can make two collide.
pub type PeerMap<V> = HashMap<PeerId, V, BuildHasherDefault<OwnBits>>;

/// Takes the last 8 bytes of what is hashed as they are; the first may be the same for all
/// peers of a node.
#[derive(Debug, Default)]
pub struct OwnBits(u64);

impl Hasher for OwnBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 ^= u64::from_le_bytes(*last);
        }
    }

    /// The length of an array, which is always the same.
    fn write_usize(&mut self, _: usize) {}
}
