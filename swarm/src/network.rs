//! What is known of the connections, shared by all downloads.

use std::time::Duration;
use vecmap::VecMap;

use crate::{Link, Timestamp};

/// Most bytes asked for and not yet received on one connection. A fresh
/// connection that is asked for more loses packets on its sending side and
/// stalls for hundreds of milliseconds.
pub const WINDOW_BYTES: u32 = 512 * 1024;

/// A connection over which something was asked and nothing has come for this
/// long has stalled.
pub const STALL_TIMEOUT: Duration = Duration::from_millis(2000);

/// A chunk that has not come whole by then is fetched elsewhere, however
/// steadily it trickles.
pub const CHUNK_TIMEOUT: Duration = Duration::from_millis(8000);

/// A peer is no longer asked after so many stalls and timeouts.
pub const MAX_STRIKES: u32 = 2;

/// Load and conduct of every open connection. One value serves all
/// [`crate::Download`]s of a browser, because they share the connections.
#[derive(Debug, Default)]
pub struct Network(VecMap<Link, State>);

#[derive(Debug, Default)]
struct State {
    outstanding_bytes: u32,
    last_heard: Timestamp,
    strikes: u32,
    banned: bool,
}

impl Network {
    /// No connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection is gone for good.
    pub fn remove(&mut self, link: Link) {
        self.0.remove(&link);
    }

    /// Whether the peer may be asked at all.
    pub(crate) fn usable(&self, link: Link) -> bool {
        self.0.get(&link).is_none_or(|state| !state.banned && state.strikes < MAX_STRIKES)
    }

    /// Whether `bytes` more fit into the connection's window. One request always
    /// fits, whatever its size.
    pub(crate) fn has_room(&self, link: Link, bytes: u32) -> bool {
        let outstanding = self.0.get(&link).map_or(0, |state| state.outstanding_bytes);
        outstanding == 0 || outstanding.saturating_add(bytes) <= WINDOW_BYTES
    }

    pub(crate) fn asked(&mut self, link: Link, bytes: u32, now: Timestamp) {
        let state = self.0.entry(link).or_default();
        if state.outstanding_bytes == 0 {
            state.last_heard = now;
        }
        state.outstanding_bytes = state.outstanding_bytes.saturating_add(bytes);
    }

    /// A request over `link` has been answered or taken back. A [`crate::Download`]
    /// says so itself; this is for requests that outlive theirs.
    pub fn answered(&mut self, link: Link, bytes: u32) {
        if let Some(state) = self.0.get_mut(&link) {
            state.outstanding_bytes = state.outstanding_bytes.saturating_sub(bytes);
        }
    }

    pub(crate) fn heard(&mut self, link: Link, now: Timestamp) {
        if let Some(state) = self.0.get_mut(&link) {
            state.last_heard = now;
        }
    }

    pub(crate) fn strike(&mut self, link: Link) {
        self.0.entry(link).or_default().strikes += 1;
    }

    pub(crate) fn ban(&mut self, link: Link) {
        self.0.entry(link).or_default().banned = true;
    }

    /// When a request made at `since` over `link` will have taken too long.
    pub(crate) fn give_up_at(&self, link: Link, since: Timestamp) -> Timestamp {
        let heard = self.0.get(&link).map_or(since, |state| state.last_heard.max(since));
        (heard + STALL_TIMEOUT).min(since + CHUNK_TIMEOUT)
    }
}
