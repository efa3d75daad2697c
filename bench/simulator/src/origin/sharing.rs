//! Processor sharing: whoever sends at a time gets an equal part of the capacity.
//!
//! Virtual time counts the bytes that each active transfer has been given. A
//! transfer that begins at virtual time v with n bytes ends at v + n, so one heap
//! orders them all, however often the shares change.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::num::whole;

/// Parts of a byte in which virtual time is counted.
const PARTS: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Sharing {
    /// Parts per millisecond.
    capacity: f64,
    virtual_time: u64,
    updated: u64,
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    order: u64,
}

impl Sharing {
    pub(super) fn new(mbit: u32) -> Self {
        let capacity = f64::from(mbit) * 125.0 * PARTS as f64;
        Self { capacity, virtual_time: 0, updated: 0, heap: BinaryHeap::new(), order: 0 }
    }

    /// `place` starts to send `bytes`.
    pub(super) fn begin(&mut self, place: u32, bytes: u64, now: u64) {
        self.advance(now);
        self.order += 1;
        self.heap.push(Reverse((self.virtual_time + bytes * PARTS, self.order, place)));
    }

    /// Takes out a transfer that is complete by `now`.
    pub(super) fn carried(&mut self, now: u64) -> Option<u32> {
        self.advance(now);
        let Reverse((end, _, place)) = *self.heap.peek()?;
        (end <= self.virtual_time).then(|| {
            self.heap.pop();
            place
        })
    }

    /// When the next transfer is complete if nothing else begins.
    pub(super) fn next_at(&self, now: u64) -> Option<u64> {
        let Reverse((end, ..)) = self.heap.peek()?;
        let left = end.saturating_sub(self.virtual_time) as f64 * self.heap.len() as f64;
        Some((now + whole((left / self.capacity).ceil())).max(now + 1))
    }

    pub(super) fn clear(&mut self, now: u64) {
        self.advance(now);
        self.heap.clear();
    }

    /// Lets virtual time pass. Transfers that end on the way leave their part to the
    /// others from then on.
    fn advance(&mut self, now: u64) {
        let mut left = (now - self.updated) as f64 * self.capacity;
        self.updated = now;
        let mut active = self.heap.len() as f64;
        let mut done = Vec::new();
        while let Some(Reverse((end, ..))) = self.heap.peek() {
            let needed = end.saturating_sub(self.virtual_time) as f64 * active;
            if needed > left {
                self.virtual_time += whole(left / active);
                break;
            }
            left -= needed;
            self.virtual_time = self.virtual_time.max(*end);
            done.extend(self.heap.pop());
            active -= 1.0;
        }
        self.heap.extend(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs what has begun until it is complete; when each was.
    fn finish(sharing: &mut Sharing, mut now: u64) -> Vec<(u32, u64)> {
        let mut ends = Vec::new();
        while let Some(next) = sharing.next_at(now) {
            now = next;
            while let Some(place) = sharing.carried(now) {
                ends.push((place, now));
            }
        }
        ends
    }

    #[test]
    fn two_transfers_share_and_the_second_half_of_the_longer_has_all() {
        // 8 Mbit/s are 1,000 bytes per ms.
        let mut sharing = Sharing::new(8);
        sharing.begin(1, 100_000, 0);
        sharing.begin(2, 200_000, 0);
        // 200 ms for twice 100,000; then 100,000 alone.
        assert_eq!(finish(&mut sharing, 0), [(1, 200), (2, 300)]);
    }

    #[test]
    fn who_comes_later_shares_from_then_on() {
        let mut sharing = Sharing::new(8);
        sharing.begin(1, 100_000, 0);
        assert_eq!(sharing.carried(50), None);
        sharing.begin(2, 25_000, 50);
        // 50,000 are left; both have 25,000 by 100; the first ends alone at 125.
        assert_eq!(finish(&mut sharing, 50), [(2, 100), (1, 125)]);
    }

    #[test]
    fn the_capacity_is_used_up_whatever_the_sizes() {
        let mut sharing = Sharing::new(80);
        let sizes: Vec<u64> = (1..200).map(|n| n * 997 % 30_000 + 1).collect();
        for (place, bytes) in sizes.iter().enumerate() {
            sharing.begin(crate::num::count(place), *bytes, 10);
        }
        let last = finish(&mut sharing, 10).last().expect("some").1;
        let total: u64 = sizes.iter().sum();
        let ideal = 10 + total.div_ceil(10_000);
        assert!((ideal..=ideal + 1).contains(&last), "{last} rather than {ideal}");
    }
}
