//! A small world around one download, in virtual time: an origin, peers of
//! several characters, a store and readers. It carries out the commands as a
//! browser would and checks, at every step, what must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::message::peer::ChunkFailReason;
use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet, Layout, PolicyName};
use dcdn_swarm::{
    Command, Download, Input, Link, Network, OriginRequest, READ_AHEAD, ReaderId, Settings,
    Timestamp, WINDOW_BYTES,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Character {
    Honest,
    Silent,
    Liar,
    Refuses,
    Leaves,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Input(Input),
    Origin { request: OriginRequest, next: u32, end: u32 },
    Consume { reader: ReaderId },
}

pub struct World {
    pub layout: Layout,
    pub now: Timestamp,
    pub download: Download,
    pub links: Network,
    pub origin_failures: u32,
    pub origin_alive: bool,
    pub origin_ms_per_chunk: u64,
    pub peer_ms_per_chunk: u64,
    pub from_origin: Vec<u32>,
    pub from_peers: Vec<u32>,
    pub from_store: Vec<u32>,
    pub requests: Vec<ByteRange>,
    pub asked: Vec<(Link, u32)>,
    pub banned: BTreeSet<Link>,
    pub failed: bool,
    pub store: ChunkSet,
    characters: BTreeMap<Link, (Character, ChunkSet)>,
    readers: BTreeMap<ReaderId, (u64, u64)>,
    memory: BTreeSet<u32>,
    cancelled_requests: BTreeSet<OriginRequest>,
    outstanding: BTreeSet<(Link, u32)>,
    events: BTreeMap<(Timestamp, u64), Event>,
    order: u64,
}

impl World {
    pub fn new(policy: PolicyName, length: u64, seed: u64) -> Self {
        let settings = Settings {
            policy,
            slack: Duration::from_millis(3000),
            slack_percent: 0,
            mixed_http_percent: None,
            seed,
        };
        Self {
            layout: Layout::new(length, DEFAULT_CHUNK_SIZE).expect("a small content"),
            now: Timestamp(1000),
            download: Download::new(&settings),
            links: Network::new(),
            origin_failures: 0,
            origin_alive: true,
            origin_ms_per_chunk: 20,
            peer_ms_per_chunk: 10,
            from_origin: vec![],
            from_peers: vec![],
            from_store: vec![],
            requests: vec![],
            asked: vec![],
            banned: BTreeSet::new(),
            failed: false,
            store: ChunkSet::new(),
            characters: BTreeMap::new(),
            readers: BTreeMap::new(),
            memory: BTreeSet::new(),
            cancelled_requests: BTreeSet::new(),
            outstanding: BTreeSet::new(),
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

    /// A peer that connects after `ms` and holds `chunks`.
    pub fn peer(&mut self, ms: u64, link: u32, character: Character, chunks: ChunkSet) {
        let link = Link(link);
        self.characters.insert(link, (character, chunks.clone()));
        self.after(ms + 1, Input::LinkHas { link, chunks });
    }

    pub fn open(&mut self, reader: u32, range: ByteRange) {
        let reader = ReaderId(reader);
        self.readers.insert(reader, (range.start, range.end.min(self.layout.length())));
        self.input(Input::ReaderOpened { reader, range });
    }

    pub fn close(&mut self, reader: u32) {
        self.readers.remove(&ReaderId(reader));
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
            Event::Consume { reader } => self.consume(reader),
        }
        true
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
                if !self.outstanding.remove(&(*link, chunk.0)) =>
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
                self.outstanding.retain(|(link, _)| *link != gone);
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
        if next >= end.min(self.layout.chunk_count()) {
            self.input(Input::OriginDone { request });
            return;
        }
        self.from_origin.push(next);
        self.arrive(ChunkIndex(next));
        self.input(Input::Ready { chunk: ChunkIndex(next), from: None });
        let event = Event::Origin { request, next: next + 1, end };
        self.schedule(self.origin_ms_per_chunk, event);
    }

    fn consume(&mut self, reader: ReaderId) {
        let Some((position, end)) = self.readers.get(&reader).copied() else { return };
        let chunk = self.layout.chunk_at(position);
        if !self.memory.contains(&chunk.0) {
            return;
        }
        let position = self.layout.range_of(chunk).end.min(end);
        self.readers.insert(reader, (position, end));
        self.input(Input::ReaderAdvanced { reader, position });
        if position == end {
            self.close(reader.0);
        } else {
            self.schedule(1, Event::Consume { reader });
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
                assert_eq!(range.start % size, 0, "the origin is asked for whole chunks");
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
                    Input::StoreMissing { chunk }
                };
                self.after(2, answer);
            }
            Command::RequestChunk { link, chunk } => self.ask_peer(link, chunk),
            Command::CancelChunk { link, chunk } => {
                self.outstanding.remove(&(link, chunk.0));
            }
            Command::Ban { link } => {
                self.banned.insert(link);
                self.after(1, Input::LinkDown { link });
            }
            Command::Salvage { .. } | Command::FindPeers => {}
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
        assert!(has.contains(chunk), "a peer is asked only for what it says it holds");
        let character = *character;
        assert!(self.outstanding.insert((link, chunk.0)), "nothing is asked twice");
        self.asked.push((link, chunk.0));
        let ms = self.peer_ms_per_chunk;
        match character {
            Character::Honest => self.after(ms, Input::Ready { chunk, from: Some(link) }),
            Character::Liar => self.after(ms, Input::LinkLied { link, chunk }),
            Character::Refuses => {
                self.after(ms, Input::LinkFailed { link, chunk, reason: ChunkFailReason::NotHeld });
            }
            Character::Leaves => self.after(ms, Input::LinkDown { link }),
            Character::Silent => {}
        }
    }

    fn check(&self) {
        let mut load: BTreeMap<Link, u32> = BTreeMap::new();
        let mut places: BTreeSet<u32> = BTreeSet::new();
        for (link, chunk) in &self.outstanding {
            *load.entry(*link).or_default() += self.layout.size_of(ChunkIndex(*chunk));
            assert!(places.insert(*chunk), "chunk {chunk} is in flight from two peers");
        }
        for (link, bytes) in load {
            assert!(bytes <= WINDOW_BYTES, "{link:?} has {bytes} bytes outstanding");
        }
        let window = READ_AHEAD / u64::from(DEFAULT_CHUNK_SIZE) + 1;
        let bound = usize::try_from(window).expect("small") * self.readers.len().max(1) + 16;
        assert!(self.download.active_chunks() <= bound, "memory is bounded by the read-ahead");
        if !self.download.has_readers() {
            assert!(self.outstanding.is_empty(), "nothing that nobody wants stays in flight");
        }
    }

    fn schedule(&mut self, ms: u64, event: Event) {
        self.order += 1;
        self.events.insert((self.now + Duration::from_millis(ms), self.order), event);
    }
}
