//! The words that DCDN's parts speak to each other.
//!
//! A resource is cut into equal [chunks](chunk) numbered from 0 (thesis section
//! 3.1). A [`Manifest`] names the resource's content by hash and carries the
//! SHA-256 of each chunk, so a chunk from anybody can be checked before use.
//! Everything on a wire is a [frame]: a length, a JSON header, a binary
//! body. The messages of each link are one enum:
//!
//! | link | messages | carried by |
//! |---|---|---|
//! | page <-> coordination server | [`message::coord`] | binary WebSocket messages, one frame each |
//! | page <-> page | [`message::peer`] | data channel messages, one frame each |
//! | page <-> its service worker | [`message::shim`] | `MessagePort`, structured clone |
//!
//! There is no IO, no clock and no browser API here: the crate builds and tests
//! on the host and on wasm32 alike.

pub mod caching;
pub mod chunk;
pub mod config;
pub mod frame;
pub mod id;
pub mod manifest;
pub mod message;
pub mod plain;
pub mod stats;
pub mod store;

pub use chunk::{ByteRange, ChunkIndex, ChunkSet, Layout};
pub use config::{PolicyName, SiteConfig};
pub use id::{ContentId, GroupId, PeerId};
pub use manifest::{ChunkHash, Manifest};

/// Version of every message and format in this crate. It is in the first
/// message of each link; parts of different versions do not talk, and the page
/// falls back to plain HTTP.
pub const VERSION: u16 = 2;
