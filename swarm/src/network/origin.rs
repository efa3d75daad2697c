//! How fast the origin is for this visitor, as the requests so far have shown.

use std::time::Duration;

use super::rate::Rate;
use super::{carried, transfer};
use crate::Timestamp;

/// What an unknown origin is taken to need for its first byte.
const UNKNOWN_FIRST_BYTE: Duration = Duration::from_millis(150);

/// What an unknown origin is taken to deliver, in bytes per second.
const UNKNOWN_RATE: u64 = 1_000_000;

/// First-byte time and rate of the origin, over all requests together: what one
/// plain request would get, if there were only that.
#[derive(Debug, Default)]
pub(crate) struct OriginPace {
    first_byte: Option<Duration>,
    rate: Rate,
    streaming: u32,
    last: Timestamp,
    /// What peers have sent since then.
    beside: u64,
}

impl OriginPace {
    /// A request made at `asked` has been answered.
    pub fn answered(&mut self, asked: Timestamp, now: Timestamp) {
        let sample = now - asked;
        self.first_byte = Some(self.first_byte.map_or(sample, |known| (known * 3 + sample) / 4));
        if self.streaming == 0 {
            (self.last, self.beside) = (now, 0);
        }
        self.streaming += 1;
    }

    /// `bytes` have come.
    pub fn delivered(&mut self, bytes: u32, now: Timestamp) {
        // Beside peers, the visitor's line may be what limits it.
        let alone = self.beside <= u64::from(bytes) / 4 || self.rate.get().is_none();
        if self.streaming > 0 && alone {
            self.rate.sample(bytes.into(), now - self.last);
        }
        (self.last, self.beside) = (now, 0);
    }

    /// A peer has sent `bytes` meanwhile.
    pub fn beside(&mut self, bytes: u32) {
        self.beside += u64::from(bytes);
    }

    /// A request that was answered has ended.
    pub fn ended(&mut self) {
        self.streaming = self.streaming.saturating_sub(1);
    }

    /// Time until the first byte of an answer.
    pub fn first_byte(&self) -> Duration {
        self.first_byte.unwrap_or(UNKNOWN_FIRST_BYTE)
    }

    /// Bytes per second once they flow.
    pub fn rate(&self) -> u64 {
        self.rate.get().unwrap_or(UNKNOWN_RATE)
    }

    /// The same, and 0 as long as nothing has come.
    pub fn measured_rate(&self) -> u64 {
        self.rate.get().unwrap_or(0)
    }

    /// Bytes that come in `time` once they flow.
    pub fn delivers_in(&self, time: Duration) -> u64 {
        carried(time, self.rate())
    }

    /// Time that `bytes` take once they flow.
    pub fn transfer(&self, bytes: u64) -> Duration {
        transfer(bytes, self.rate())
    }
}
