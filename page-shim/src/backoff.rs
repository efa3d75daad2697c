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

#[cfg(test)]
mod tests {
    use super::*;

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
