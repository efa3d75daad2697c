//! Page <-> page: data channel messages, one frame each.
//!
//! The channel is reliable and unordered (thesis section 3.3), so no message may
//! rely on another having come first.

use serde::{Deserialize, Serialize};

use super::flat::flat;
use crate::{ChunkIndex, ChunkSet, ContentId, names};

/// Label of the data channel.
pub const CHANNEL_LABEL: &str = "dcdn";

/// Stream number of the data channel. Both sides create it as negotiated, which
/// saves a round trip.
pub const CHANNEL_ID: u16 = 0;

/// Most bytes of one message, header included: 64 KiB saturates a channel.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Bytes of a chunk in one [`PeerMessage::Chunk`], but for the last of a chunk:
/// a default chunk is five equal pieces, and the header has room.
pub const PIECE_SIZE: u32 = 52 * 1024;

/// Least milliseconds between two [`PeerMessage::Have`] of one content to one peer that
/// asked for them within the last [`EAGER_MS`].
pub const EAGER_HAVE_INTERVAL_MS: u32 = 250;

/// And to one that asked before that.
pub const CALM_HAVE_INTERVAL_MS: u32 = 2_000;

/// How long a peer is told of news eagerly: what a crowd that has just come together
/// needs next is what somebody has just got. Later, what is news is wanted in seconds.
pub const EAGER_MS: u32 = 10_000;

/// Least milliseconds between two [`PeerMessage::Have`] of one content to a peer that
/// asked for them `asked_for_ms` ago.
pub fn have_interval_ms(asked_for_ms: u64) -> u32 {
    if asked_for_ms < u64::from(EAGER_MS) { EAGER_HAVE_INTERVAL_MS } else { CALM_HAVE_INTERVAL_MS }
}

/// Most requests that a peer keeps waiting for one other peer; the next is
/// answered with [`ChunkFailReason::Busy`].
pub const MAX_QUEUED_REQUESTS: usize = 32;

/// The same for all other peers together: beyond it somebody else is likely to be
/// sooner. One request of each peer is taken in any case.
pub const MAX_QUEUED_IN_ALL: usize = 64;

/// A message between peers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PeerRecord")]
pub enum PeerMessage {
    /// Sent by both sides when the channel opens; on another version the connection
    /// is closed. Sent again it says nothing, but follows the last piece of what was
    /// asked for, so that the transport soon knows whether that has arrived.
    Hello {
        /// [`crate::VERSION`].
        version: u16,
    },
    /// Asks to be told which chunks of `content` the other holds, now and as
    /// they come. Answered by [`PeerMessage::Have`].
    Interested {
        /// The content.
        content: ContentId,
    },
    /// All the chunks of `content` that the sender holds. Replaces what it said before.
    /// At once to who asks; afterwards several chunks together, and nothing that the
    /// receiver has said to hold itself.
    Have {
        /// The content.
        content: ContentId,
        /// The chunks.
        chunks: ChunkSet,
    },
    /// Asks for a chunk. Answered by its [`PeerMessage::Chunk`] pieces or by
    /// [`PeerMessage::ChunkFail`].
    Request {
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// Takes a request back; what is still to be sent of it is not sent.
    Cancel {
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// A piece of a chunk; the frame's body is its bytes. Pieces may come in any order.
    Chunk {
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
        /// Where in the chunk the body belongs, in bytes.
        offset: u32,
        /// Bytes of the whole chunk.
        size: u32,
    },
    /// The request is not answered with the chunk (thesis: `chunkFail`).
    ChunkFail {
        /// The content.
        content: ContentId,
        /// The chunk.
        chunk: ChunkIndex,
        /// Why.
        reason: ChunkFailReason,
    },
    /// Something that the other side sent was not understood.
    Error {
        /// Why, for people.
        message: String,
    },
}

/// Why a peer does not send a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkFailReason {
    /// It does not hold the chunk.
    NotHeld,
    /// It has too much to do.
    Busy,
    /// It does not upload, by its visitor's or its site's choice.
    Declined,
    /// Said by the receiving page, not on the wire: the connection went, or the
    /// pieces do not make a chunk.
    Broken,
}

names!(ChunkFailReason {
    NotHeld = "not_held",
    Busy = "busy",
    Declined = "declined",
    Broken = "broken",
});

flat! {
    PeerMessage("type") from PeerRecord, PeerKind {
        version: u16,
        content: ContentId,
        chunks: ChunkSet,
        chunk: ChunkIndex,
        offset: u32,
        size: u32,
        reason: ChunkFailReason,
        message: String,
    } {
        Hello = "hello" { version },
        Interested = "interested" { content },
        Have = "have" { content, chunks },
        Request = "request" { content, chunk },
        Cancel = "cancel" { content, chunk },
        Chunk = "chunk" { content, chunk, offset, size },
        ChunkFail = "chunkFail" { content, chunk, reason },
        Error = "error" { message },
    }
}
