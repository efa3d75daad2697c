//! What is known of the connections and of the origin, shared by all downloads.

mod links;
mod meter;
mod origin;
mod rate;

use std::time::Duration;

use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;

use self::links::Links;
use self::meter::Meter;
pub(crate) use self::origin::OriginPace;
use self::rate::Rate;
use crate::readers::ASSUMED_PACE;
use crate::{Link, Timestamp};

/// Most bytes asked for and not yet received on one connection until it has
/// delivered [`PROVED_BYTES`]. A fresh connection that is asked for more loses
/// packets on its sending side and stalls for hundreds of milliseconds.
pub const WINDOW_BYTES: u32 = 512 * 1024;

/// The same for a connection that has proved itself.
pub const MAX_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// What a connection must have delivered for the larger window.
pub const PROVED_BYTES: u64 = 2 * 1024 * 1024;

/// A connection over which something was asked and nothing has come for this
/// long has stalled.
pub const STALL_TIMEOUT: Duration = Duration::from_millis(2000);

/// The same before the first byte of a chunk: the peer may be serving others.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_millis(3000);

/// A chunk that has not come whole by then is fetched elsewhere, however
/// steadily it trickles.
pub const CHUNK_TIMEOUT: Duration = Duration::from_millis(8000);

/// A peer that has been measured to send less, in bytes per second, is left alone
/// for a while: a chunk of the usual size would not come within [`CHUNK_TIMEOUT`].
pub const FLOOR_BYTES_PER_SECOND: u64 = 32 * 1024;

/// How long a peer is left alone after its first stall; doubled after each
/// further one. After that it is tried with one chunk, like a new one.
const FIRST_REST: Duration = Duration::from_millis(4000);

/// How long a peer is left alone that has said that it is busy.
const BUSY_REST: Duration = Duration::from_millis(1000);

/// The window covers this much more than the round trip, so that a link is not
/// idle while a request is on its way.
const WINDOW_SPARE: Duration = Duration::from_millis(500);

/// Chunks asked of all peers together and not yet received, at the least.
const MIN_BUDGET_CHUNKS: u64 = 3;

/// The same of chunks larger than usual: one comes while the next is asked for.
const MIN_BUDGET_LARGE: u64 = 2;

/// What is asked of all peers together at the most: what the visitor's line takes
/// in this time. More would only make what is needed soon wait behind what is not.
const BUDGET_TIME: Duration = Duration::from_millis(1250);

/// For no longer than this is a peer's silence put down to what else is on its way.
const MAX_QUEUE: Duration = Duration::from_millis(2500);

/// What an unknown link is taken to deliver, in bytes per second. Low enough that
/// nothing urgent hangs on a guess.
const UNKNOWN_RATE: u64 = 200_000;

/// What an unknown link is taken to need for an answer.
const UNKNOWN_ROUND_TRIP: Duration = Duration::from_millis(150);

/// Load and conduct of every open connection, and the pace of the origin. One value
/// serves all [`crate::Download`]s of a browser, because they share the connections.
#[derive(Debug, Default)]
pub struct Network {
    links: Links<Conduct>,
    /// Bytes asked of all peers and not answered.
    outstanding: u64,
    meter: Meter,
    pub(crate) origin: OriginPace,
}

#[derive(Debug, Default)]
struct Conduct {
    /// Bytes asked for and not answered.
    outstanding: u32,
    /// When something last came, or was asked of the idle link, and all that was on its way
    /// to the visitor then has had the time to pass its line. Silence counts from here.
    silent_from: Timestamp,
    /// When bytes of a chunk last came, or the idle link was asked.
    busy_since: Timestamp,
    /// Whether nothing has come since the idle link was asked.
    awaiting_first: bool,
    rate: Rate,
    round_trip: Option<Duration>,
    delivered: u64,
    stalls: u32,
    rests_until: Timestamp,
    banned: bool,
}

/// Whether a peer can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has room.
    Ready,
    /// It, or the visitor's line, has enough to do.
    Busy,
    /// It is left alone for a while.
    Resting { until: Timestamp },
    /// It has lied.
    Banned,
}

impl Network {
    /// No connections, and an origin of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`crate::Download::memory`].
    pub fn memory(&self, visit: &mut impl FnMut(*const u8, usize)) {
        self.links.memory(visit);
    }

    /// A connection is gone for good.
    pub fn remove(&mut self, link: Link) {
        if let Some(it) = self.links.remove(link) {
            self.outstanding -= u64::from(it.outstanding);
        }
    }

    /// A request over `link` has been answered or taken back. A [`crate::Download`]
    /// says so itself; this is for requests that outlive theirs.
    pub fn answered(&mut self, link: Link, bytes: u32) {
        if let Some(it) = self.links.get_mut(link) {
            let bytes = bytes.min(it.outstanding);
            it.outstanding -= bytes;
            self.outstanding -= u64::from(bytes);
        }
    }

    /// Whether what has been asked of all peers, and `bytes` more, is more than the
    /// visitor's line takes. One request always fits, whatever its size.
    pub(crate) fn line_is_full(&self, bytes: u32) -> bool {
        let usual = u64::from(bytes.min(DEFAULT_CHUNK_SIZE)) * MIN_BUDGET_CHUNKS;
        let least = usual.max(u64::from(bytes) * MIN_BUDGET_LARGE);
        let budget = self.budget().max(least);
        self.outstanding > 0 && self.outstanding + u64::from(bytes) > budget
    }

    /// Whether a peer can be asked for a chunk of `bytes` now, if the line
    /// [is full](Self::line_is_full) or not. One request always fits into a
    /// connection's window.
    pub(crate) fn standing(
        &self,
        link: Link,
        bytes: u32,
        line_is_full: bool,
        now: Timestamp,
    ) -> Standing {
        let Some(it) = self.links.get(link) else {
            return if line_is_full { Standing::Busy } else { Standing::Ready };
        };
        if it.banned {
            return Standing::Banned;
        }
        if it.rests_until > now {
            return Standing::Resting { until: it.rests_until };
        }
        let asked = it.outstanding.saturating_add(bytes);
        if line_is_full || (it.outstanding > 0 && asked > it.window()) {
            return Standing::Busy;
        }
        Standing::Ready
    }

    /// How long a peer will probably take for `bytes` more than it is asked for already.
    pub(crate) fn takes(&self, link: Link, bytes: u32) -> Duration {
        let Some(it) = self.links.get(link) else {
            return UNKNOWN_ROUND_TRIP + transfer(bytes.into(), UNKNOWN_RATE);
        };
        let rate = it.rate.get().unwrap_or(UNKNOWN_RATE);
        it.round_trip() + transfer(it.outstanding.saturating_add(bytes).into(), rate)
    }

    /// Whether a peer has delivered something, and has not failed since.
    pub(crate) fn proved(&self, link: Link) -> bool {
        self.links.get(link).is_some_and(|it| it.delivered > 0)
    }

    /// How long the rest of a request will probably take, with `ahead` bytes of
    /// earlier requests before its `missing` ones. Whoever has been silent for a
    /// while is expected to be silent for as long again.
    pub(crate) fn remaining(
        &self,
        link: Link,
        ahead: u32,
        missing: u32,
        now: Timestamp,
    ) -> Duration {
        let Some(it) = self.links.get(link) else { return Duration::MAX };
        let bytes = u64::from(ahead) + u64::from(missing);
        let steady = transfer(bytes, it.rate.get().unwrap_or(UNKNOWN_RATE));
        let silence = now - it.silent_from;
        if silence > it.round_trip() * 2 { steady + silence } else { steady }
    }

    /// A peer is asked for `bytes`, while the origin has still to send the `before`.
    pub(crate) fn asked(&mut self, link: Link, bytes: u32, before: Option<u64>, now: Timestamp) {
        let silent_from = self.silent_from(before, now);
        let it = self.links.of(link);
        if it.outstanding == 0 {
            it.silent_from = silent_from;
            it.busy_since = now;
            it.awaiting_first = true;
        }
        it.outstanding = it.outstanding.saturating_add(bytes);
        self.outstanding += u64::from(bytes);
    }

    /// A chunk of `bytes` has come, from wherever.
    pub(crate) fn received(&mut self, bytes: u32, now: Timestamp) {
        self.meter.count(bytes, now);
    }

    /// Something has come over `link`, while the origin has still to send the `before`.
    pub(crate) fn heard(&mut self, link: Link, before: Option<u64>, now: Timestamp) {
        let silent_from = self.silent_from(before, now);
        let Some(it) = self.links.get_mut(link) else { return };
        if std::mem::take(&mut it.awaiting_first) {
            let sample = now - it.busy_since;
            let best = it.round_trip.map_or(sample, |known| known.min(sample) + sample / 8);
            it.round_trip = Some(best.min(sample));
        }
        it.silent_from = silent_from;
    }

    /// When all that is on its way now will have passed the visitor's line, unless that is
    /// too far ahead; now, if nobody may be waited for that long.
    fn silent_from(&self, before: Option<u64>, now: Timestamp) -> Timestamp {
        let Some(before) = before else { return now };
        now + transfer(self.outstanding + before, self.line()).min(MAX_QUEUE)
    }

    /// `bytes` of a chunk have come over `link`, while the origin has still to send the
    /// `before`. Whether they are the first by which its rate is known, so that it may have
    /// room for more.
    pub(crate) fn progress(
        &mut self,
        link: Link,
        bytes: u32,
        before: Option<u64>,
        now: Timestamp,
    ) -> bool {
        self.heard(link, before, now);
        let Some(it) = self.links.get_mut(link) else { return false };
        let was_unknown = it.rate.get().is_none();
        if bytes > 0 {
            it.rate.sample(bytes.into(), now - it.busy_since);
            it.busy_since = now;
        }
        was_unknown && it.rate.get().is_some()
    }

    /// A chunk of `bytes` has come whole over `link`.
    pub(crate) fn delivered(&mut self, link: Link, bytes: u32, now: Timestamp) {
        self.origin.beside(bytes);
        let Some(it) = self.links.get_mut(link) else { return };
        it.delivered += u64::from(bytes);
        if it.is_too_slow() {
            it.rest(now);
        } else {
            it.stalls = 0;
        }
    }

    /// A chunk was taken back that had not come in time.
    pub(crate) fn fell_short(&mut self, link: Link, since: Timestamp, now: Timestamp) {
        let Some(it) = self.links.get_mut(link) else { return };
        it.rate.sample(0, now - it.busy_since.max(since));
        it.busy_since = now;
        if it.is_too_slow() {
            it.rest(now);
        }
    }

    /// The peer was silent for too long: it is left alone for a while.
    pub(crate) fn stalled(&mut self, link: Link, now: Timestamp) {
        self.links.of(link).rest(now);
    }

    /// The peer has too much to do.
    pub(crate) fn busy(&mut self, link: Link, now: Timestamp) {
        let it = self.links.of(link);
        it.rests_until = it.rests_until.max(now + BUSY_REST);
    }

    pub(crate) fn ban(&mut self, link: Link) {
        self.links.of(link).banned = true;
    }

    /// How long the origin will probably take for `bytes`, behind the `before` bytes that
    /// it has still to send of the same content, and beside what peers are sending on the
    /// same line.
    pub(crate) fn origin_takes(&self, bytes: u32, before: u64) -> Duration {
        let beside = transfer(self.outstanding + before + u64::from(bytes), self.line());
        self.origin.first_byte() + self.origin.transfer(bytes.into()).max(beside)
    }

    /// Whether bytes come in about as fast as the origin alone would bring them, so
    /// that asking it as well brings nothing. Not if that is less than the `needed`
    /// bytes per second: what is known of the origin may be old.
    pub(crate) fn is_as_fast_as_origin(&self, needed: u64, now: Timestamp) -> bool {
        let recent = self.meter.recent(now);
        recent >= self.origin.rate() / 5 * 4 && recent >= needed
    }

    fn budget(&self) -> u64 {
        carried(BUDGET_TIME, self.line())
    }

    /// What the visitor's line can do, as far as it is known, in bytes per second.
    pub(crate) fn line(&self) -> u64 {
        self.meter.peak().max(self.origin.rate())
    }

    /// The same, and nothing as long as nothing has come over it.
    pub(crate) fn seen_of_line(&self) -> u64 {
        self.meter.peak().max(self.origin.measured_rate())
    }

    /// Whether the visitor's line, as far as it has been seen, may be hardly faster than a film.
    pub(crate) fn is_thin(&self) -> bool {
        (1..ASSUMED_PACE).contains(&self.seen_of_line())
    }

    /// When a request made at `since` over `link`, of which something has come or
    /// not, will have taken too long.
    pub(crate) fn give_up_at(&self, link: Link, since: Timestamp, begun: bool) -> Timestamp {
        let heard = self.links.get(link).map_or(since, |it| it.silent_from.max(since));
        let patience = if begun { STALL_TIMEOUT } else { FIRST_BYTE_TIMEOUT };
        (heard + patience).min(since + CHUNK_TIMEOUT)
    }
}

impl Conduct {
    fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or(UNKNOWN_ROUND_TRIP)
    }

    fn is_too_slow(&self) -> bool {
        self.rate.get().is_some_and(|rate| rate < FLOOR_BYTES_PER_SECOND)
    }

    /// Leaves the peer alone for a while, and takes it for unknown after that.
    fn rest(&mut self, now: Timestamp) {
        self.rests_until = now + FIRST_REST * 2u32.pow(self.stalls.min(4));
        self.stalls += 1;
        self.rate = Rate::default();
        self.delivered = 0;
    }

    fn window(&self) -> u32 {
        let Some(rate) = self.rate.get() else { return 0 };
        let useful = carried(self.round_trip() + WINDOW_SPARE, rate);
        let useful = u32::try_from(useful).unwrap_or(u32::MAX);
        let most = if self.delivered >= PROVED_BYTES { MAX_WINDOW_BYTES } else { WINDOW_BYTES };
        useful.min(most)
    }
}

/// Time for `bytes` at `rate` bytes per second.
pub(crate) fn transfer(bytes: u64, rate: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / rate.max(1))
}

/// Bytes that come in `time` at `rate` bytes per second.
fn carried(time: Duration, rate: u64) -> u64 {
    let ms = u64::try_from(time.as_millis()).unwrap_or(0);
    rate.saturating_mul(ms) / 1000
}

#[cfg(test)]
mod tests {
    use dcdn_protocol::PolicyName;

    use super::*;
    use crate::download::{MAX_SEGMENT_SLACK, Settings};

    #[test]
    fn the_origin_takes_longer_for_what_comes_behind_what_it_was_asked_for_already() {
        let mut network = Network::new();
        network.origin.answered(Timestamp(0), Timestamp(100));
        network.origin.delivered(500_000, Timestamp(1100));
        let alone = network.origin_takes(250_000, 0);
        assert_eq!(alone, Duration::from_millis(600));
        let behind = network.origin_takes(250_000, 1_000_000);
        assert_eq!(behind, alone + Duration::from_millis(2000));
    }

    #[test]
    fn a_segment_is_hardly_late_over_a_line_that_may_be_no_faster_than_its_film() {
        let slack = |slack_ms: u64, line: Option<u32>| {
            let mut network = Network::new();
            if let Some(bytes) = line {
                network.origin.answered(Timestamp(0), Timestamp(0));
                network.origin.delivered(bytes, Timestamp(1000));
            }
            let settings = Settings {
                policy: PolicyName::Adaptive,
                slack: Duration::from_millis(slack_ms),
                slack_percent: 0,
                mixed_http_percent: None,
                among_peers: false,
                seed: 0,
            };
            settings.for_segment(true, &network).slack
        };
        assert_eq!(slack(3000, Some(600_000)), Duration::from_millis(125));
        assert_eq!(slack(3000, Some(5_000_000)), Duration::from_millis(1500));
        assert_eq!(slack(3000, None), Duration::from_millis(1500), "nothing is known of the line");
        assert_eq!(slack(60_000, None), MAX_SEGMENT_SLACK, "players are no more patient");
    }

    #[test]
    fn a_peer_is_not_silent_while_what_was_on_its_way_before_fills_the_line() {
        let (link, chunk) = (Link(1), 262_144);
        let silence = |before: u64| {
            let mut network = Network::new();
            network.origin.answered(Timestamp(0), Timestamp(0));
            network.origin.delivered(500_000, Timestamp(1000));
            network.asked(link, chunk, Some(0), Timestamp(1000));
            network.progress(link, 100_000, Some(before), Timestamp(2000));
            network.give_up_at(link, Timestamp(1000), true) - (Timestamp(2000) + STALL_TIMEOUT)
        };
        // 262,144 bytes at 500,000 a second, and what the origin has to send beside them.
        assert_eq!(silence(0), Duration::from_millis(524));
        assert_eq!(silence(500_000), Duration::from_millis(1524));
        assert_eq!(silence(50_000_000), MAX_QUEUE, "but not for ever");
    }
}
