//! The upload rate, shared by all peers of a page.

/// Milliseconds of unused time that may be made up for: a hidden page's timers
/// come up to a second late.
const CATCH_UP_MS: f64 = 1_000.0;

/// Hands out departure times so that the bytes handed out never exceed the rate
/// over any longer time. Whoever asks first leaves first.
#[derive(Debug, Default)]
pub struct Pace {
    bytes_per_ms: Option<f64>,
    next_ms: Option<f64>,
}

impl Pace {
    /// `None` is no limit. What was handed out before stays handed out.
    pub fn set_rate(&mut self, bytes_per_second: Option<u32>) {
        self.bytes_per_ms = bytes_per_second.map(|rate| f64::from(rate.max(1)) / 1000.0);
    }

    /// How many milliseconds after `now` a message of `bytes` may leave.
    pub fn reserve(&mut self, bytes: u32, now: f64) -> f64 {
        let Some(rate) = self.bytes_per_ms else { return 0.0 };
        let leaves = match self.next_ms {
            Some(next) if next > now => next,
            // Time lost while somebody waited is made up for; idle time is not,
            // because the first message after it starts the count anew.
            Some(next) if now - next < CATCH_UP_MS => next,
            _ => now,
        };
        self.next_ms = Some(leaves + f64::from(bytes) / rate);
        (leaves - now).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pace = Pace::default();
        assert_eq!(pace.reserve(1 << 30, 0.0), 0.0);
        assert_eq!(pace.reserve(1 << 30, 0.0), 0.0);
    }

    #[test]
    fn messages_leave_a_rates_worth_of_time_apart() {
        let mut pace = Pace::default();
        pace.set_rate(Some(100_000));
        assert_eq!(pace.reserve(50_000, 10.0), 0.0);
        assert_eq!(pace.reserve(50_000, 10.0), 500.0);
        assert_eq!(pace.reserve(50_000, 10.0), 1000.0);
    }

    #[test]
    fn timers_that_come_late_do_not_lower_the_rate() {
        let mut pace = Pace::default();
        pace.set_rate(Some(100_000));
        let mut now = 0.0;
        for _ in 0..100 {
            now += pace.reserve(50_000, now) + 30.0;
        }
        let ideal = 99.0 * 500.0;
        assert!((ideal..ideal + 100.0).contains(&now), "100 messages took {now} ms");
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let mut pace = Pace::default();
        pace.set_rate(Some(100_000));
        pace.reserve(50_000, 0.0);
        assert_eq!(pace.reserve(50_000, 60_000.0), 0.0);
        assert_eq!(pace.reserve(50_000, 60_000.0), 500.0);
    }
}
