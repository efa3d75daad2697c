//! How much one visitor may take. Pure, but for the count of open sockets.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let filled = self.tokens + elapsed * f64::from(self.rate.per_second);
        self.tokens = filled.min(f64::from(self.rate.capacity));
        self.filled_at = now;
        let cost = f64::from(cost);
        if self.tokens < cost {
            return false;
        }
        self.tokens -= cost;
        true
    }
}

/// Counts open sockets, in all and for each network address.
#[derive(Debug)]
pub struct SocketLimits {
    total: usize,
    per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The right to one socket; given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct SocketPermit {
    limits: Arc<SocketLimits>,
    address: Option<IpAddr>,
}

/// Why there is no [`SocketPermit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooManySockets {
    /// The server has as many as it takes.
    #[error("the server has as many sockets as it takes")]
    Total,
    /// The visitor's address has as many as one may.
    #[error("there are too many sockets from this address")]
    Address,
}

impl SocketLimits {
    /// At most `total` sockets, and `per_address` of them from one address.
    pub fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { total, per_address, open: Mutex::default() })
    }

    /// A socket for `address`. An IPv6 address counts as its /64, which is what a
    /// household has. Loopback is the machine itself or the proxy before us, and
    /// has no bound of its own.
    ///
    /// # Errors
    /// If there is no room.
    pub fn acquire(self: &Arc<Self>, address: IpAddr) -> Result<SocketPermit, TooManySockets> {
        let address = network(address);
        let mut open = self.lock();
        if open.total >= self.total {
            return Err(TooManySockets::Total);
        }
        if let Some(address) = address {
            let count = open.by_address.entry(address).or_default();
            if *count >= self.per_address {
                return Err(TooManySockets::Address);
            }
            *count += 1;
        }
        open.total += 1;
        Ok(SocketPermit { limits: Arc::clone(self), address })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SocketPermit {
    fn drop(&mut self) {
        let mut open = self.limits.lock();
        open.total -= 1;
        let Some(address) = self.address else { return };
        if let Entry::Occupied(mut count) = open.by_address.entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What is counted as one visitor's place; `None` for the machine itself.
fn network(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
        }
        address => Some(address),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
    fn an_address_gets_its_share_and_gives_it_back() {
        let limits = SocketLimits::new(10, 2);
        let address = "192.0.2.1".parse().unwrap();

        let first = limits.acquire(address).unwrap();
        let _second = limits.acquire(address).unwrap();
        assert_eq!(limits.acquire(address).unwrap_err(), TooManySockets::Address);
        let _other = limits.acquire("192.0.2.2".parse().unwrap()).unwrap();
        drop(first);
        let _third = limits.acquire(address).unwrap();
    }

    #[test]
    fn addresses_of_one_household_share_and_the_proxy_does_not() {
        let limits = SocketLimits::new(4, 1);
        let _one = limits.acquire("2001:db8::1".parse().unwrap()).unwrap();
        let same = limits.acquire("2001:db8::2".parse().unwrap());
        assert_eq!(same.unwrap_err(), TooManySockets::Address);

        let _proxied: Vec<_> =
            (0..3).map(|_| limits.acquire("127.0.0.1".parse().unwrap()).unwrap()).collect();
        let full = limits.acquire("192.0.2.7".parse().unwrap());
        assert_eq!(full.unwrap_err(), TooManySockets::Total);
    }
}
