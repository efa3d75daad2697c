//! The way of chunks through a page: asked of a peer and handed to the worker, or the reverse.

use dcdn_protocol::PeerId;
use dcdn_protocol::message::peer::{ChunkFailReason, PeerMessage};
use dcdn_protocol::message::shim::ToWorker;
use js_sys::{ArrayBuffer, Uint8Array};

use super::Node;
use crate::browser;
use crate::download::{Arrival, ChunkKey};

/// Milliseconds between two times that the worker hears of one peer's progress. It hears of each
/// chunk's first piece at once, by which it knows that the peer is at it.
const PROGRESS_INTERVAL_MS: f64 = 50.0;

impl Node {
    /// A peer asks for a chunk.
    pub(super) fn on_request(&mut self, peer: PeerId, key: ChunkKey) {
        self.mind_manners();
        let restraint = self.restraint();
        let Some(link) = self.links.get_mut(&peer) else { return };
        let ChunkKey { content, chunk } = key;
        let held = self.mesh.holding(content).is_some_and(|chunks| chunks.contains(chunk));
        let reason = if restraint.is_some() {
            ChunkFailReason::Declined
        } else if !held {
            ChunkFailReason::NotHeld
        } else if !link.uploads.request(key) {
            ChunkFailReason::Busy
        } else {
            return;
        };
        link.tell(&PeerMessage::ChunkFail { content, chunk, reason });
    }

    /// Bytes of a chunk have come from a peer.
    pub(super) fn on_piece(
        &mut self,
        peer: PeerId,
        key: ChunkKey,
        offset: u32,
        size: u32,
        body: &Uint8Array,
    ) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let ChunkKey { content, chunk } = key;
        link.received += u64::from(body.length());
        match link.downloads.piece(key, offset, size, body) {
            Arrival::Progress(received) => {
                let is_first = received == body.length();
                let now = browser::now();
                if is_first || now - link.told_at >= PROGRESS_INTERVAL_MS {
                    link.told_at = now;
                    let progress = ToWorker::Progress { peer, content, chunk, received };
                    self.outlet.worker(&progress, None);
                }
            }
            Arrival::Whole(bytes) => {
                self.outlet.worker(&ToWorker::Chunk { peer, content, chunk }, Some(&bytes));
            }
            Arrival::Late => {}
            Arrival::Unasked => {
                if !link.complain("this chunk was not asked for") {
                    self.hang_up(peer);
                }
            }
            Arrival::Broken(wrong) => {
                link.tell(&PeerMessage::Cancel { content, chunk });
                self.outlet.worker(&broken(peer, key), None);
                if !link.complain(&wrong.to_string()) {
                    self.hang_up(peer);
                }
            }
        }
    }

    /// The worker asks for a chunk of `size` bytes.
    pub(super) fn request(&mut self, peer: PeerId, key: ChunkKey, size: u32) {
        let ChunkKey { content, chunk } = key;
        let asked = self.links.get_mut(&peer).is_some_and(|link| {
            !link.downloads.request(key, size)
                || link.connection.outbox().send(&PeerMessage::Request { content, chunk }).is_ok()
        });
        if !asked {
            if let Some(link) = self.links.get_mut(&peer) {
                link.downloads.cancel(key);
            }
            self.outlet.worker(&broken(peer, key), None);
        }
    }

    /// The worker no longer wants a chunk.
    pub(super) fn cancel(&mut self, peer: PeerId, key: ChunkKey) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let ChunkKey { content, chunk } = key;
        if link.downloads.cancel(key) {
            link.tell(&PeerMessage::Cancel { content, chunk });
        }
    }

    /// The worker takes a chunk back, for what has come from its beginning.
    pub(super) fn salvage(&mut self, peer: PeerId, key: ChunkKey) {
        let ChunkKey { content, chunk } = key;
        let mut kept = None;
        if let Some(link) = self.links.get_mut(&peer)
            && let Some(late) = link.downloads.take_back(key)
        {
            link.tell(&PeerMessage::Cancel { content, chunk });
            kept = late.into_prefix();
        }
        // Answered in any case: the worker waits for it.
        let received = kept.as_ref().map_or(0, ArrayBuffer::byte_length);
        let salvaged = ToWorker::Salvaged { peer, content, chunk, received };
        self.outlet.worker(&salvaged, kept.as_ref());
    }
}

/// What the worker hears of a chunk that `peer` will not bring.
pub(super) fn broken(peer: PeerId, ChunkKey { content, chunk }: ChunkKey) -> ToWorker {
    ToWorker::ChunkFail { peer, content, chunk, reason: ChunkFailReason::Broken }
}
