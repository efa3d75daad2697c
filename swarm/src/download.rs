//! One content's download: what is wanted, what is under way, what to do next.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;
use vecmap::{VecMap, VecSet};

use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet, Layout, PolicyName};
use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use crate::origin::{MAX_ORIGIN_RUN, Origin};
use crate::policy::{self, Choice, Policy, View};
use crate::readers::Readers;
use crate::{Command, Input, Link, Network, OriginRequest, Timestamp};

/// Requests to the origin for one content at a time.
pub const MAX_ORIGIN_REQUESTS: usize = 2;

/// How long the first reader waits for the manifest and for anybody who looks for
/// peers. Longer than either takes on a working site, and all that it costs where
/// coordination hangs or a page has no script tag.
const COORDINATION_PATIENCE: Duration = Duration::from_millis(2000);

/// A run this near to its reader, in chunks, is asked of the origin however short it is.
const URGENT: usize = 8;

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
    /// Seed of every random choice.
    pub seed: u64,
}

/// Decides for one content. See the crate's documentation.
#[derive(Debug)]
pub struct Download {
    policy: Box<dyn Policy>,
    slack: Duration,
    rng: Pcg32,
    layout: Option<Layout>,
    manifest: ManifestState,
    readers: Readers,
    opened_at: Option<Timestamp>,
    head: ByteRange,
    stored: ChunkSet,
    active: VecMap<ChunkIndex, Active>,
    failed: VecMap<ChunkIndex, VecSet<Link>>,
    links: VecMap<Link, ChunkSet>,
    expecting: Expecting,
    origin: Origin,
    reported_failure: bool,
    wake: Option<Timestamp>,
    commands: VecDeque<Command>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ManifestState {
    Pending,
    Ready,
    Unavailable,
}

/// A chunk that is in memory or on its way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Active {
    FromStore,
    FromOrigin(OriginRequest),
    FromPeer { link: Link, since: Timestamp },
    Ready,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expecting {
    Unknown,
    Nobody,
    Peers { count: usize, since: Timestamp },
}

impl Download {
    /// A download that knows nothing yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            policy: policy::by_name(settings.policy),
            slack: settings.slack,
            rng: Pcg32::seed_from_u64(settings.seed),
            layout: None,
            manifest: ManifestState::Pending,
            readers: Readers::default(),
            opened_at: None,
            head: ByteRange::new(0, 0),
            stored: ChunkSet::new(),
            active: VecMap::new(),
            failed: VecMap::new(),
            links: VecMap::new(),
            expecting: Expecting::Unknown,
            origin: Origin::default(),
            reported_failure: false,
            wake: None,
            commands: VecDeque::new(),
        }
    }

    /// Takes in what has happened and decides what to do about it.
    pub fn handle(&mut self, input: Input, now: Timestamp, links: &mut Network) {
        self.take_in(input, now, links);
        self.give_up_on_slow_peers(now, links);
        self.plan(now, links);
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
        !self.readers.is_empty()
    }

    /// Whether `chunk` is of use now: within a reader's read-ahead, or before all
    /// readers. For whoever reads a long answer of the origin, and should not read
    /// it faster than that.
    pub fn wants(&self, chunk: ChunkIndex) -> bool {
        self.layout.is_none_or(|layout| self.readers.want(layout.range_of(chunk)))
    }

    /// Chunks in memory or on their way there; bounded by the readers' read-ahead.
    pub fn active_chunks(&self) -> usize {
        self.active.len()
    }

    fn take_in(&mut self, input: Input, now: Timestamp, links: &mut Network) {
        match input {
            Input::ReaderOpened { reader, range } => {
                self.readers.open(reader, range);
                if self.opened_at.is_none() {
                    self.opened_at = Some(now);
                    self.head = ByteRange::new(range.start, range.start + self.policy.head_bytes());
                }
            }
            Input::ReaderAdvanced { reader, position } => self.readers.advance(reader, position),
            Input::ReaderClosed { reader } => self.readers.close(reader),
            Input::Described { layout } => self.described(layout),
            Input::ManifestReady => self.manifest = ManifestState::Ready,
            Input::ManifestUnavailable => self.manifest = ManifestState::Unavailable,
            Input::Stored { chunks } => {
                chunks.runs().for_each(|run| self.stored.insert_run(run));
            }
            Input::StoreMissing { chunk } => {
                self.stored.remove(chunk);
                if self.active.get(&chunk) == Some(&Active::FromStore) {
                    self.active.remove(&chunk);
                }
            }
            Input::Expecting { peers } => self.expect(peers as usize, now),
            Input::LinkDown { link } => self.link_down(link),
            Input::LinkHas { link, chunks } => {
                self.links.insert(link, chunks);
            }
            Input::LinkUp { .. } | Input::OriginAnswered { .. } | Input::Salvaged { .. } => {}
            Input::LinkProgress { link, .. } => links.heard(link, now),
            Input::LinkFailed { link, chunk, .. } => {
                links.heard(link, now);
                self.peer_failed(link, chunk, links);
            }
            Input::LinkLied { link, chunk } => {
                self.peer_failed(link, chunk, links);
                links.ban(link);
                self.commands.push_back(Command::Ban { link });
            }
            Input::Ready { chunk, from } => self.ready(chunk, from, now, links),
            Input::OriginDone { request } => {
                self.origin.end(request);
                self.forget_request(request);
            }
            Input::OriginFailed { request } => {
                self.origin.failed(request, now);
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
        // Peers are not worth waiting for when less than a chunk is left to them.
        let left = layout.length().saturating_sub(self.head.end);
        if !self.head.is_empty() && left < u64::from(layout.chunk_size()) {
            self.head.end = self.head.end.max(layout.length());
        }
        // The head was asked for without knowing where the content ends.
        self.active.retain(|chunk, _| chunk.0 < layout.chunk_count());
    }

    fn expect(&mut self, count: usize, now: Timestamp) {
        self.expecting = match (count, self.expecting) {
            (0, _) => Expecting::Nobody,
            (count, Expecting::Peers { since, .. }) => Expecting::Peers { count, since },
            (count, _) => Expecting::Peers { count, since: now },
        };
    }

    fn link_down(&mut self, link: Link) {
        self.links.remove(&link);
        for chunk in self.asked_of(link) {
            self.active.remove(&chunk);
            self.failed.entry(chunk).or_default().insert(link);
        }
    }

    fn asked_of(&self, link: Link) -> Vec<ChunkIndex> {
        self.active
            .iter()
            .filter(|(_, active)| matches!(active, Active::FromPeer { link: l, .. } if *l == link))
            .map(|(chunk, _)| *chunk)
            .collect()
    }

    fn peer_failed(&mut self, link: Link, chunk: ChunkIndex, links: &mut Network) {
        if matches!(self.active.get(&chunk), Some(Active::FromPeer { link: l, .. }) if *l == link) {
            links.answered(link, self.size_of(chunk));
            self.active.remove(&chunk);
            self.failed.entry(chunk).or_default().insert(link);
        }
    }

    fn ready(
        &mut self,
        chunk: ChunkIndex,
        from: Option<Link>,
        now: Timestamp,
        links: &mut Network,
    ) {
        let size = self.size_of(chunk);
        match self.active.insert(chunk, Active::Ready) {
            Some(Active::FromPeer { link, .. }) => {
                links.answered(link, size);
                if from == Some(link) {
                    links.heard(link, now);
                } else {
                    self.commands.push_back(Command::CancelChunk { link, chunk });
                }
            }
            Some(Active::FromOrigin(_)) if from.is_none() => self.origin.delivered(),
            _ => {}
        }
        self.failed.remove(&chunk);
    }

    fn forget_request(&mut self, request: OriginRequest) {
        self.active.retain(|_, active| *active != Active::FromOrigin(request));
    }

    fn size_of(&self, chunk: ChunkIndex) -> u32 {
        self.layout.map_or(DEFAULT_CHUNK_SIZE, |layout| layout.size_of(chunk))
    }

    fn give_up_on_slow_peers(&mut self, now: Timestamp, links: &mut Network) {
        let mut slow = VecSet::new();
        let late: Vec<_> = self
            .active
            .iter()
            .filter_map(|(chunk, active)| match *active {
                Active::FromPeer { link, since } if links.give_up_at(link, since) <= now => {
                    Some((*chunk, link))
                }
                _ => None,
            })
            .collect();
        for (chunk, link) in late {
            self.peer_failed(link, chunk, links);
            self.commands.push_back(Command::CancelChunk { link, chunk });
            if slow.insert(link) {
                links.strike(link);
            }
        }
    }

    fn plan(&mut self, now: Timestamp, links: &mut Network) {
        self.wake = None;
        match self.layout {
            Some(layout) => {
                let wanted = self.readers.wanted(layout);
                self.let_go_of_unwanted(&wanted, links);
                self.fetch(&wanted, layout, now, links);
            }
            None => self.plan_cold(now),
        }
        self.wake_for_slow_peers(links);
    }

    /// Nothing is known of the content: only the origin can say what it is,
    /// unless the manifest does.
    fn plan_cold(&mut self, now: Timestamp) {
        let Some(start) = self.readers.first_position() else {
            for request in self.origin.take_all() {
                self.forget_request(request);
                self.commands.push_back(Command::CancelOrigin { request });
            }
            return;
        };
        if self.origin.in_flight() > 0 {
            return;
        }
        if self.origin.given_up() {
            self.fail();
            return;
        }
        if let Some(pause) = self.origin.pause(now) {
            self.wake_at(pause);
            return;
        }
        let patience = self.head.is_empty().then(|| self.peers_until(now));
        if let Some(until) = patience.flatten() {
            self.wake_at(until);
            return;
        }
        let bytes = match self.head.len() {
            0 => u64::from(MAX_ORIGIN_RUN) * u64::from(DEFAULT_CHUNK_SIZE),
            head => head,
        };
        let first = narrow(start / u64::from(DEFAULT_CHUNK_SIZE));
        let count = narrow(bytes.div_ceil(u64::from(DEFAULT_CHUNK_SIZE)));
        self.ask_origin(first..first.saturating_add(count), DEFAULT_CHUNK_SIZE);
    }

    fn let_go_of_unwanted(&mut self, wanted: &[ChunkIndex], links: &mut Network) {
        let wanted: ChunkSet = wanted.iter().copied().collect();
        let unwanted: Vec<_> = self
            .active
            .iter()
            .filter(|(chunk, _)| !wanted.contains(**chunk))
            .map(|(chunk, active)| (*chunk, *active))
            .collect();
        for (chunk, active) in unwanted {
            match active {
                Active::Ready => self.commands.push_back(Command::Release { chunk }),
                Active::FromPeer { link, .. } => {
                    links.answered(link, self.size_of(chunk));
                    self.commands.push_back(Command::CancelChunk { link, chunk });
                }
                Active::FromStore => {}
                // A request to the origin goes on as long as any of it is wanted.
                Active::FromOrigin(_) => continue,
            }
            self.active.remove(&chunk);
        }
        // A request of which nothing that is still to come is wanted.
        let mut useful = VecMap::new();
        for (chunk, active) in &self.active {
            if let Active::FromOrigin(request) = active {
                *useful.entry(*request).or_insert(false) |= wanted.contains(*chunk);
            }
        }
        let idle = useful.into_iter().filter(|(_, useful)| !useful).map(|(request, _)| request);
        for request in idle {
            self.origin.end(request);
            self.forget_request(request);
            self.commands.push_back(Command::CancelOrigin { request });
        }
    }

    fn fetch(
        &mut self,
        wanted: &[ChunkIndex],
        layout: Layout,
        now: Timestamp,
        links: &mut Network,
    ) {
        let mut missing = Vec::new();
        for &chunk in wanted {
            if self.active.contains_key(&chunk) {
                continue;
            }
            if self.stored.contains(chunk) {
                self.active.insert(chunk, Active::FromStore);
                self.commands.push_back(Command::ReadStore { chunk });
            } else {
                missing.push(chunk);
            }
        }
        if self.policy.random_order() {
            shuffle(&mut missing, &mut self.rng);
        }
        let mut from_origin = ChunkSet::new();
        for chunk in missing {
            match self.choose(chunk, layout, now, links) {
                Choice::Origin => {
                    from_origin.insert(chunk);
                }
                Choice::Peer(link) => {
                    self.active.insert(chunk, Active::FromPeer { link, since: now });
                    links.asked(link, layout.size_of(chunk), now);
                    self.commands.push_back(Command::RequestChunk { link, chunk });
                }
                Choice::Wait(until) => {
                    if let Some(until) = until {
                        self.wake_at(until);
                    }
                }
            }
        }
        self.fetch_from_origin(&from_origin, wanted, layout, now);
    }

    fn choose(
        &mut self,
        chunk: ChunkIndex,
        layout: Layout,
        now: Timestamp,
        links: &Network,
    ) -> Choice {
        let failed_at = self.failed.get(&chunk);
        let holders: Vec<Link> = if self.manifest == ManifestState::Ready {
            self.links
                .iter()
                .filter(|(link, has)| {
                    has.contains(chunk)
                        && links.usable(**link)
                        && failed_at.is_none_or(|failed| !failed.contains(link))
                })
                .map(|(link, _)| *link)
                .collect()
        } else {
            Vec::new()
        };
        let size = layout.size_of(chunk);
        let ready: Vec<Link> =
            holders.iter().copied().filter(|link| links.has_room(*link, size)).collect();
        self.policy.choose(&View {
            chunk,
            in_head: !layout.range_of(chunk).intersection(self.head).is_empty(),
            peer_failed: failed_at.is_some(),
            origin_ailing: self.origin.ailing(),
            busy: holders.len() > ready.len(),
            ready: &ready,
            peers_until: self.peers_until(now),
            dice: self.rng.next_u32(),
        })
    }

    /// Until when it is worth waiting for peers that have not said yet what they hold.
    fn peers_until(&self, now: Timestamp) -> Option<Timestamp> {
        let opened_at = self.opened_at?;
        let until = match (self.manifest, self.expecting) {
            (ManifestState::Unavailable, _) | (_, Expecting::Nobody) => return None,
            (ManifestState::Pending, _) | (_, Expecting::Unknown) => {
                opened_at + COORDINATION_PATIENCE
            }
            (ManifestState::Ready, Expecting::Peers { count, since }) => {
                if self.links.len() >= count {
                    return None;
                }
                since + self.slack
            }
        };
        (until > now).then_some(until)
    }

    /// Asks the origin for `chunks`, neighbours in one request.
    fn fetch_from_origin(
        &mut self,
        chunks: &ChunkSet,
        wanted: &[ChunkIndex],
        layout: Layout,
        now: Timestamp,
    ) {
        let Some(first) = chunks.iter().next() else { return };
        if self.origin.given_up() {
            if wanted.first() == Some(&first) {
                self.fail();
            }
            return;
        }
        if let Some(pause) = self.origin.pause(now) {
            self.wake_at(pause);
            return;
        }
        let urgent: ChunkSet = wanted.iter().take(URGENT).copied().collect();
        for run in runs(chunks) {
            if self.origin.in_flight() >= MAX_ORIGIN_REQUESTS {
                return;
            }
            // A reader that advances chunk by chunk must not make a request for each.
            let worth_it = run.end - run.start >= MAX_ORIGIN_RUN / 2
                || run.end == layout.chunk_count()
                || urgent.contains(ChunkIndex(run.start));
            if worth_it {
                self.ask_origin(run, layout.chunk_size());
            }
        }
    }

    fn ask_origin(&mut self, chunks: Range<u32>, chunk_size: u32) {
        let request = self.origin.start();
        for chunk in chunks.clone().map(ChunkIndex) {
            self.active.insert(chunk, Active::FromOrigin(request));
        }
        let byte = |chunk: u32| u64::from(chunk) * u64::from(chunk_size);
        let end = self.layout.map_or(u64::MAX, Layout::length).min(byte(chunks.end));
        let range = ByteRange::new(byte(chunks.start), end);
        self.commands.push_back(Command::FetchOrigin { request, range });
    }

    fn fail(&mut self) {
        if !self.reported_failure {
            self.reported_failure = true;
            self.commands.push_back(Command::Fail);
        }
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    fn wake_for_slow_peers(&mut self, links: &Network) {
        let next = self
            .active
            .values()
            .filter_map(|active| match *active {
                Active::FromPeer { link, since } => Some(links.give_up_at(link, since)),
                _ => None,
            })
            .min();
        if let Some(next) = next {
            self.wake_at(next);
        }
    }
}

/// Neighbouring chunks as runs of at most [`MAX_ORIGIN_RUN`].
fn runs(chunks: &ChunkSet) -> impl Iterator<Item = Range<u32>> {
    chunks.runs().flat_map(|run| {
        let starts = run.clone().step_by(MAX_ORIGIN_RUN as usize);
        starts.map(move |start| start..run.end.min(start + MAX_ORIGIN_RUN))
    })
}

/// Fisher-Yates. The modulo's bias does not matter for so few.
fn shuffle(chunks: &mut [ChunkIndex], rng: &mut Pcg32) {
    for last in (1..chunks.len()).rev() {
        chunks.swap(last, rng.next_u32() as usize % (last + 1));
    }
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
