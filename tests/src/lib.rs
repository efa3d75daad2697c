//! The house for DCDN's end-to-end tests: real browsers, the real server, real media.
//!
//! A test brings up a [`Site`] (a folder with pages and media), a [`Server`] (the
//! release binary that `cargo xtask build` leaves) and some [`Visitor`]s, each a browser
//! process with a profile of its own. It looks at the page the way a person's browser
//! does: decoded pixels, played video, hashed bytes, and a console without errors.
//!
//! Nothing here sleeps for a time: everything waits for a condition, for at most
//! [`PATIENCE`], which is generous because machines differ. Tests share nothing, so they
//! run side by side.

mod browser;
pub mod capped;
mod chromium;
pub mod companion;
pub mod console;
pub mod counted;
pub mod dressed;
pub mod far;
pub mod fault;
mod firefox;
pub mod gated;
pub mod media;
mod process;
pub mod proxy;
pub mod rangeless;
pub mod released;
pub mod server;
pub mod site;
pub mod usage;
pub mod visitor;
pub mod watched;

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{sleep, timeout};

pub use console::{Entry, Kind, Origin};
pub use fault::Fault;
pub use media::Media;
pub use proxy::Proxy;
pub use server::Server;
pub use site::Site;
pub use usage::Usage;
pub use visitor::{Arrival, Engine, Visitor};

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at that nobody tells us of.
const POLL: Duration = Duration::from_millis(20);

/// What `condition` gives once that is something.
///
/// # Errors
/// If it is still nothing after [`PATIENCE`].
pub async fn until<T>(mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let met = async {
        loop {
            if let Some(result) = condition() {
                return result;
            }
            sleep(POLL).await;
        }
    };
    timeout(PATIENCE, met).await.context("the condition was not met")
}
