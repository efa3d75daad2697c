//! What a decision costs, and that it does not depend on how many chunks there are.
//!
//! `cargo xtask bench decisions`

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet, Layout, PeerId, PolicyName};
use dcdn_swarm::{Command, Download, Input, Link, Network, ReaderId, Settings, Timestamp};

/// Peers that hold everything.
const PEERS: u8 = 8;

/// Milliseconds between two chunks.
const PACE: u64 = 20;

/// A reader that is served by peers, chunk by chunk, over and over.
struct Reading {
    download: Download,
    network: Network,
    layout: Layout,
    now: u64,
    reader: u32,
    position: u64,
    under_way: VecDeque<(Link, ChunkIndex)>,
    inputs: u64,
}

impl Reading {
    fn new(policy: PolicyName, chunks: u32) -> Self {
        let length = u64::from(chunks) * u64::from(DEFAULT_CHUNK_SIZE);
        let settings = Settings {
            policy,
            slack: Duration::from_secs(3),
            slack_percent: 0,
            mixed_http_percent: None,
            among_peers: false,
            seed: 1,
        };
        let mut reading = Self {
            download: Download::new(&settings),
            network: Network::new(),
            layout: Layout::new(length, DEFAULT_CHUNK_SIZE).expect("a content"),
            now: 0,
            reader: 0,
            position: 0,
            under_way: VecDeque::new(),
            inputs: 0,
        };
        reading.input(Input::Described { layout: reading.layout });
        reading.input(Input::ManifestReady);
        reading.input(Input::Expecting { peers: PEERS.into() });
        for peer in 0..PEERS {
            let link = Link(peer.into());
            let (me, peer) = (PeerId([255; 16]), PeerId([peer; 16]));
            reading.input(Input::LinkUp { link, me, peer, expected: ChunkSet::full(chunks) });
        }
        reading.open(reading.middle());
        reading
    }

    fn middle(&self) -> u64 {
        self.layout.range_of(ChunkIndex(self.layout.chunk_count() / 2)).start
    }

    fn open(&mut self, position: u64) {
        self.reader += 1;
        self.position = position;
        let range = ByteRange::new(position, u64::MAX);
        self.input(Input::ReaderOpened { reader: ReaderId(self.reader), range, goes_on: false });
    }

    /// One chunk comes and is read.
    fn step(&mut self) {
        self.now += PACE;
        let Some((link, chunk)) = self.under_way.pop_front() else {
            self.input(Input::Tick);
            return;
        };
        let received = self.layout.size_of(chunk);
        self.input(Input::LinkProgress { link, chunk, received });
        self.input(Input::Ready { chunk, from: Some(link) });
        let reader = ReaderId(self.reader);
        self.position = self.position.max(self.layout.range_of(chunk).end);
        self.input(Input::ReaderAdvanced { reader, position: self.position });
        if self.position == self.layout.length() {
            self.input(Input::ReaderClosed { reader });
            self.open(self.middle());
        }
    }

    fn input(&mut self, input: Input) {
        self.inputs += 1;
        self.download.handle(input, Timestamp(self.now), &mut self.network);
        while let Some(command) = self.download.poll_command() {
            match command {
                Command::RequestChunk { link, chunk } => self.under_way.push_back((link, chunk)),
                Command::CancelChunk { link, chunk } => {
                    self.under_way.retain(|asked| *asked != (link, chunk));
                }
                Command::FetchOrigin { request, .. } => {
                    self.download.handle(
                        Input::OriginFailed { request },
                        Timestamp(self.now),
                        &mut self.network,
                    );
                }
                other => {
                    black_box(other);
                }
            }
        }
    }
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunk received and read");
    group.throughput(Throughput::Elements(1));
    for policy in [PolicyName::HeadStart, PolicyName::Adaptive] {
        for chunks in [10, 100, 1_000, 10_000, 100_000] {
            let id = BenchmarkId::new(policy.as_str(), chunks);
            group.bench_with_input(id, &chunks, |bencher, &chunks| {
                let mut reading = Reading::new(policy, chunks);
                bencher.iter(|| reading.step());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
