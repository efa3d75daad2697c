//! The coordination server: one binary that serves a site and lets its visitors
//! find each other.
//!
//! | URL | answered by |
//! |---|---|
//! | `/dcdn/ws` | [`signalling`]: the sockets; decisions are in [`registry`], which does no IO |
//! | `/dcdn/manifest?url=` | [`manifest`]: the hashes of a file of the site |
//! | `/dcdn/config.json` | the [`SiteConfig`](dcdn_protocol::SiteConfig) |
//! | `/sw.js`, `/dcdn/NAME` | [`assets`]: the browser's part, embedded in the binary |
//! | `/dcdn/`, `/dcdn/status.json` | [`dashboard`]: what goes on |
//! | `/healthz`, `/readyz`, `/metrics` | [`metrics`] |
//! | everything else | [`site`]: the files of a directory; or [`origin`]: the site's own server |
//!
//! What a directory serves and what a manifest describes come from one place:
//! [`site::path`] reads the URL, [`site::root`] opens the file and makes its
//! validators. Of an origin both are what it answers. [`run`] serves until it is told to stop.

pub mod asker;
pub mod assets;
pub mod cluster;
pub mod config;
pub mod connections;
pub mod dashboard;
pub mod error;
pub mod limit;
pub mod manifest;
pub mod metrics;
pub mod origin;
pub mod registry;
mod requests;
mod server;
pub mod signalling;
pub mod site;
pub mod tls;
pub mod tokens;

pub use assets::Assets;
pub use config::{Config, SetupError, Source};
pub use origin::OriginSettings;
pub use server::{Lifetime, run};
