//! The page's hands. A service worker has no `RTCPeerConnection`, so the page
//! owns the connections to other visitors and the signalling socket, and does with
//! them what the worker says. It decides nothing about chunks: not which, not from
//! whom, not by when.
//!
//! ```text
//!            service worker
//!                  │ MessagePort                        [`bridge`]
//!   dcdn.js ── [`shim`] ── [`page`]: one queue, one match
//!                  │                  └── WebSocket ──  [`signalling`], [`backoff`]
//!               [`node`]: carries out what [`mesh`] decides about connections
//!                  │
//!   one per peer: [`peer`] (ICE, offer, answer) and its [`channel`] (frames)
//!                  ├── [`download`], [`assembly`]: pieces in, chunks to the worker
//!                  └── [`upload`], [`pace`], [`store`]: chunks out of the cache
//! ```
//!
//! What browsers call back only translates and enqueues; [`page`] takes one event
//! after the other. [`mesh`], [`assembly`], [`backoff`], [`pace`], [`diagnosis`],
//! [`manners`] and the queues are pure and tested on the host; the rest is tested in a browser.
//!
//! A chunk's bytes never enter wasm memory: they go from the data channel into a
//! JavaScript buffer that is transferred to the worker, and from the cache into
//! the channel. Heads of messages do, and are bounded first.
//!
//! Messages to and from JavaScript are plain objects (`dcdn-plain`); [`task`] ties a future's life
//! to its owner; [`browser`] and [`senses`] ask the browser small questions.
//!
//! Nothing here can break the page: whatever the browser throws becomes a
//! [`error::ShimError`] and at worst a peer that is not used.

pub mod assembly;
pub mod backoff;
pub mod bridge;
pub mod browser;
pub mod channel;
pub mod diagnosis;
pub mod download;
pub mod error;
pub mod manners;
pub mod mesh;
pub mod node;
pub mod pace;
pub mod page;
pub mod peer;
pub mod report;
pub mod senses;
pub mod shim;
pub mod signalling;
pub mod store;
pub mod task;
pub mod upload;
mod wire;

pub use shim::Shim;
