//! What comes in over all connections together.

use crate::Timestamp;

/// Milliseconds over which bytes are counted.
const SPAN_MS: u64 = 2000;

/// A peak that is not reached again loses one part in so many with each span.
const DECAY: u64 = 16;

/// Rates of the last while. The highest is what the visitor's own line can do at least.
#[derive(Debug, Default)]
pub(super) struct Meter {
    since: Timestamp,
    bytes: u64,
    last: u64,
    peak: u64,
}

impl Meter {
    /// `bytes` have come.
    pub fn count(&mut self, bytes: u32, now: Timestamp) {
        let ms = now.0.saturating_sub(self.since.0);
        if ms >= SPAN_MS {
            self.last = self.bytes * 1000 / ms;
            self.peak = self.last.max(self.peak - self.peak / DECAY);
            (self.since, self.bytes) = (now, 0);
        }
        self.bytes += u64::from(bytes);
    }

    /// The highest rate of the last while, in bytes per second.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// The rate of the last one or two seconds, in bytes per second.
    pub fn recent(&self, now: Timestamp) -> u64 {
        let ms = now.0.saturating_sub(self.since.0);
        if ms < SPAN_MS / 2 { self.last } else { self.bytes * 1000 / ms }
    }
}
