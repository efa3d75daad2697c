//! What became of each viewer, and sums over all.

use crate::num::percent;
use crate::shard::second;

/// What became of one viewer. Times are milliseconds from its arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// When it came, in milliseconds of the simulation.
    pub arrived: u64,
    /// First byte given to the application.
    pub first_byte: Option<u32>,
    /// Last byte of all that the visit was for.
    pub last_byte: Option<u32>,
    /// When playback began.
    pub start_up: Option<u32>,
    /// Times that playback stood still after it had begun.
    pub stalls: u32,
    /// For how long in all.
    pub stalled_ms: u32,
    /// Bytes given to the application that came from the origin.
    pub from_origin: u64,
    /// The same from peers.
    pub from_peers: u64,
    /// The same from the store.
    pub from_store: u64,
    /// Bytes given to the application, counted by the application.
    pub delivered: u64,
    /// Bytes of chunks sent to others.
    pub uploaded: u64,
    /// Bytes that the uplink could have carried during the visit.
    pub could_upload: u64,
    /// Readers that ended in an error.
    pub failures: u32,
    /// Calls of [`dcdn_swarm::Download::handle`].
    pub handles: u32,
    /// Commands carried out.
    pub commands: u32,
    /// Connections that opened.
    pub links: u32,
    /// Chunks that became whole.
    pub chunks: u32,
    /// Which of the network's lines it has.
    pub line_class: usize,
    /// Only there to be found by others.
    pub seed: bool,
}

/// Sums over viewers, whose order does not matter.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Events simulated.
    pub events: u64,
    /// Requests to the origin.
    pub origin_requests: u64,
    /// Bytes that the origin has sent.
    pub origin_bytes: u64,
    /// The same by second.
    pub origin_series: Vec<u64>,
    /// Bytes that peers have sent.
    pub peer_bytes: u64,
    /// The same by second.
    pub peer_series: Vec<u64>,
    /// Bytes of the origin in chunks that became whole by them.
    pub used_origin: u64,
    /// The same of peers.
    pub used_peers: u64,
    /// Chunks with the wrong hash.
    pub wrong_hashes: u64,
    /// Messages to the coordination server, manifests and relayed signals included.
    pub server_in: u64,
    /// Messages from it.
    pub server_out: u64,
    /// `have`s between peers.
    pub haves: u64,
    /// Calls to peers.
    pub calls: u64,
    /// What must not happen and did.
    pub violations: Vec<String>,
}

impl Totals {
    /// The origin has sent.
    pub fn origin_sent(&mut self, now: u64, bytes: u64) {
        self.origin_bytes += bytes;
        add(&mut self.origin_series, now, bytes);
    }

    /// A peer sends.
    pub fn peer_sent(&mut self, now: u64, bytes: u64) {
        self.peer_bytes += bytes;
        add(&mut self.peer_series, now, bytes);
    }

    /// A peer has begun to send what it then did not send.
    pub fn peer_unsent(&mut self, now: u64, bytes: u64) {
        self.peer_bytes = self.peer_bytes.saturating_sub(bytes);
        // A second may be left with less than nothing here, but not in the end.
        add(&mut self.peer_series, now, bytes.wrapping_neg());
    }

    /// Adds the sums of another part.
    pub fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.origin_requests += other.origin_requests;
        self.origin_bytes += other.origin_bytes;
        self.peer_bytes += other.peer_bytes;
        self.used_origin += other.used_origin;
        self.used_peers += other.used_peers;
        self.wrong_hashes += other.wrong_hashes;
        self.server_in += other.server_in;
        self.server_out += other.server_out;
        self.haves += other.haves;
        self.calls += other.calls;
        self.violations.extend(other.violations);
        self.violations.sort();
        merge_series(&mut self.origin_series, &other.origin_series);
        merge_series(&mut self.peer_series, &other.peer_series);
    }

    /// Bytes that were sent and that nobody used, in percent of all that were sent.
    pub fn wasted_percent(&self) -> f64 {
        let sent = self.origin_bytes + self.peer_bytes;
        percent(sent.saturating_sub(self.used_origin + self.used_peers), sent)
    }
}

fn add(series: &mut Vec<u64>, now: u64, bytes: u64) {
    let second = second(now);
    if series.len() <= second {
        series.resize(second + 1, 0);
    }
    series[second] = series[second].wrapping_add(bytes);
}

fn merge_series(into: &mut Vec<u64>, from: &[u64]) {
    if into.len() < from.len() {
        into.resize(from.len(), 0);
    }
    for (sum, more) in into.iter_mut().zip(from) {
        *sum = sum.wrapping_add(*more);
    }
}
