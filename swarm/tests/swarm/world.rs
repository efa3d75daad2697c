//! A small world around one download, in virtual time: an origin, peers of
//! several characters, a store and readers. It carries out the commands as a
//! browser would and checks, at every step, what must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::message::peer::ChunkFailReason;
use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet, Layout, PeerId, PolicyName};
use dcdn_swarm::{
    Command, Download, Input, Link, MAX_WINDOW_BYTES, NEXT_RANGE_PATIENCE, Network, OriginRequest,
    READ_AHEAD, ReaderId, Settings, Timestamp,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Character {
    Honest,
    Silent,
    Liar,
    Refuses,
    Busy,
    Leaves,
    /// Honest, and this many times slower than others.
    Slow(u64),
    /// Slow, and what it has sent is wrong.
    SlowLiar(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Input(Input),
    Origin { request: OriginRequest, next: u32, end: u32 },
    Piece { link: Link, chunk: u32, received: u32 },
    Consume { reader: ReaderId },
    Open { reader: u32, range: ByteRange },
}

pub struct World {
    pub layout: Layout,
    pub now: Timestamp,
    pub download: Download,
    pub links: Network,
    pub origin_failures: u32,
    pub origin_alive: bool,
    pub origin_knows_ranges: bool,
    pub origin_ms_per_chunk: u64,
    pub peer_ms_per_chunk: u64,
    /// Whether readers go on behind their ranges.
    pub players: bool,
    /// How long a reader takes for a chunk that is there.
    pub reader_ms_per_chunk: u64,
    pub from_origin: Vec<u32>,
    pub from_peers: Vec<u32>,
    pub from_store: Vec<u32>,
    pub requests: Vec<ByteRange>,
    pub asked: Vec<(Link, u32)>,
    pub banned: BTreeSet<Link>,
    pub salvaged: Vec<(u32, u32)>,
    pub found_peers: u32,
    /// When the last reader so far was finished.
    pub finished: Timestamp,
    pub failed: bool,
    pub store: ChunkSet,
    characters: BTreeMap<Link, (Character, ChunkSet)>,
    readers: BTreeMap<ReaderId, (u64, u64)>,
    free_at: BTreeMap<ReaderId, Timestamp>,
    memory: BTreeSet<u32>,
    cancelled_requests: BTreeSet<OriginRequest>,
    outstanding: BTreeMap<(Link, u32), u32>,
    /// Beginnings of chunks that a late peer has left, and who left them.
    kept: BTreeMap<u32, (Link, u32)>,
    /// The answer of an origin without ranges, and how far it is.
    whole: Option<(OriginRequest, u32)>,
    /// Where a player has come to the end of its range, and when.
    paused: Option<(u64, Timestamp)>,
    events: BTreeMap<(Timestamp, u64), Event>,
    order: u64,
}

impl World {
    pub fn new(policy: PolicyName, length: u64, seed: u64) -> Self {
        Self::with(policy, length, seed, |_| {})
    }

    /// With other settings than the usual ones.
    pub fn with(
        policy: PolicyName,
        length: u64,
        seed: u64,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut settings = Settings {
            policy,
            slack: Duration::from_millis(3000),
            slack_percent: 0,
            mixed_http_percent: None,
            among_peers: false,
            seed,
        };
        change(&mut settings);
        Self {
            layout: Layout::new(length, DEFAULT_CHUNK_SIZE).expect("a small content"),
            now: Timestamp(1000),
            download: Download::new(&settings),
            links: Network::new(),
            origin_failures: 0,
            origin_alive: true,
            origin_knows_ranges: true,
            origin_ms_per_chunk: 20,
            peer_ms_per_chunk: 10,
            players: false,
            reader_ms_per_chunk: 1,
            from_origin: vec![],
            from_peers: vec![],
            from_store: vec![],
            requests: vec![],
            asked: vec![],
            banned: BTreeSet::new(),
            salvaged: vec![],
            found_peers: 0,
            finished: Timestamp(0),
            failed: false,
            store: ChunkSet::new(),
            characters: BTreeMap::new(),
            readers: BTreeMap::new(),
            free_at: BTreeMap::new(),
            memory: BTreeSet::new(),
            cancelled_requests: BTreeSet::new(),
            outstanding: BTreeMap::new(),
            kept: BTreeMap::new(),
            whole: None,
            paused: None,
            events: BTreeMap::new(),
            order: 0,
        }
    }

    /// Makes `input` happen after `ms`.
    pub fn after(&mut self, ms: u64, input: Input) {
        self.schedule(ms, Event::Input(input));
    }

    pub fn manifest_after(&mut self, ms: u64) {
        self.after(ms, Input::Described { layout: self.layout });
        self.after(ms, Input::ManifestReady);
    }

    /// A coordination server that answers soon, and names so many peers.
    pub fn coordinated(&mut self, peers: u32) {
        self.manifest_after(5);
        self.after(6, Input::Expecting { peers });
    }

    /// A peer that connects after `ms` and holds `chunks`.
    pub fn peer(&mut self, ms: u64, link: u32, character: Character, chunks: ChunkSet) {
        let link = Link(link);
        self.characters.insert(link, (character, chunks.clone()));
        let up = Input::LinkUp { link, me: id(0), peer: id(link.0 + 1), expected: ChunkSet::new() };
        self.after(ms, up);
        self.after(ms + 1, Input::LinkHas { link, chunks });
    }

    /// A peer that connects after `ms`, and of which the server says that it holds
    /// `expected`; it holds `chunks`, and does not say so.
    pub fn expected_peer(&mut self, ms: u64, link: u32, expected: ChunkSet, chunks: ChunkSet) {
        let link = Link(link);
        self.characters.insert(link, (Character::Honest, chunks));
        self.after(ms, Input::LinkUp { link, me: id(0), peer: id(link.0 + 1), expected });
    }

    pub fn open(&mut self, reader: u32, range: ByteRange) {
        let reader = ReaderId(reader);
        self.paused = None;
        self.readers.insert(reader, (range.start, range.end.min(self.layout.length())));
        self.input(Input::ReaderOpened { reader, range, goes_on: self.players });
        self.schedule(1, Event::Consume { reader });
    }

    /// Opens a reader after `ms`.
    pub fn open_after(&mut self, ms: u64, reader: u32, range: ByteRange) {
        self.schedule(ms, Event::Open { reader, range });
    }

    pub fn close(&mut self, reader: u32) {
        self.finished = self.now;
        if let Some((position, end)) = self.readers.remove(&ReaderId(reader))
            && position == end
            && end < self.layout.length()
        {
            self.paused = Some((end, self.now));
        }
        self.input(Input::ReaderClosed { reader: ReaderId(reader) });
    }

    pub fn whole(&self) -> ByteRange {
        ByteRange::new(0, u64::MAX)
    }

    /// Runs until nothing is left to happen.
    pub fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Lets one thing happen; false if there is none left.
    pub fn step(&mut self) -> bool {
        let event_at = self.events.keys().next().map(|(at, _)| *at);
        let timeout = self.download.poll_timeout();
        let Some(at) = event_at.into_iter().chain(timeout).min() else { return false };
        self.now = self.now.max(at);
        if event_at != Some(at) {
            self.input(Input::Tick);
            return true;
        }
        let (_, event) = self.events.pop_first().expect("seen above");
        match event {
            Event::Input(input) => self.happen(input),
            Event::Origin { request, next, end } => self.origin(request, next, end),
            Event::Piece { link, chunk, received } => self.piece(link, chunk, received),
            Event::Consume { reader } => self.consume(reader),
            Event::Open { reader, range } => self.open(reader, range),
        }
        true
    }

    /// Where a reader stands that is open.
    pub fn position(&self, reader: u32) -> Option<u64> {
        self.readers.get(&ReaderId(reader)).map(|(position, _)| *position)
    }

    pub fn unfinished_readers(&self) -> usize {
        self.readers.len()
    }

    fn happen(&mut self, input: Input) {
        match &input {
            // An answer to a request that has been taken back.
            Input::Ready { chunk, from: Some(link) }
            | Input::LinkFailed { link, chunk, .. }
            | Input::LinkLied { link, chunk }
                if self.outstanding.remove(&(*link, chunk.0)).is_none() =>
            {
                return;
            }
            Input::Ready { chunk, from: Some(_) } => {
                self.from_peers.push(chunk.0);
                self.arrive(*chunk);
            }
            Input::Ready { chunk, from: None } => {
                self.from_store.push(chunk.0);
                self.arrive(*chunk);
            }
            Input::LinkDown { link } => {
                let gone = *link;
                self.outstanding.retain(|(link, _), _| *link != gone);
                self.links.remove(gone);
                self.characters.remove(&gone);
            }
            _ => {}
        }
        self.input(input);
    }

    fn arrive(&mut self, chunk: ChunkIndex) {
        self.memory.insert(chunk.0);
        self.store.insert(chunk);
        self.after(1, Input::Stored { chunks: [chunk].into_iter().collect() });
        for reader in self.readers.keys().copied().collect::<Vec<_>>() {
            self.schedule(1, Event::Consume { reader });
        }
    }

    fn origin(&mut self, request: OriginRequest, next: u32, end: u32) {
        if self.cancelled_requests.contains(&request) {
            return;
        }
        if !self.origin_alive || self.origin_failures > 0 {
            self.origin_failures = self.origin_failures.saturating_sub(1);
            self.input(Input::OriginFailed { request });
            return;
        }
        self.input(Input::Described { layout: self.layout });
        self.input(Input::OriginAnswered { request, ranges: self.origin_knows_ranges });
        let (next, end) = match self.origin_knows_ranges {
            true => (next, end),
            // The first call starts it all over, and all others go on where it is.
            false => (self.whole.map_or(0, |(_, at)| at), u32::MAX),
        };
        if next >= end.min(self.layout.chunk_count()) {
            self.input(Input::OriginDone { request });
            return;
        }
        if !self.origin_knows_ranges {
            if !self.download.wants(ChunkIndex(next)) {
                self.schedule(5, Event::Origin { request, next, end });
                return;
            }
            self.whole = Some((request, next + 1));
        }
        self.from_origin.push(next);
        let chunk = ChunkIndex(next);
        match self.kept.remove(&next).map(|(link, _)| (link, self.characters.get(&link))) {
            Some((link, Some((Character::SlowLiar(_), _)))) => {
                self.input(Input::LinkLied { link, chunk });
            }
            _ => {
                self.arrive(chunk);
                self.input(Input::Ready { chunk, from: None });
            }
        }
        let event = Event::Origin { request, next: next + 1, end };
        self.schedule(self.origin_ms_per_chunk, event);
    }

    fn consume(&mut self, reader: ReaderId) {
        let Some((position, end)) = self.readers.get(&reader).copied() else { return };
        let chunk = self.layout.chunk_at(position);
        let is_free = self.free_at.get(&reader).is_none_or(|free| *free <= self.now);
        if !is_free || !self.memory.contains(&chunk.0) {
            return;
        }
        let position = self.layout.range_of(chunk).end.min(end);
        self.readers.insert(reader, (position, end));
        let busy = Duration::from_millis(self.reader_ms_per_chunk);
        self.free_at.insert(reader, self.now + busy);
        self.input(Input::ReaderAdvanced { reader, position });
        if position == end {
            self.close(reader.0);
        } else {
            self.schedule(self.reader_ms_per_chunk, Event::Consume { reader });
        }
    }

    fn input(&mut self, input: Input) {
        self.download.handle(input, self.now, &mut self.links);
        while let Some(command) = self.download.poll_command() {
            self.carry_out(command);
        }
        self.check();
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::FetchOrigin { request, range } => {
                let size = u64::from(DEFAULT_CHUNK_SIZE);
                let first = u32::try_from(range.start / size).expect("a small content");
                let kept = self.kept.get(&first).map_or(0, |(_, bytes)| u64::from(*bytes));
                let rest = range.start % size;
                assert!(rest == 0 || rest == kept, "whole chunks, or what is left of one");
                if rest == 0 {
                    self.kept.remove(&first);
                }
                self.whole = None;
                self.requests.push(range);
                let next = u32::try_from(range.start / size).expect("a small content");
                let end = u32::try_from(range.end.div_ceil(size)).expect("a small content");
                self.schedule(self.origin_ms_per_chunk, Event::Origin { request, next, end });
            }
            Command::CancelOrigin { request } => {
                self.cancelled_requests.insert(request);
            }
            Command::ReadStore { chunk } => {
                let held = self.store.contains(chunk);
                let answer = if held {
                    Input::Ready { chunk, from: None }
                } else {
                    Input::StoreMissing { chunks: [chunk].into_iter().collect() }
                };
                self.after(2, answer);
            }
            Command::RequestChunk { link, chunk } => self.ask_peer(link, chunk),
            Command::CancelChunk { link, chunk } => {
                self.outstanding.remove(&(link, chunk.0));
            }
            Command::Salvage { link, chunk } => {
                let Some(received) = self.outstanding.remove(&(link, chunk.0)) else { return };
                self.kept.insert(chunk.0, (link, received));
                self.salvaged.push((chunk.0, received));
                self.after(2, Input::Salvaged { link, chunk, received });
            }
            Command::FindPeers => self.found_peers += 1,
            Command::Ban { link } => {
                self.banned.insert(link);
                self.after(1, Input::LinkDown { link });
            }
            Command::Release { chunk } => {
                self.memory.remove(&chunk.0);
            }
            Command::Fail => {
                self.failed = true;
                for reader in self.readers.keys().copied().collect::<Vec<_>>() {
                    self.close(reader.0);
                }
            }
        }
    }

    fn ask_peer(&mut self, link: Link, chunk: ChunkIndex) {
        assert!(!self.banned.contains(&link), "a banned peer is not asked again");
        let (character, has) = self.characters.get(&link).expect("only known peers are asked");
        let (character, held) = (*character, has.contains(chunk));
        let before = self.outstanding.insert((link, chunk.0), 0);
        assert_eq!(before, None, "nothing is asked twice");
        self.kept.remove(&chunk.0);
        self.asked.push((link, chunk.0));
        let ms = self.peer_ms_per_chunk;
        match character {
            _ if !held => self.refuse(link, chunk, ChunkFailReason::NotHeld),
            Character::Honest => self.after(ms, Input::Ready { chunk, from: Some(link) }),
            Character::Liar => self.after(ms, Input::LinkLied { link, chunk }),
            Character::Refuses => self.refuse(link, chunk, ChunkFailReason::NotHeld),
            Character::Busy => self.refuse(link, chunk, ChunkFailReason::Busy),
            Character::Slow(times) | Character::SlowLiar(times) => {
                let size = self.layout.size_of(chunk);
                for quarter in 1..=4 {
                    let received = size / 4 * quarter;
                    let piece = Event::Piece { link, chunk: chunk.0, received };
                    self.schedule(ms * times / 4 * u64::from(quarter), piece);
                }
            }
            Character::Leaves => self.after(ms, Input::LinkDown { link }),
            Character::Silent => {}
        }
    }

    fn refuse(&mut self, link: Link, chunk: ChunkIndex, reason: ChunkFailReason) {
        self.after(self.peer_ms_per_chunk, Input::LinkFailed { link, chunk, reason });
    }

    /// A piece of a chunk comes from a slow peer; the last one ends it.
    fn piece(&mut self, link: Link, chunk: u32, received: u32) {
        let Some(so_far) = self.outstanding.get_mut(&(link, chunk)) else { return };
        *so_far = received;
        let chunk = ChunkIndex(chunk);
        self.input(Input::LinkProgress { link, chunk, received });
        if received / 4 < self.layout.size_of(chunk) / 4 {
            return;
        }
        match self.characters.get(&link) {
            Some((Character::SlowLiar(_), _)) => self.happen(Input::LinkLied { link, chunk }),
            _ => self.happen(Input::Ready { chunk, from: Some(link) }),
        }
    }

    fn is_wanted(&self, chunk: u32) -> bool {
        let paused = self.paused.filter(|(_, since)| self.now - *since <= NEXT_RANGE_PATIENCE);
        let positions = self.readers.values().map(|(position, _)| *position);
        positions.chain(paused.map(|(position, _)| position)).any(|position| {
            let window = ByteRange::new(position, position + READ_AHEAD);
            self.layout.covering(window).contains(&chunk)
        })
    }

    fn check(&self) {
        let mut load: BTreeMap<Link, u32> = BTreeMap::new();
        let mut places: BTreeSet<u32> = BTreeSet::new();
        for (link, chunk) in self.outstanding.keys() {
            *load.entry(*link).or_default() += self.layout.size_of(ChunkIndex(*chunk));
            assert!(self.is_wanted(*chunk), "chunk {chunk} is in flight and nobody wants it");
            assert!(places.insert(*chunk), "chunk {chunk} is in flight from two peers");
        }
        for (link, bytes) in load {
            assert!(bytes <= MAX_WINDOW_BYTES, "{link:?} has {bytes} bytes outstanding");
        }
        let window = READ_AHEAD / u64::from(DEFAULT_CHUNK_SIZE) + 1;
        let bound = usize::try_from(window).expect("small") * self.readers.len().max(1) + 16;
        assert!(self.download.active_chunks() <= bound, "memory is bounded by the read-ahead");
    }

    fn schedule(&mut self, ms: u64, event: Event) {
        self.order += 1;
        self.events.insert((self.now + Duration::from_millis(ms), self.order), event);
    }
}

/// An id that differs from others early.
fn id(number: u32) -> PeerId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
    PeerId(id)
}
