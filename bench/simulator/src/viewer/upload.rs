//! The uplink: one chunk after the other, to whoever asked first.

use std::collections::VecDeque;

use dcdn_protocol::ChunkIndex;
use dcdn_protocol::message::peer::{MAX_QUEUED_REQUESTS, PIECE_SIZE};

use crate::ahead;
use crate::event::{ContentNo, EntityId};

/// Requests that wait for the uplink at the most, of all peers together. More would
/// only be late.
const MAX_QUEUED: usize = 64;

/// Someone's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Whose.
    pub to: EntityId,
    /// Comes back with the chunk.
    pub serial: u32,
    /// Of which content.
    pub content: ContentNo,
    /// Which.
    pub chunk: ChunkIndex,
    /// When it came, in microseconds.
    pub since_us: u64,
}

/// What is being sent.
#[derive(Clone, Copy, Debug)]
struct Current {
    to: EntityId,
    serial: u32,
    size: u32,
    start_us: u64,
    end_us: u64,
}

/// The uplink of a viewer.
#[derive(Debug, Default)]
pub struct Uplink {
    queue: VecDeque<Job>,
    current: Option<Current>,
    free_us: u64,
    /// When it is looked at again, in milliseconds; 0 if nobody waits.
    pub wake_at: u64,
}

impl Uplink {
    /// See [`crate::ahead`].
    pub fn read_ahead(&self) {
        let (front, back) = self.queue.as_slices();
        ahead::values(front);
        ahead::values(back);
    }

    /// Takes a request in. False if there is no room.
    pub fn push(&mut self, job: Job) -> bool {
        let of_peer = self.queue.iter().filter(|queued| queued.to == job.to).count();
        if self.queue.len() >= MAX_QUEUED || of_peer >= MAX_QUEUED_REQUESTS {
            return false;
        }
        self.queue.push_back(job);
        true
    }

    /// The next to be sent, if the uplink is free by now, and when it begins.
    pub fn next(&mut self, now: u64) -> Option<(Job, u64)> {
        if self.free_us > now * 1000 {
            return None;
        }
        let job = self.queue.pop_front()?;
        Some((job, self.free_us.max(job.since_us)))
    }

    /// A chunk of `size` bytes is sent from `start_us` to `end_us`.
    pub fn begin(&mut self, job: &Job, size: u32, start_us: u64, end_us: u64) {
        let (to, serial) = (job.to, job.serial);
        self.current = Some(Current { to, serial, size, start_us, end_us });
        self.free_us = end_us;
    }

    /// When the next that waits can be sent, in milliseconds.
    pub fn next_at(&self) -> Option<u64> {
        (!self.queue.is_empty()).then(|| self.free_us.div_ceil(1000))
    }

    /// A request is taken back. Returns the bytes that are not sent after all
    /// although it had begun.
    pub fn cancel(&mut self, to: EntityId, serial: u32, now: u64) -> Option<u32> {
        let waiting = self.queue.iter().position(|it| it.to == to && it.serial == serial);
        if let Some(place) = waiting {
            self.queue.remove(place);
            return None;
        }
        let current = self.current.filter(|it| it.to == to && it.serial == serial)?;
        self.stop(current, now)
    }

    /// A peer is gone, and what it asked for with it. As [`Uplink::cancel`], with the
    /// serial of the request that had begun.
    pub fn forget(&mut self, peer: EntityId, now: u64) -> Option<(u32, u32)> {
        self.queue.retain(|job| job.to != peer);
        let current = self.current.filter(|it| it.to == peer)?;
        Some((current.serial, self.stop(current, now)?))
    }

    /// What is being sent now, to whom: serial, and bytes that are still to go.
    pub fn under_way(&self, now: u64) -> Option<(EntityId, u32, u32)> {
        let current = self.current.filter(|it| it.end_us > now * 1000)?;
        Some((current.to, current.serial, current.unsent(now)))
    }

    /// What is being sent ends with the piece that is on its way.
    fn stop(&mut self, current: Current, now: u64) -> Option<u32> {
        self.current = None;
        let unsent = current.unsent(now);
        if unsent == 0 {
            return None;
        }
        let span = current.end_us - current.start_us;
        self.free_us -= span * u64::from(unsent) / u64::from(current.size);
        Some(unsent)
    }
}

impl Current {
    /// Bytes of the pieces that have not begun.
    fn unsent(&self, now: u64) -> u32 {
        let now_us = now * 1000;
        if now_us >= self.end_us {
            return 0;
        }
        let passed = now_us.saturating_sub(self.start_us);
        let sent = u64::from(self.size) * passed / (self.end_us - self.start_us).max(1);
        let pieces = (sent / u64::from(PIECE_SIZE) + 1) * u64::from(PIECE_SIZE);
        self.size - crate::num::narrow(pieces).min(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(to: u32, serial: u32, ms: u64) -> Job {
        let (content, chunk) = (ContentNo(0), ChunkIndex(serial));
        Job { to: EntityId(to), serial, content, chunk, since_us: ms * 1000 }
    }

    #[test]
    fn requests_wait_their_turn_and_lose_no_time() {
        let mut uplink = Uplink::default();
        assert!(uplink.push(job(2, 0, 10)));
        assert!(uplink.push(job(3, 1, 10)));
        let (first, start) = uplink.next(10).expect("free");
        assert_eq!((first.serial, start), (0, 10_000));
        uplink.begin(&first, 1000, start, start + 2500);
        assert!(uplink.next(12).is_none());
        assert_eq!(uplink.next_at(), Some(13));
        let (second, start) = uplink.next(13).expect("free again");
        assert_eq!((second.serial, start), (1, 12_500));
    }

    #[test]
    fn what_is_taken_back_costs_what_was_sent_of_it() {
        let mut uplink = Uplink::default();
        let size = 5 * PIECE_SIZE;
        uplink.push(job(2, 0, 0));
        uplink.push(job(2, 1, 0));
        let (first, start) = uplink.next(0).expect("free");
        uplink.begin(&first, size, start, 100_000);
        assert_eq!(uplink.cancel(EntityId(2), 1, 5), None, "had not begun");
        // At 30 ms the second of five pieces is on its way.
        assert_eq!(uplink.cancel(EntityId(2), 0, 30), Some(3 * PIECE_SIZE));
        uplink.push(job(3, 2, 30));
        assert_eq!(uplink.next_at(), Some(40));
    }

    #[test]
    fn nobody_can_fill_the_queue_alone() {
        let mut uplink = Uplink::default();
        let admitted = (0..100).filter(|n| uplink.push(job(2, *n, 0))).count();
        assert_eq!(admitted, MAX_QUEUED_REQUESTS);
        assert!(uplink.push(job(3, 100, 0)));
    }
}
