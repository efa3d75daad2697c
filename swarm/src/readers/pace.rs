//! How fast a reader takes what is there for it.

use std::time::Duration;

use crate::Timestamp;
use crate::network::transfer;

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
    /// It has had to wait, and takes what comes at once until its buffer is full.
    filling: bool,
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
        Self {
            last: now,
            next: Next::Missing,
            anchor: (now, 0),
            filling: true,
            free_ms: 0,
            bytes: 0,
        }
    }

    /// The reader took `bytes` and stands at `position`; `there` says whether it could
    /// go on at once.
    pub fn advanced(&mut self, bytes: u64, position: u64, there: bool, now: Timestamp) {
        let ms = u64::try_from((now - self.last).as_millis()).unwrap_or(0);
        let took_its_time = self.next != Next::Missing && ms >= AT_ONCE_MS;
        if took_its_time {
            self.anchor = (now, position);
            self.filling = false;
        }
        if took_its_time || (self.next == Next::There && !self.filling) {
            self.count(bytes, ms);
        }
        self.last = now;
        self.next = if there { Next::There } else { Next::Missing };
        self.filling |= !there;
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
        if there {
            self.advanced(0, position, there, now);
            return;
        }
        // What it will take is not there to be counted, so the time is not either.
        if now - self.last >= Duration::from_millis(AT_ONCE_MS) {
            self.anchor = (now, position);
        }
        (self.last, self.next, self.filling) = (now, Next::Missing, true);
    }

    /// Whether the reader has ever taken its time.
    pub fn was_ahead(&self) -> bool {
        self.free_ms > 0
    }

    /// Bytes per second, if known.
    pub fn rate(&self) -> Option<u64> {
        let known = self.free_ms >= KNOWN_AFTER_MS && self.bytes > 0;
        known.then(|| self.bytes * 1000 / self.free_ms)
    }

    /// When the reader will want the byte at `offset`, if it has ever taken its time.
    /// Until its pace is known it is taken to be `assumed` bytes per second.
    pub fn wants_at(&self, offset: u64, assumed: u64) -> Option<Timestamp> {
        let (since, position) = self.anchor;
        let ahead = offset.saturating_sub(position);
        if self.free_ms >= KNOWN_AFTER_MS && self.bytes > 0 {
            return Some(
                since + Duration::from_millis(ahead.saturating_mul(self.free_ms) / self.bytes),
            );
        }
        (self.free_ms > 0).then(|| since + transfer(ahead, assumed))
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

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: u64 = 262_144;
    const MS: u64 = 500;

    /// A player that takes a chunk every 500 ms, in ranges of eight; of each range
    /// the first chunk comes late by `late` milliseconds, and is made up for.
    fn played(late: u64) -> Pace {
        let mut pace = Pace::new(Timestamp(0));
        let mut position = 0;
        for range in 0..20 {
            let start = range * 8 * MS;
            if range > 0 {
                pace.resumes(position, late == 0, Timestamp(start));
            }
            if late > 0 || range == 0 {
                pace.fed(Timestamp(start + late));
            }
            for chunk in 0..8 {
                let at = (start + chunk * MS).max(start + late);
                position += CHUNK;
                pace.advanced(CHUNK, position, chunk < 7, Timestamp(at));
            }
            pace.pauses();
        }
        pace
    }

    #[test]
    fn what_comes_late_makes_a_player_no_slower() {
        for late in [0, 100, 400] {
            let pace = played(late);
            let (since, position) = pace.anchor;
            let wants = pace.wants_at(position + 100 * CHUNK, 1).expect("a known pace");
            let each = (wants - since).as_millis() / 100;
            // Faster is safe: what is needed is there sooner.
            assert!((430..=505).contains(&each), "{each} ms a chunk, {late} ms late");
        }
    }
}
