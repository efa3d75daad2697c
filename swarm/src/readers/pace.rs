//! How fast a reader takes what is there for it.

use std::time::Duration;

use crate::Timestamp;

/// Time that a reader must have been free to take more before its pace is known.
const KNOWN_AFTER_MS: u64 = 1000;

/// What is older than about this counts half.
const HALVED_AFTER_MS: u64 = 8000;

/// A reader that takes what has just come sooner than this was waiting for it.
const AT_ONCE_MS: u64 = 20;

/// The pace of a reader, measured only while what it needs next was in memory:
/// then it is the reader who takes its time. An image's reader never does; a
/// player's does once its own buffer is full, and its pace becomes the bitrate.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// When the reader last took something, or could have begun to.
    last: Timestamp,
    next: Next,
    /// When the reader last took its time, and where it stood then. Deadlines count
    /// from there: if each counted from a chunk that came late, lateness would add up.
    anchor: (Timestamp, u64),
    free_ms: u64,
    bytes: u64,
}

/// What a reader needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Is not in memory: the reader waits.
    Missing,
    /// Came while the reader waited.
    Came,
    /// Was there before the reader could take it.
    There,
}

impl Pace {
    pub fn new(now: Timestamp) -> Self {
        Self { last: now, next: Next::Missing, anchor: (now, 0), free_ms: 0, bytes: 0 }
    }

    /// The reader took `bytes` and stands at `position`; `there` says whether it could
    /// go on at once.
    pub fn advanced(&mut self, bytes: u64, position: u64, there: bool, now: Timestamp) {
        let ms = u64::try_from((now - self.last).as_millis()).unwrap_or(0);
        if self.next == Next::There || (self.next == Next::Came && ms >= AT_ONCE_MS) {
            self.count(bytes, ms);
            if ms >= AT_ONCE_MS {
                self.anchor = (now, position);
            }
        }
        self.last = now;
        self.next = if there { Next::There } else { Next::Missing };
    }

    /// What it needs next has come.
    pub fn fed(&mut self, now: Timestamp) {
        if self.next == Next::Missing {
            self.next = Next::Came;
            self.last = now;
        }
    }

    /// It has taken all of its range, and asks for more when it wants to.
    pub fn pauses(&mut self) {
        self.next = Next::There;
    }

    /// It has asked for its next range.
    pub fn resumes(&mut self, position: u64, there: bool, now: Timestamp) {
        self.advanced(0, position, there, now);
    }

    /// When the reader will want the byte at `offset`, if its pace is known.
    pub fn wants_at(&self, offset: u64) -> Option<Timestamp> {
        if self.free_ms < KNOWN_AFTER_MS || self.bytes == 0 {
            return None;
        }
        let (since, position) = self.anchor;
        let ahead = offset.saturating_sub(position);
        Some(since + Duration::from_millis(ahead.saturating_mul(self.free_ms) / self.bytes))
    }

    fn count(&mut self, bytes: u64, ms: u64) {
        self.free_ms += ms;
        self.bytes += bytes;
        if self.free_ms > HALVED_AFTER_MS * 2 {
            self.free_ms /= 2;
            self.bytes /= 2;
        }
    }
}
