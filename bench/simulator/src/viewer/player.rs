//! A media player's clock and buffer. Pure.

use crate::num::narrow;

/// Milliseconds of media that a player buffers ahead.
const AHEAD_MS: u64 = 10_000;

/// Milliseconds of media with which playback starts, and goes on after a stall.
const START_MS: u64 = 2_000;

/// Plays what it is given at a constant bit rate.
#[derive(Clone, Debug)]
pub struct Player {
    bytes_per_s: u64,
    length: u64,
    /// Bytes that it has been given.
    pub position: u64,
    clock: Clock,
    opened: u64,
    /// From opening to the start of playback, in milliseconds.
    pub start_up: Option<u32>,
    /// Times that playback stood still.
    pub stalls: u32,
    /// For how many milliseconds in all.
    pub stalled_ms: u32,
}

#[derive(Clone, Copy, Debug)]
enum Clock {
    /// Nothing plays since `since`; the playhead is at `at` bytes.
    Stands { since: u64, at: u64 },
    /// At `since` the playhead was at `at` bytes.
    Runs { since: u64, at: u64 },
}

impl Player {
    /// A player that is opened at `now` for `length` bytes.
    pub fn new(bytes_per_s: u64, length: u64, now: u64) -> Self {
        Self {
            bytes_per_s: bytes_per_s.max(1),
            length,
            position: 0,
            clock: Clock::Stands { since: now, at: 0 },
            opened: now,
            start_up: None,
            stalls: 0,
            stalled_ms: 0,
        }
    }

    /// Takes the next `bytes`.
    pub fn take(&mut self, bytes: u64, now: u64) {
        self.settle(now);
        self.position += bytes;
        let Clock::Stands { since, at } = self.clock else { return };
        let enough = at + self.bytes_in(START_MS);
        if self.position < enough.min(self.length) {
            return;
        }
        self.clock = Clock::Runs { since: now, at };
        match self.start_up {
            None => self.start_up = Some(narrow(now - self.opened)),
            Some(_) => self.stalled_ms = self.stalled_ms.saturating_add(narrow(now - since)),
        }
    }

    /// From when it takes more, at the earliest now.
    pub fn wants_at(&self, now: u64) -> u64 {
        match self.clock {
            // It has taken less than it starts with.
            Clock::Stands { .. } => now,
            Clock::Runs { since, at } => {
                let full_until = self.position.saturating_sub(self.bytes_in(AHEAD_MS) - 1);
                let wait = full_until.saturating_sub(at) * 1000;
                (since + wait.div_ceil(self.bytes_per_s)).max(now)
            }
        }
    }

    /// Whether it has been given everything.
    pub fn is_full(&self) -> bool {
        self.position >= self.length
    }

    /// When playback ends or, with what it has so far, stops.
    pub fn dry_at(&self, now: u64) -> u64 {
        match self.clock {
            Clock::Stands { .. } => now,
            Clock::Runs { since, at } => {
                since + ((self.position - at) * 1000).div_ceil(self.bytes_per_s)
            }
        }
    }

    /// Notices a stall that has begun by `now`.
    pub fn settle(&mut self, now: u64) {
        let dry = self.dry_at(now);
        if matches!(self.clock, Clock::Runs { .. }) && dry < now && !self.is_full() {
            self.clock = Clock::Stands { since: dry, at: self.position };
            self.stalls += 1;
        }
    }

    /// The player is closed; a stall that lasts counts until now.
    pub fn close(&mut self, now: u64) {
        self.settle(now);
        if let (Clock::Stands { since, .. }, Some(_)) = (self.clock, self.start_up) {
            self.stalled_ms = self.stalled_ms.saturating_add(narrow(now - since));
        }
    }

    fn bytes_in(&self, ms: u64) -> u64 {
        self.bytes_per_s * ms / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playback_starts_with_two_seconds_and_ten_are_buffered() {
        let mut player = Player::new(1000, 100_000, 500);
        player.take(1999, 700);
        assert_eq!((player.start_up, player.wants_at(700)), (None, 700));
        player.take(1, 900);
        assert_eq!(player.start_up, Some(400));
        player.take(8000, 900);
        assert_eq!(player.wants_at(900), 901, "as soon as less than ten are left");
        player.take(1000, 901);
        assert_eq!(player.wants_at(901), 1901);
    }

    #[test]
    fn a_player_that_runs_dry_stalls_until_it_has_two_seconds() {
        let mut player = Player::new(1000, 100_000, 0);
        player.take(2000, 0);
        // Dry at 2,000.
        player.take(1000, 2500);
        player.take(500, 3000);
        assert_eq!((player.stalls, player.stalled_ms), (1, 0));
        player.take(500, 3500);
        assert_eq!((player.stalls, player.stalled_ms), (1, 1500));
        player.close(5400);
        assert_eq!((player.stalls, player.stalled_ms), (1, 1500));
        player.close(5600);
        assert_eq!((player.stalls, player.stalled_ms), (2, 1600));
    }

    #[test]
    fn the_end_of_the_media_is_no_stall() {
        let mut player = Player::new(1000, 1500, 0);
        player.take(1500, 100);
        assert_eq!(player.start_up, Some(100));
        assert!(player.is_full());
        assert_eq!(player.dry_at(100), 1600);
        player.close(60_000);
        assert_eq!((player.stalls, player.stalled_ms), (0, 0));
    }
}
