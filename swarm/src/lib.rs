//! The brain: which chunk of a content is fetched next, from whom, and by when.
//!
//! A [`Download`] decides for one content, and [`Network`] keeps what is known of
//! the connections that all downloads share. Both are sans-IO: the caller feeds
//! [`Input`]s with the time, drains [`Command`]s, and comes back at
//! [`Download::poll_timeout`] with [`Input::Tick`]. There is no clock, no
//! randomness but the seed passed in, no payload byte and no iteration whose
//! order could differ between two runs: same inputs, same commands.
//!
//! ```text
//!  readers: position, pace ─► wanted chunks, each with a deadline ─┐
//!  store, manifest, peers, origin ─────────────────────────────────┴► Policy ─► commands
//! ```
//!
//! A [`policy`] answers one question, where a missing chunk should come from
//! now. What holds for every policy is here, not there: a chunk is in flight from
//! one place at a time, a peer that is silent or too slow loses its chunks and is
//! left alone for a while, a peer that lies is banned, an origin that fails is tried
//! again with growing pauses, and only chunks within the read-ahead of a reader are
//! fetched or kept. What a decision costs depends on that window and on the number
//! of connections, not on the content's length.

mod download;
mod holders;
mod network;
mod origin;
pub mod policy;
mod readers;
mod slots;
mod time;
mod types;

pub use download::{Download, Settings};
pub use network::{
    CHUNK_TIMEOUT, FIRST_BYTE_TIMEOUT, FLOOR_BYTES_PER_SECOND, MAX_WINDOW_BYTES, Network,
    PROVED_BYTES, STALL_TIMEOUT, WINDOW_BYTES,
};
pub use origin::{MAX_ORIGIN_FAILURES, MAX_ORIGIN_REQUESTS, MAX_ORIGIN_RUN, MAX_URGENT_REQUESTS};
pub use readers::{NEXT_RANGE_PATIENCE, READ_AHEAD};
pub use time::Timestamp;
pub use types::{Command, Input, Link, OriginRequest, ReaderId};
