//! What is going to happen: a ring of one bucket per millisecond, with a map for
//! what lies farther ahead.

use std::collections::BTreeMap;

use crate::event::Event;

/// Milliseconds that the ring spans.
const SPAN: u64 = 1 << 16;

/// Emptied buckets that are kept for reuse.
const MAX_SPARE: usize = 256;

/// Events by the millisecond in which they happen.
#[derive(Debug)]
pub struct Queue {
    /// No event lies before this.
    now: u64,
    ring: Vec<Vec<Event>>,
    /// One bit per bucket of the ring that is not empty.
    occupied: Vec<u64>,
    far: BTreeMap<u64, Vec<Event>>,
    spare: Vec<Vec<Event>>,
}

impl Queue {
    /// Nothing is going to happen.
    pub fn new() -> Self {
        let buckets = crate::num::index(SPAN);
        Self {
            now: 0,
            ring: (0..buckets).map(|_| Vec::new()).collect(),
            occupied: vec![0; buckets / 64],
            far: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    /// Lets `event` happen at `at`, which must not have been taken yet.
    pub fn push(&mut self, at: u64, event: Event) {
        debug_assert!(at >= self.now, "{at} has passed, it is {}", self.now);
        if at - self.now >= SPAN {
            self.far.entry(at).or_default().push(event);
            return;
        }
        let place = place(at);
        let bucket = &mut self.ring[place];
        if bucket.capacity() == 0
            && let Some(spare) = self.spare.pop()
        {
            *bucket = spare;
        }
        bucket.push(event);
        self.occupied[place / 64] |= 1 << (place % 64);
    }

    /// When the next event happens.
    pub fn next_at(&self) -> Option<u64> {
        let near = self.next_in_ring();
        let far = self.far.keys().next().copied();
        near.into_iter().chain(far).min()
    }

    /// Takes all events of the millisecond `at`, before which there must be none,
    /// in the order that does not depend on how they came to be pushed.
    pub fn take(&mut self, at: u64) -> Vec<Event> {
        self.now = at;
        let place = place(at);
        self.occupied[place / 64] &= !(1 << (place % 64));
        let mut events = std::mem::take(&mut self.ring[place]);
        if self.far.first_key_value().is_some_and(|(first, _)| *first == at)
            && let Some((_, far)) = self.far.pop_first()
        {
            events.extend(far);
        }
        events.sort_unstable_by_key(|event| (event.to, event.from, event.seq));
        self.now = at + 1;
        events
    }

    /// Gives back an emptied bucket.
    pub fn recycle(&mut self, mut bucket: Vec<Event>) {
        bucket.clear();
        if self.spare.len() < MAX_SPARE && bucket.capacity() > 0 {
            self.spare.push(bucket);
        }
    }

    fn next_in_ring(&self) -> Option<u64> {
        let start = place(self.now);
        let words = self.occupied.len();
        // The first word is looked at twice: from `start` on, and up to it at the end.
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mask = match step {
                0 => u64::MAX << (start % 64),
                _ if step == words => !(u64::MAX << (start % 64)),
                _ => u64::MAX,
            };
            let bits = self.occupied[word] & mask;
            if bits != 0 {
                let found = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (found + self.ring.len() - start) % self.ring.len();
                return Some(self.now + ahead as u64);
            }
        }
        None
    }
}

fn place(at: u64) -> usize {
    crate::num::index(at % SPAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EntityId, What};

    fn event(to: u32, from: u32, seq: u32) -> Event {
        Event { to: EntityId(to), from: EntityId(from), seq, what: What::UplinkFree }
    }

    #[test]
    fn events_come_in_the_order_of_their_times_however_far_ahead() {
        let mut queue = Queue::new();
        let times = [5, 70_000, 5, 65_535, 65_536, 1, 1_000_000, 131_072 + 5];
        for (seq, at) in (0..).zip(times) {
            queue.push(at, event(1, 1, seq));
        }
        let mut seen = Vec::new();
        while let Some(at) = queue.next_at() {
            let events = queue.take(at);
            assert!(!events.is_empty());
            seen.extend(events.iter().map(|_| at));
            queue.recycle(events);
        }
        let mut expected = times;
        expected.sort_unstable();
        assert_eq!(seen, expected);
    }

    #[test]
    fn within_a_millisecond_the_order_does_not_depend_on_pushing() {
        let order = |events: &[(u32, u32, u32)]| {
            let mut queue = Queue::new();
            for (to, from, seq) in events {
                queue.push(9, event(*to, *from, *seq));
            }
            let taken = queue.take(9);
            taken.iter().map(|it| (it.to.0, it.from.0, it.seq)).collect::<Vec<_>>()
        };
        let events = [(2, 1, 1), (1, 3, 0), (1, 2, 7), (1, 2, 3)];
        let mut backwards = events;
        backwards.reverse();
        assert_eq!(order(&events), [(1, 2, 3), (1, 2, 7), (1, 3, 0), (2, 1, 1)]);
        assert_eq!(order(&events), order(&backwards));
    }
}
