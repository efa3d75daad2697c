//! A rate over the last while.

use std::time::Duration;

/// What is older than about this counts half.
const HALVED_AFTER_MS: u64 = 3000;

/// Bytes per second. Time counts, not samples: a peer that sends a burst and then
/// serves others for a while is as fast as both together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    bytes: u64,
    ms: u64,
}

impl Rate {
    /// The rate; `None` before the first sample.
    pub fn get(self) -> Option<u64> {
        (self.ms > 0).then(|| self.bytes.saturating_mul(1000) / self.ms)
    }

    /// `bytes` have come in `time`. The clock counts milliseconds, so less than one
    /// is taken for one.
    pub fn sample(&mut self, bytes: u64, time: Duration) {
        self.bytes += bytes;
        self.ms += u64::try_from(time.as_millis()).unwrap_or(0).max(1);
        while self.ms > HALVED_AFTER_MS * 2 {
            self.bytes /= 2;
            self.ms = self.ms.div_ceil(2);
        }
    }
}
