//! Requests to the origin: few, for runs of neighbours, and of a size that bounds
//! what is lost when a peer turns out to be faster.

use std::ops::Range;
use std::time::Duration;

use dcdn_protocol::{ByteRange, ChunkIndex, Layout};

use super::{Download, at_size, narrow};
use crate::network::Network;
use crate::origin::{MAX_ORIGIN_REQUESTS, MAX_ORIGIN_RUN, MAX_URGENT_REQUESTS};
use crate::slots::{Slot, State};
use crate::{Command, Timestamp};

/// What must be asked of the origin within this time is asked together with what
/// must be asked now.
const DUE_TOGETHER: Duration = Duration::from_millis(500);

/// Chunks of the usual size that make a request worth while that could wait for more.
const WORTHWHILE: u32 = MAX_ORIGIN_RUN / 2;

/// A run this near to its reader, in chunks of the usual size, is asked of the origin
/// however short it is.
const URGENT: u32 = 8;

/// What is asked of the origin at once beside peers: what it delivers in this time.
/// More would only stand in the way of what peers send.
const BESIDE_PEERS: Duration = Duration::from_millis(2000);

/// Whoever is the first of a crowd is alone for a moment. For this long it asks for no
/// more than [`RUN_BEFORE_COMPANY`] chunks of the usual size at a time.
const COMPANY_PATIENCE: Duration = Duration::from_millis(5000);

/// Chunks of the usual size that a request may still have to bring when the next one is
/// made without slack.
const OVERLAP: u32 = 4;

/// Chunks of the usual size of a request before others may have come.
const RUN_BEFORE_COMPANY: u32 = 4;

impl Download {
    /// Asks the origin for `chunks`, ascending, neighbours in one request.
    pub(super) fn fetch_from_origin(
        &mut self,
        mut chunks: Vec<ChunkIndex>,
        layout: Layout,
        now: Timestamp,
        network: &mut Network,
    ) {
        if self.origin.given_up() {
            let nearest = self.slots.iter().find(|slot| slot.state != State::Ready);
            if nearest.is_some_and(|slot| chunks.contains(&slot.chunk)) {
                self.fail();
            }
            return;
        }
        if let Some(pause) = self.origin.pause(now) {
            self.look_again = self.look_again.min(pause);
            return;
        }
        if self.origin.whole_only() {
            self.fetch_whole(&chunks, layout, now, network);
            return;
        }
        if self.policy.keeps_deadlines() {
            self.add_what_is_due_soon(&mut chunks, layout, now, network);
        }
        let last = self.slots.last();
        let is_short = self.policy.keeps_deadlines() && !self.holders.is_empty();
        let longest = if is_short {
            self.share(layout, network).min(at_size(MAX_ORIGIN_RUN, layout))
        } else if self.may_get_company(now) {
            at_size(RUN_BEFORE_COMPANY, layout)
        } else {
            at_size(MAX_ORIGIN_RUN, layout)
        };
        for run in self.runs(&chunks, longest) {
            let first = ChunkIndex(run.start);
            let is_urgent = self.readers.distance(layout, first) < at_size(URGENT, layout)
                || self.is_due(first, layout, now, network);
            let most = if is_urgent { MAX_URGENT_REQUESTS } else { MAX_ORIGIN_REQUESTS };
            if self.origin.in_flight() >= most {
                return;
            }
            let is_waited_for =
                self.is_behind(network) && self.readers.distance(layout, first) == 0;
            if is_short && !is_waited_for && self.exceeds_share(&run, layout, network) {
                return;
            }
            let one_by_one = self.slack.is_zero() || (self.is_thin(network) && !is_urgent);
            if one_by_one && self.is_far_behind(layout, network) {
                return;
            }
            // A reader that advances chunk by chunk must not make a request for each.
            let may_grow =
                last.is_some_and(|last| last.0 < run.end) && run.end < layout.chunk_count();
            if !may_grow || run.end - run.start >= at_size(WORTHWHILE, layout) || is_urgent {
                self.ask_origin(run, layout, now);
            }
        }
    }

    /// Whether others may still come who would share what has to be fetched.
    fn may_get_company(&self, now: Timestamp) -> bool {
        let began = self.opened_at.unwrap_or_default();
        self.policy.keeps_deadlines() && !self.slack.is_zero() && now < began + COMPANY_PATIENCE
    }

    fn is_due(&self, chunk: ChunkIndex, layout: Layout, by: Timestamp, network: &Network) -> bool {
        if !self.policy.keeps_deadlines() {
            return false;
        }
        let deadline = self.deadline(layout.range_of(chunk), network);
        self.origin_by(deadline, layout.size_of(chunk), network) <= by
    }

    /// Adds the chunks behind those of `chunks` that will be due soon.
    fn add_what_is_due_soon(
        &self,
        chunks: &mut Vec<ChunkIndex>,
        layout: Layout,
        now: Timestamp,
        network: &Network,
    ) {
        let mut last: Option<ChunkIndex> = None;
        for slot in self.slots.iter().filter(|slot| slot.state == State::Missing) {
            let chunk = slot.chunk;
            if let Err(place) = chunks.binary_search(&chunk) {
                let follows = last.is_some_and(|last| last.0 + 1 == chunk.0);
                if !follows
                    || !self.is_due(chunk, layout, now + DUE_TOGETHER, network)
                    || self.can_wait(layout.range_of(chunk), network)
                {
                    continue;
                }
                chunks.insert(place, chunk);
            }
            last = Some(chunk);
        }
    }

    /// Chunks that the origin delivers within [`BESIDE_PEERS`], or half of that where a peer
    /// that is late with what is played next must not have to wait; at least one.
    fn share(&self, layout: Layout, network: &Network) -> u32 {
        let part = if self.is_behind(network) { 2 } else { 1 };
        let bytes = network.origin.delivers_in(BESIDE_PEERS / part);
        narrow(bytes / u64::from(layout.chunk_size())).max(1)
    }

    /// Whether `run` is too much beside what has been asked of the origin already.
    fn exceeds_share(&self, run: &Range<u32>, layout: Layout, network: &Network) -> bool {
        let is_coming = |slot: &&Slot| matches!(slot.state, State::FromOrigin(_));
        let coming = narrow(self.slots.iter().filter(is_coming).count() as u64);
        coming > 0 && coming + (run.end - run.start) > self.share(layout, network)
    }

    /// Whether what is asked for now would come beside what a reader needs before, instead of
    /// behind it: over plain HTTP one answer has all of the visitor's line.
    fn is_far_behind(&self, layout: Layout, network: &Network) -> bool {
        let soon = network.origin.delivers_in(network.origin.first_byte() * 2);
        let chunk = u64::from(layout.chunk_size());
        self.origin.outstanding() > soon.clamp(chunk, chunk * u64::from(at_size(OVERLAP, layout)))
    }

    /// Ascending chunks as runs of neighbours, of at most `longest`. A chunk whose
    /// beginning is there begins a run.
    fn runs(&self, chunks: &[ChunkIndex], longest: u32) -> Vec<Range<u32>> {
        let mut runs: Vec<Range<u32>> = Vec::new();
        for &chunk in chunks {
            let begins = self.slots.get(chunk).is_some_and(|slot| slot.kept.is_some());
            match runs.last_mut().filter(|run| run.end == chunk.0 && !begins) {
                Some(run) if run.end - run.start < longest => run.end += 1,
                _ => runs.push(chunk.0..chunk.0 + 1),
            }
        }
        runs
    }

    fn ask_origin(&mut self, chunks: Range<u32>, layout: Layout, now: Timestamp) {
        let mut range = layout.range_of_run(&chunks);
        let first = self.slots.get(ChunkIndex(chunks.start));
        range.start += u64::from(first.and_then(|slot| slot.kept).unwrap_or(0));
        let request = self.origin.start(range.len(), now);
        for chunk in chunks.clone().map(ChunkIndex) {
            let Some(slot) = self.slots.get_mut(chunk) else { continue };
            slot.state = State::FromOrigin(request);
            slot.begun = slot.kept.take().unwrap_or(0);
        }
        self.commands.push_back(Command::FetchOrigin { request, range });
    }

    /// An origin without ranges: one request at a time, for everything.
    fn fetch_whole(
        &mut self,
        chunks: &[ChunkIndex],
        layout: Layout,
        now: Timestamp,
        network: &mut Network,
    ) {
        let mut behind = false;
        for &chunk in chunks {
            match (self.origin.will_bring(chunk), self.slots.get_mut(chunk)) {
                (Some(request), Some(slot)) => {
                    slot.state = State::FromOrigin(request);
                    (slot.kept, slot.begun) = (None, 0);
                }
                _ => behind = true,
            }
        }
        if !behind {
            return;
        }
        for request in self.origin.requests() {
            self.forget_request(request);
            self.cancel_origin(request, network);
        }
        // It is read no faster than the readers read, and keeps nothing else waiting.
        let request = self.origin.start(0, now);
        for slot in self.slots.iter_mut().filter(|slot| slot.state == State::Missing) {
            slot.state = State::FromOrigin(request);
            (slot.kept, slot.begun) = (None, 0);
        }
        let range = ByteRange::new(0, layout.length());
        self.commands.push_back(Command::FetchOrigin { request, range });
    }
}
