//! One content's download: what is known, what is under way. What to do next is
//! decided in [`plan`] and [`fetch`].

mod ask_origin;
mod crew;
mod fetch;
mod late;
mod plan;

use std::collections::VecDeque;
use std::time::Duration;

use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::message::peer::ChunkFailReason;
use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet, Layout, PolicyName};
use rand_core::SeedableRng;
use rand_pcg::Pcg32;
use vecmap::VecSet;

use crate::holders::Holders;
use crate::origin::Origin;
use crate::policy::{self, Policy};
use crate::readers::{Readers, Slack};
use crate::slots::{Slots, State};
use crate::{Command, Input, Link, Network, OriginRequest, Timestamp};

/// Later than anything.
const NEVER: Timestamp = Timestamp(u64::MAX);

/// A segment has the slack divided by this: with the usual slack, the time in which a peer
/// of whom nothing is known yet is taken to send a chunk.
const SEGMENT_SLACK: u32 = 2;

/// By this on a line that may be hardly faster than the film.
const THIN_SEGMENT_SLACK: u32 = 24;

/// And it has no more than this, whatever the slack: players take a request for dead whose bytes
/// do not come, video.js after one and a half times what a segment plays, Shaka Player after 5 s.
pub(crate) const MAX_SEGMENT_SLACK: Duration = Duration::from_millis(2500);

/// What the site and the page chose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The download configuration.
    pub policy: PolicyName,
    /// How much later than plain HTTP a reader may get its bytes.
    pub slack: Duration,
    /// The same in percent of the time that plain HTTP takes; both add up.
    pub slack_percent: u32,
    /// With `mixed`, the percentage of chunks that come over HTTP; `None` makes HTTP
    /// one of the peers, with an equal share.
    pub mixed_http_percent: Option<u8>,
    /// Whether the visitor has peers already, and something to look at while it looks for
    /// more: so it is with a film's next segment. Then `adaptive` asks them first.
    pub among_peers: bool,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Settings {
    /// The same for one of the pieces of a film that a player asks for one after another. If it
    /// were as late with each of them as the slack allows, it would run dry; on a line that may be
    /// hardly faster than the film it would if it were late by more than a little. `connected`:
    /// whether the visitor has peers already.
    #[must_use]
    pub fn for_segment(self, connected: bool, network: &Network) -> Self {
        let share = if network.is_thin() { THIN_SEGMENT_SLACK } else { SEGMENT_SLACK };
        let slack = (self.slack / share).min(MAX_SEGMENT_SLACK);
        Self { slack, among_peers: connected, ..self }
    }

    pub(crate) fn slack(&self) -> Slack {
        Slack { fixed: self.slack, percent: self.slack_percent }
    }
}

/// Decides for one content. See the crate's documentation.
#[derive(Debug)]
pub struct Download {
    policy: Box<dyn Policy>,
    slack: Slack,
    rng: Pcg32,
    layout: Option<Layout>,
    manifest: Manifest,
    readers: Readers,
    opened_at: Option<Timestamp>,
    head: ByteRange,
    /// The request that was made before the content's layout was known.
    cold: Option<(OriginRequest, ByteRange)>,
    stored: ChunkSet,
    slots: Slots,
    holders: Holders,
    expecting: Expecting,
    origin: Origin,
    find_peers: FindPeers,
    /// When the last connection opened.
    last_up: Timestamp,
    /// Chunks that nobody wanted any more while a page was handing over what has come.
    abandoned: VecSet<ChunkIndex>,
    /// Bytes that came and were thrown away, and bytes that were of use.
    wasted: u64,
    useful: u64,
    reported_failure: bool,
    /// Something has happened that may change the plan.
    stale: bool,
    /// And it was more than room for another request.
    changed: bool,
    /// Chunks are missing that have not been looked at, or could not be asked for yet.
    unsettled: bool,
    /// The readers have moved: other chunks may be wanted.
    moved: bool,
    /// When the next of the chunks that wait must be looked at again.
    look_again: Timestamp,
    /// When a request to a peer may be late, at the earliest.
    late_from: Timestamp,
    wake: Option<Timestamp>,
    commands: VecDeque<Command>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manifest {
    Pending,
    Ready,
    Unavailable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expecting {
    Unknown,
    Nobody,
    Peers { count: usize, since: Timestamp },
}

/// When more peers were last asked for.
#[derive(Clone, Copy, Debug, Default)]
struct FindPeers {
    next: Timestamp,
    asked: u32,
}

impl Download {
    /// A download that knows nothing yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            policy: policy::of(settings),
            slack: settings.slack(),
            rng: Pcg32::seed_from_u64(settings.seed),
            layout: None,
            manifest: Manifest::Pending,
            readers: Readers::default(),
            opened_at: None,
            head: ByteRange::new(0, 0),
            cold: None,
            stored: ChunkSet::new(),
            slots: Slots::default(),
            holders: Holders::default(),
            expecting: Expecting::Unknown,
            origin: Origin::default(),
            find_peers: FindPeers::default(),
            last_up: Timestamp::default(),
            abandoned: VecSet::new(),
            wasted: 0,
            useful: 0,
            reported_failure: false,
            stale: false,
            changed: false,
            unsettled: false,
            moved: false,
            look_again: NEVER,
            late_from: NEVER,
            wake: None,
            commands: VecDeque::new(),
        }
    }

    /// Takes in what has happened and decides what to do about it.
    pub fn handle(&mut self, input: Input, now: Timestamp, network: &mut Network) {
        self.take_in(input, now, network);
        if self.stale || self.wake.is_some_and(|wake| wake <= now) {
            self.stale = false;
            self.plan(now, network);
        }
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When [`Input::Tick`] is due, unless another input comes first.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.wake
    }

    /// Whether anybody is reading.
    pub fn has_readers(&self) -> bool {
        self.readers.any_open()
    }

    /// Whether `chunk` is of use now: within a reader's read-ahead, or before all
    /// that are. For whoever reads a long answer of the origin, and should not read
    /// it faster than that.
    pub fn wants(&self, chunk: ChunkIndex) -> bool {
        self.layout.is_none() || self.slots.last().is_some_and(|last| chunk <= last)
    }

    /// Chunks in memory, on their way there or wanted; bounded by the readers'
    /// read-ahead.
    pub fn active_chunks(&self) -> usize {
        self.slots.len()
    }

    /// Where what [`Download::handle`] looks at lies in memory, and how many bytes; unless
    /// `all` is wanted, what it looks at when a peer says what it holds. For simulations,
    /// which have thousands of these and know which is next.
    pub fn memory(&self, all: bool, visit: &mut impl FnMut(*const u8, usize)) {
        self.holders.memory(visit);
        if all {
            self.slots.memory(visit);
        }
    }

    fn take_in(&mut self, input: Input, now: Timestamp, network: &mut Network) {
        // What only adds to what is known changes no plan by itself.
        let adds = matches!(
            input,
            Input::LinkProgress { .. }
                | Input::LinkHas { .. }
                | Input::Stored { .. }
                | Input::ReaderAdvanced { .. }
                | Input::OriginAnswered { .. }
                | Input::Expecting { .. }
        );
        // And these may have made room for more requests, but no chunk has to be
        // looked at that was not waiting for room.
        let makes_room = matches!(
            input,
            Input::Ready { .. }
                | Input::ReaderOpened { .. }
                | Input::ReaderClosed { .. }
                | Input::Tick
        );
        self.stale |= !adds;
        self.changed |= !adds && !makes_room;
        match input {
            Input::ReaderOpened { reader, range, goes_on } => {
                let there = self.is_there(range.start);
                let resumes = self.readers.open(reader, range, goes_on, there, now);
                self.changed |= !resumes;
                if self.opened_at.is_none() {
                    self.opened_at = Some(now);
                    self.head = policy::head(range.start, self.policy.head_bytes(None));
                    if let Some(layout) = self.layout {
                        self.fit_head(layout);
                    }
                }
                self.moved = true;
            }
            Input::ReaderAdvanced { reader, position } => {
                let there = self.is_there(position);
                let before = self.readers.advance(reader, position, there, now);
                if before.is_some_and(|before| self.chunk_at(before) != self.chunk_at(position)) {
                    self.moved = true;
                    self.stale = true;
                }
            }
            Input::ReaderClosed { reader } => {
                self.readers.close(reader, self.layout.map(Layout::length), now);
                self.moved = true;
            }
            Input::Described { layout } => self.described(layout),
            Input::ManifestReady => self.manifest = Manifest::Ready,
            Input::ManifestUnavailable => self.manifest = Manifest::Unavailable,
            Input::Stored { chunks } => {
                chunks.runs().for_each(|run| self.stored.insert_run(run));
                if self.slots.any_missing_of(&chunks) {
                    (self.stale, self.changed) = (true, true);
                }
            }
            Input::StoreMissing { chunks } => {
                self.stored = self.stored.without(&chunks);
                for slot in self.slots.iter_mut() {
                    if slot.state == State::FromStore && chunks.contains(slot.chunk) {
                        slot.goes_missing();
                    }
                }
            }
            Input::Expecting { peers } => {
                let before = self.peers_until(now);
                self.expect(peers as usize, now);
                if self.peers_until(now) != before {
                    (self.stale, self.changed) = (true, true);
                }
            }
            Input::LinkUp { link, me, peer, expected } => {
                self.last_up = now;
                self.holders.up(link, me, peer, expected);
            }
            Input::LinkDown { link } => {
                self.holders.down(link);
                self.lose(link);
            }
            Input::LinkHas { link, chunks } => {
                let news = self.holders.has(link, chunks);
                self.stale |= self.slots.any_missing_of(&news);
            }
            Input::LinkProgress { link, chunk, received } => {
                let more = self.progress(link, chunk, received);
                self.stale |= network.progress(link, more, self.before(), now);
            }
            Input::LinkFailed { link, chunk, reason } => {
                self.refused(link, chunk, reason, now, network);
            }
            Input::LinkLied { link, chunk } => {
                self.peer_failed(link, chunk, network);
                if let Some(slot) = self.slots.get_mut(chunk)
                    && matches!(slot.state, State::FromOrigin(_))
                {
                    slot.goes_missing();
                    self.origin.passed(chunk);
                }
                network.ban(link);
                self.commands.push_back(Command::Ban { link });
            }
            Input::Salvaged { link, chunk, received } => {
                self.salvaged(link, chunk, received, network);
            }
            Input::Ready { chunk, from } => self.ready(chunk, from, now, network),
            Input::OriginAnswered { request, ranges } => {
                self.origin.answered(request, ranges, now, &mut network.origin);
            }
            Input::OriginDone { request } => {
                self.origin.end(request, &mut network.origin);
                self.forget_request(request);
            }
            Input::OriginFailed { request } => {
                self.origin.failed(request, now, &mut network.origin);
                self.forget_request(request);
            }
            Input::Tick => {}
        }
    }

    fn described(&mut self, layout: Layout) {
        if self.layout.is_some() {
            return;
        }
        self.layout = Some(layout);
        self.moved = true;
        self.fit_head(layout);
        self.place_cold_request(layout);
    }

    /// The head of a content whose length is known.
    fn fit_head(&mut self, layout: Layout) {
        let left = layout.length().saturating_sub(self.head.start);
        let mut bytes = self.head.len().max(self.policy.head_bytes(Some(left)));
        // Peers are not worth waiting for when less than a chunk is left to them.
        if bytes > 0 && left.saturating_sub(bytes) < u64::from(layout.chunk_size()) {
            bytes = left.max(bytes);
        }
        self.head = policy::head(self.head.start, bytes);
    }

    fn expect(&mut self, count: usize, now: Timestamp) {
        self.expecting = match (count, self.expecting) {
            (0, _) => Expecting::Nobody,
            (count, Expecting::Peers { since, .. }) => Expecting::Peers { count, since },
            (count, _) => Expecting::Peers { count, since: now },
        };
    }

    /// All that was asked over a connection is lost.
    fn lose(&mut self, link: Link) {
        for slot in self.slots.iter_mut().filter(|slot| slot.link() == Some(link)) {
            slot.fails(link);
        }
    }

    /// Notes how much of a chunk has come, and returns how much that is more.
    fn progress(&mut self, from: Link, chunk: ChunkIndex, bytes: u32) -> u32 {
        let Some(slot) = self.slots.get_mut(chunk) else { return 0 };
        match &mut slot.state {
            State::FromPeer { link, received, .. } if *link == from => {
                let before = std::mem::replace(received, bytes.max(*received));
                *received - before
            }
            _ => 0,
        }
    }

    fn refused(
        &mut self,
        link: Link,
        chunk: ChunkIndex,
        reason: ChunkFailReason,
        now: Timestamp,
        network: &mut Network,
    ) {
        network.heard(link, self.before(), now);
        self.peer_failed(link, chunk, network);
        match reason {
            ChunkFailReason::NotHeld => self.holders.lacks(link, chunk),
            ChunkFailReason::Busy => {
                network.busy(link, now);
                // It still holds the chunk, and may have time later, if there is a later.
                let has_time = self
                    .layout
                    .is_some_and(|layout| now < self.deadline(layout.range_of(chunk), network));
                if self.policy.keeps_deadlines()
                    && has_time
                    && let Some(slot) = self.slots.get_mut(chunk)
                {
                    slot.failed.retain(|failed| *failed != link);
                }
            }
            ChunkFailReason::Declined => network.stalled(link, now),
            ChunkFailReason::Broken => {}
        }
    }

    fn peer_failed(&mut self, link: Link, chunk: ChunkIndex, network: &mut Network) {
        let size = self.size_of(chunk);
        let Some(slot) = self.slots.get_mut(chunk).filter(|slot| slot.link() == Some(link)) else {
            return;
        };
        network.answered(link, size);
        slot.fails(link);
    }

    fn salvaged(&mut self, link: Link, chunk: ChunkIndex, received: u32, network: &mut Network) {
        let was_asked = self.slots.get(chunk).is_some_and(
            |slot| matches!(slot.state, State::Salvaging { link: asked, .. } if asked == link),
        );
        if !was_asked {
            // Nobody wants it any more.
            if self.abandoned.remove(&chunk) {
                self.commands.push_back(Command::Release { chunk });
            }
            return;
        }
        self.peer_failed(link, chunk, network);
        let size = self.size_of(chunk);
        if let Some(slot) = self.slots.get_mut(chunk) {
            slot.kept = (received > 0 && received < size).then_some(received);
        }
    }

    fn ready(
        &mut self,
        chunk: ChunkIndex,
        from: Option<Link>,
        now: Timestamp,
        network: &mut Network,
    ) {
        let (size, queued) = (self.size_of(chunk), self.before());
        let Some(slot) = self.slots.get_mut(chunk) else {
            if from.is_none() {
                self.origin.passed(chunk);
            }
            self.wasted += u64::from(size);
            self.commands.push_back(Command::Release { chunk });
            return;
        };
        let before = std::mem::replace(&mut slot.state, State::Ready);
        if before != State::FromStore {
            network.received(size, now);
        }
        match before {
            State::FromPeer { link, .. } | State::Salvaging { link, .. } => {
                network.answered(link, size);
                if from == Some(link) {
                    let received = match before {
                        State::FromPeer { received, .. } => received,
                        _ => 0,
                    };
                    network.progress(link, size.saturating_sub(received), queued, now);
                    network.delivered(link, size, now);
                } else {
                    self.origin.passed(chunk);
                    self.commands.push_back(Command::CancelChunk { link, chunk });
                }
            }
            State::FromOrigin(request) if from.is_none() => {
                // What the origin can do may make late what was not.
                self.late_from = self.late_from.min(now);
                let bytes = size.saturating_sub(slot.begun);
                self.origin.delivered(request, chunk, bytes, now, &mut network.origin);
            }
            _ => {}
        }
        slot.failed.clear();
        slot.kept = None;
        self.useful += u64::from(size);
        if let Some(layout) = self.layout {
            self.readers.arrived(layout.range_of(chunk), now);
        }
    }

    fn forget_request(&mut self, request: OriginRequest) {
        self.cold.take_if(|(cold, _)| *cold == request);
        for slot in self.slots.iter_mut() {
            if slot.state == State::FromOrigin(request) {
                slot.goes_missing();
            }
        }
    }

    fn chunk_at(&self, offset: u64) -> ChunkIndex {
        match self.layout {
            Some(layout) => layout.chunk_at(offset),
            None => ChunkIndex(narrow(offset / u64::from(DEFAULT_CHUNK_SIZE))),
        }
    }

    fn is_there(&self, offset: u64) -> bool {
        self.slots.get(self.chunk_at(offset)).is_some_and(|slot| slot.state == State::Ready)
    }

    fn size_of(&self, chunk: ChunkIndex) -> u32 {
        self.layout.map_or(DEFAULT_CHUNK_SIZE, |layout| layout.size_of(chunk))
    }
}

/// As many chunks as have the bytes of `count` chunks of the usual size, at least one.
fn at_size(count: u32, layout: Layout) -> u32 {
    let bytes = u64::from(count) * u64::from(DEFAULT_CHUNK_SIZE);
    narrow(bytes / u64::from(layout.chunk_size())).max(1)
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_chunks_are_numbers_of_bytes() {
        let of = |size: u32| at_size(16, Layout::new(100_000_000, size).expect("a layout"));
        assert_eq!([256, 512, 1024, 8192].map(|kib| of(kib * 1024)), [16, 8, 4, 1]);
    }
}
