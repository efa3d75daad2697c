//! A smoothed rate.

use std::time::Duration;

/// Bytes per second, as a moving average over the last few samples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate(Option<u64>);

impl Rate {
    /// The average; `None` before the first sample.
    pub fn get(self) -> Option<u64> {
        self.0
    }

    /// `bytes` have come in `time`. The clock counts milliseconds, so less than one
    /// is taken for one.
    pub fn sample(&mut self, bytes: u64, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let sample = bytes.saturating_mul(1000) / ms;
        self.0 = Some(self.0.map_or(sample, |rate| (rate.saturating_mul(3) + sample) / 4));
    }
}
