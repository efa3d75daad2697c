//! How much one visitor may take: [`TokenBucket`] counts, [`address`] has one of each kind
//! for each network address.

pub mod address;

use std::time::Instant;

/// Lets `capacity` through at once and `per_second` in the long run.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: Rate,
    tokens: f64,
    filled_at: Instant,
}

/// The two numbers of a [`TokenBucket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that a bucket holds.
    pub capacity: u32,
    /// Tokens that flow in per second.
    pub per_second: u32,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: f64::from(rate.capacity), filled_at: now }
    }

    /// Takes `cost` tokens, or none if there are not so many.
    #[must_use]
    pub fn take(&mut self, cost: u32, now: Instant) -> bool {
        self.fill(now);
        let cost = f64::from(cost);
        if self.tokens < cost {
            return false;
        }
        self.tokens -= cost;
        true
    }

    /// Takes `cost` tokens if there is any: what is worth more than the bucket holds may be
    /// had too, and is paid off afterwards.
    #[must_use]
    pub fn take_on_credit(&mut self, cost: u32, now: Instant) -> bool {
        self.fill(now);
        if self.tokens <= 0.0 {
            return false;
        }
        self.tokens -= f64::from(cost);
        true
    }

    /// Whether there is a token.
    pub fn has_any(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= 1.0
    }

    /// Whether it is as good as new.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= f64::from(self.rate.capacity)
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let filled = self.tokens + elapsed * f64::from(self.rate.per_second);
        self.tokens = filled.min(f64::from(self.rate.capacity));
        self.filled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(Rate { capacity: 4, per_second: 2 }, start);

        assert!(bucket.take(3, start));
        assert!(!bucket.take(2, start), "one is left");
        assert!(bucket.take(1, start));
        assert!(!bucket.take(1, start + Duration::from_millis(400)));
        assert!(bucket.take(1, start + Duration::from_millis(500)));
        let later = start + Duration::from_secs(3600);
        assert!(!bucket.take(5, later), "never more than its capacity");
        assert!(bucket.take(4, later));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(Rate { capacity: 1, per_second: 1 }, start);

        assert!(bucket.take(1, start + Duration::from_secs(1)));
        assert!(!bucket.take(1, start));
    }

    #[test]
    fn credit_is_given_to_whoever_has_paid_off_the_last() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(Rate { capacity: 4, per_second: 2 }, start);

        assert!(bucket.take_on_credit(10, start));
        assert!(!bucket.take_on_credit(1, start + Duration::from_secs(3)), "6 are owed");
        assert!(bucket.take_on_credit(1, start + Duration::from_millis(3500)));
    }
}
