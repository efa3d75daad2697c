//! How long to wait before trying again: exponential, with jitter, so that pages
//! that lost the same server do not come back all at once.

/// Shortest first wait, in milliseconds.
pub const FIRST_MS: f64 = 1_000.0;

/// Longest wait, in milliseconds.
pub const LAST_MS: f64 = 60_000.0;

/// Successive waits.
#[derive(Debug)]
pub struct Backoff {
    ceiling_ms: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { ceiling_ms: FIRST_MS }
    }
}

impl Backoff {
    /// The next wait in milliseconds, by a `random` number in `0..1`: between half
    /// of the ceiling and all of it, never below [`FIRST_MS`]. The ceiling doubles.
    pub fn next(&mut self, random: f64) -> f64 {
        self.ceiling_ms = (self.ceiling_ms * 2.0).min(LAST_MS);
        self.ceiling_ms * (0.5 + random / 2.0)
    }
}

/// The wait in milliseconds after a server that stops has asked its pages to come back
/// spread over `within_ms`, by a `random` number in `0..1`. At least [`FIRST_MS`], which
/// whoever takes over needs to start; at most [`LAST_MS`] more.
pub fn after_goodbye(within_ms: u32, random: f64) -> f64 {
    FIRST_MS + random * f64::from(within_ms).min(LAST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_server_that_stops_come_back_spread_over_the_time_that_it_says() {
        let waits = [0.0, 0.5, 1.0].map(|random| after_goodbye(4_000, random));
        assert_eq!(waits, [1_000.0, 3_000.0, 5_000.0]);
        assert!((after_goodbye(u32::MAX, 1.0) - 61_000.0).abs() < 1e-9);
    }

    #[test]
    fn waits_double_from_one_second_and_stop_at_a_minute() {
        let mut backoff = Backoff::default();
        let shortest: Vec<f64> = (0..8).map(|_| backoff.next(0.0)).collect();
        assert_eq!(
            shortest,
            [1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0, 30_000.0, 30_000.0, 30_000.0]
        );
        assert!((backoff.next(1.0) - LAST_MS).abs() < 1e-9);
    }

    #[test]
    fn two_pages_with_other_dice_wait_differently() {
        assert!(Backoff::default().next(0.1) < Backoff::default().next(0.9));
    }
}
