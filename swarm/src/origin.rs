//! The requests that are out to the origin, and how it has been behaving.

use std::time::Duration;
use vecmap::VecSet;

use crate::{OriginRequest, Timestamp};

/// Chunks in one request to the origin at the most: what is lost when a peer
/// turns out to be faster.
pub const MAX_ORIGIN_RUN: u32 = 16;

/// The readers fail after so many failed requests in a row.
pub const MAX_ORIGIN_FAILURES: u32 = 5;

/// Pause after the first failure; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(crate) struct Origin {
    in_flight: VecSet<OriginRequest>,
    next: u32,
    failures: u32,
    paused_until: Timestamp,
}

impl Origin {
    pub fn start(&mut self) -> OriginRequest {
        let request = OriginRequest(self.next);
        self.next += 1;
        self.in_flight.insert(request);
        request
    }

    pub fn end(&mut self, request: OriginRequest) {
        self.in_flight.remove(&request);
    }

    /// It has delivered: earlier failures are forgiven.
    pub fn delivered(&mut self) {
        self.failures = 0;
    }

    pub fn failed(&mut self, request: OriginRequest, now: Timestamp) {
        self.end(request);
        self.failures += 1;
        let pause = FIRST_PAUSE * 2u32.saturating_pow(self.failures.saturating_sub(1).min(8));
        self.paused_until = now + pause;
    }

    pub fn given_up(&self) -> bool {
        self.failures >= MAX_ORIGIN_FAILURES
    }

    /// Whether it has failed and not delivered since.
    pub fn ailing(&self) -> bool {
        self.failures > 0
    }

    /// When it may be asked again, if it is being spared.
    pub fn pause(&self, now: Timestamp) -> Option<Timestamp> {
        (self.paused_until > now && !self.given_up()).then_some(self.paused_until)
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Forgets every request under way and names them.
    pub fn take_all(&mut self) -> Vec<OriginRequest> {
        std::mem::take(&mut self.in_flight).into_iter().collect()
    }
}
