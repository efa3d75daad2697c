//! The requests that are out to the origin for one content, and how it has been
//! behaving.

use std::time::Duration;
use vecmap::VecMap;

use dcdn_protocol::ChunkIndex;

use crate::network::OriginPace;
use crate::{OriginRequest, Timestamp};

/// Chunks in one request to the origin at the most: what is lost when a peer
/// turns out to be faster.
pub const MAX_ORIGIN_RUN: u32 = 16;

/// Requests to the origin for one content at a time.
pub const MAX_ORIGIN_REQUESTS: usize = 2;

/// The same when a deadline is at stake.
pub const MAX_URGENT_REQUESTS: usize = 4;

/// The readers fail after so many failed requests in a row.
pub const MAX_ORIGIN_FAILURES: u32 = 5;

/// Pause after the first failure; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(crate) struct Origin {
    in_flight: VecMap<OriginRequest, Asked>,
    next: u32,
    failures: u32,
    paused_until: Timestamp,
    /// It does not know ranges: every answer is the whole content.
    whole_only: bool,
    /// With such an origin, one past the last chunk that the request has brought.
    front: u32,
}

#[derive(Debug)]
struct Asked {
    at: Timestamp,
    answered: bool,
    /// Bytes asked for that no chunk has brought yet.
    left: u64,
}

impl Origin {
    /// A request for `bytes` goes out.
    pub fn start(&mut self, bytes: u64, now: Timestamp) -> OriginRequest {
        let request = OriginRequest(self.next);
        self.next += 1;
        self.front = 0;
        self.in_flight.insert(request, Asked { at: now, answered: false, left: bytes });
        request
    }

    pub fn answered(
        &mut self,
        request: OriginRequest,
        ranges: bool,
        now: Timestamp,
        pace: &mut OriginPace,
    ) {
        let Some(asked) = self.in_flight.get_mut(&request) else { return };
        if !std::mem::replace(&mut asked.answered, true) {
            pace.answered(asked.at, now);
        }
        self.whole_only = !ranges;
    }

    pub fn end(&mut self, request: OriginRequest, pace: &mut OriginPace) {
        if self.in_flight.remove(&request).is_some_and(|asked| asked.answered) {
            pace.ended();
        }
    }

    /// A request has brought `bytes` that made `chunk` whole: earlier failures are
    /// forgiven.
    pub fn delivered(
        &mut self,
        request: OriginRequest,
        chunk: ChunkIndex,
        bytes: u32,
        now: Timestamp,
        pace: &mut OriginPace,
    ) {
        self.failures = 0;
        self.passed(chunk);
        if let Some(asked) = self.in_flight.get_mut(&request) {
            asked.left = asked.left.saturating_sub(bytes.into());
        }
        pace.delivered(bytes, now);
    }

    /// It has sent `chunk`, wanted or not.
    pub fn passed(&mut self, chunk: ChunkIndex) {
        self.front = self.front.max(chunk.0 + 1);
    }

    pub fn failed(&mut self, request: OriginRequest, now: Timestamp, pace: &mut OriginPace) {
        self.end(request, pace);
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

    /// Bytes that are still to come of what it was asked for.
    pub fn outstanding(&self) -> u64 {
        self.in_flight.values().map(|asked| asked.left).sum()
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Every request under way.
    pub fn requests(&self) -> Vec<OriginRequest> {
        self.in_flight.keys().copied().collect()
    }

    /// Whether it always sends everything.
    pub fn whole_only(&self) -> bool {
        self.whole_only
    }

    /// With an origin that sends everything, the request under way if it will still
    /// bring `chunk`.
    pub fn will_bring(&self, chunk: ChunkIndex) -> Option<OriginRequest> {
        let (request, _) = self.in_flight.iter().next()?;
        (self.whole_only && chunk.0 >= self.front).then_some(*request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_outstanding_until_it_has_come_or_will_not() {
        let (mut origin, mut pace) = (Origin::default(), OriginPace::default());
        let first = origin.start(1000, Timestamp(0));
        let second = origin.start(500, Timestamp(0));
        assert_eq!(origin.outstanding(), 1500);

        origin.answered(first, true, Timestamp(10), &mut pace);
        origin.delivered(first, ChunkIndex(0), 400, Timestamp(20), &mut pace);
        assert_eq!(origin.outstanding(), 1100);
        origin.end(first, &mut pace);
        assert_eq!(origin.outstanding(), 500, "the rest of a request that was cancelled");

        // More than was asked for, as far as that was known.
        origin.delivered(second, ChunkIndex(1), 600, Timestamp(30), &mut pace);
        origin.failed(second, Timestamp(40), &mut pace);
        assert_eq!(origin.outstanding(), 0);
    }
}
