//! The network model: lines, pairs, servers. Every number is a parameter of
//! [`NetworkModel`]; scenarios change what they are about.

use coord_server::registry::Recommendation;

use crate::dice::{self, Purpose};
use crate::event::EntityId;
use crate::num::{narrow, whole};

/// Least milliseconds from one entity to another. Threads simulate windows of this
/// length without hearing from each other.
pub const LOOKAHEAD_MS: u64 = 8;

/// Bytes of a segment: SCTP over DTLS over UDP in Chromium uses 1,200.
const MSS: f64 = 1200.0;

/// Constant of the throughput formula of Mathis et al. (1997) for acknowledging
/// every segment: rate = MSS / RTT * 1.22 / sqrt(loss).
const MATHIS: f64 = 1.22;

/// Bytes that a fresh connection may send in its first round trip (RFC 6928: ten
/// segments).
pub const INITIAL_WINDOW: u64 = 14_600;

/// Everything that is assumed about the network and the visitors in it.
#[derive(Clone, Debug)]
pub struct NetworkModel {
    /// What lines there are.
    pub lines: Vec<LineClass>,
    /// Bounds of the one-way delay of a viewer's access in milliseconds: fibre and
    /// cable to mobile, as in national broadband measurements (Ofcom, FCC).
    pub access_delay_ms: (u32, u32),
    /// Loss between the worst pair. Most are far better: the loss of a pair is this
    /// times the cube of an even draw.
    pub worst_loss: f64,
    /// Percentage of pairs that cannot connect without a relay: 15 to 22 in reports
    /// of WebRTC services on how many sessions need TURN.
    pub nat_percent: f64,
    /// The site's server.
    pub origin: OriginModel,
    /// The coordination server.
    pub coord: CoordModel,
    /// Milliseconds of CPU and of the network's setting up beyond round trips that a
    /// connection takes: 8 to 15 were measured on loopback (DESIGN section 3.9).
    pub connect_ms: u64,
    /// Connections that a page makes itself at the most; it answers twice as many.
    pub max_peers: usize,
    /// Percentage of viewers who send wrong bytes.
    pub liar_percent: f64,
    /// Percentage of viewers who upload at [`SLOW_BYTES_PER_MS`].
    pub slow_percent: f64,
    /// Percentage of viewers whose uploads stop now and then for [`STALL_MS`].
    pub stalling_percent: f64,
    /// Percentage of those who leave that do so without a word (lid closed, out of
    /// reach); their neighbours notice after [`SILENT_LEAVE_MS`].
    pub silent_leave_percent: f64,
    /// Percentage of visits that find nothing in the browser's HTTP cache, and wait
    /// [`FIRST_PAGE_MS`] instead of [`PAGE_MS`] for the page's part.
    pub first_visit_percent: f64,
}

/// A kind of line.
#[derive(Clone, Copy, Debug)]
pub struct LineClass {
    /// Percentage of viewers that have it.
    pub percent: f64,
    /// Down, in kbit/s.
    pub down_kbit: u32,
    /// Up, in kbit/s.
    pub up_kbit: u32,
}

/// The site's server.
#[derive(Clone, Debug)]
pub struct OriginModel {
    /// What it sends at the most, to all together; `None` is no limit.
    pub mbit: Option<u32>,
    /// What one connection gets at the most.
    pub connection_mbit: u32,
    /// One-way delay to it beyond a viewer's access, in milliseconds.
    pub delay_ms: u32,
    /// Milliseconds until it begins to answer.
    pub think_ms: u32,
    /// Whether it honours `Range`. If not, it sends everything from the start, as
    /// fast as the viewer's line takes it: nothing holds it back as a browser does
    /// whose reader is slow, so contents should be no longer than the read-ahead.
    pub ranges: bool,
    /// It is down from the first of these milliseconds to the second.
    pub down: Option<(u64, u64)>,
}

/// The coordination server.
#[derive(Clone, Debug)]
pub struct CoordModel {
    /// One-way delay to it beyond a viewer's access, in milliseconds.
    pub delay_ms: u32,
    /// Milliseconds for a message.
    pub think_ms: u32,
    /// Milliseconds between two reports of the same page at the least.
    pub report_interval_ms: u64,
    /// How it chooses whom to name.
    pub recommendation: Recommendation,
}

/// Bytes per millisecond of a slow peer: the 50 KB/s of the issue.
pub const SLOW_BYTES_PER_MS: u32 = 50;

/// How long a peer stalls, in milliseconds.
pub const STALL_MS: u64 = 5_000;

/// Percentage of uploads at which a stalling peer stalls.
pub const STALL_PERCENT: f64 = 2.0;

/// Milliseconds after which a silent end is noticed: the page's own constant for a
/// disconnected `RTCPeerConnection`.
pub const SILENT_LEAVE_MS: u64 = 5_000;

/// Milliseconds for a connection to open: the page's own constant.
pub const OPEN_TIMEOUT_MS: u64 = 10_000;

/// Milliseconds after which the coordination server notices a silent end: its
/// heartbeat.
pub const HEARTBEAT_MS: u64 = 20_000;

/// Milliseconds from navigation until a page can look for peers on a first visit.
pub const FIRST_PAGE_MS: u64 = 300;

/// The same with everything in the browser's cache.
pub const PAGE_MS: u64 = 100;

/// Milliseconds to read a chunk from the store (DESIGN section 3.7: 1.7 ms).
pub const STORE_MS: u64 = 2;

impl Default for NetworkModel {
    fn default() -> Self {
        let line = |percent, down_kbit, up_kbit| LineClass { percent, down_kbit, up_kbit };
        Self {
            // Slow DSL, DSL and 4G, cable, fibre: mean up 17 Mbit/s, and a fifth of the
            // viewers has less than the bit rate of the video that the scenarios use.
            lines: vec![
                line(20.0, 5_000, 1_000),
                line(40.0, 25_000, 5_000),
                line(30.0, 100_000, 20_000),
                line(10.0, 500_000, 100_000),
            ],
            access_delay_ms: (5, 40),
            worst_loss: 0.02,
            nat_percent: 18.0,
            origin: OriginModel {
                mbit: None,
                connection_mbit: 400,
                delay_ms: 10,
                think_ms: 5,
                ranges: true,
                down: None,
            },
            coord: CoordModel {
                delay_ms: 10,
                think_ms: 2,
                report_interval_ms: 5_000,
                recommendation: Recommendation::default(),
            },
            connect_ms: 20,
            max_peers: 8,
            liar_percent: 0.0,
            slow_percent: 0.0,
            stalling_percent: 0.0,
            silent_leave_percent: 30.0,
            first_visit_percent: 50.0,
        }
    }
}

/// A viewer's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Bytes per millisecond.
    pub down: u32,
    /// Bytes per millisecond.
    pub up: u32,
    /// One-way delay in milliseconds.
    pub delay: u32,
}

/// What lies between two viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Whether they can connect at all.
    pub connects: bool,
    /// One-way delay in milliseconds.
    pub delay: u32,
    /// Bytes per millisecond at the most, by loss and round trip.
    pub rate: u32,
}

impl NetworkModel {
    /// Which of [`NetworkModel::lines`] a viewer has.
    pub fn line_class(&self, seed: u64, viewer: EntityId) -> usize {
        let mut draw = dice::unit(seed, Purpose::LineClass, viewer.0.into(), 0) * 100.0;
        let class = self.lines.iter().position(|line| {
            draw -= line.percent;
            draw < 0.0
        });
        class.unwrap_or(self.lines.len() - 1)
    }

    /// The line of a viewer.
    pub fn line(&self, seed: u64, viewer: EntityId) -> Line {
        let id = viewer.0.into();
        let class = self.lines[self.line_class(seed, viewer)];
        // Lines of one class differ somewhat.
        let jitter = 0.9 + 0.4 * dice::unit(seed, Purpose::LineJitter, id, 0);
        let bytes_per_ms = |kbit: u32| narrow(whole(f64::from(kbit) / 8.0 * jitter)).max(1);
        let (least, most) = self.access_delay_ms;
        // Near the lower bound more often than near the upper.
        let far = dice::unit(seed, Purpose::AccessDelay, id, 0).powi(2);
        let delay = f64::from(least) + far * f64::from(most - least);
        Line {
            down: bytes_per_ms(class.down_kbit),
            up: bytes_per_ms(class.up_kbit),
            delay: narrow(whole(delay)),
        }
    }

    /// What lies between two viewers with these access delays.
    pub fn pair(&self, seed: u64, one: (EntityId, u32), other: (EntityId, u32)) -> Pair {
        let (a, b) = (one.0.min(other.0).0.into(), one.0.max(other.0).0.into());
        let delay = one.1 + other.1;
        let loss = self.worst_loss * dice::unit(seed, Purpose::Loss, a, b).powi(3);
        let rtt = f64::from(2 * delay).max(1.0);
        let rate = MSS / rtt * MATHIS / loss.max(1e-6).sqrt();
        Pair {
            connects: !dice::chance(self.nat_percent, seed, Purpose::Nat, a, b),
            delay,
            rate: narrow(whole(rate)).max(1),
        }
    }
}

/// Microseconds from the start of a connection until `bytes` have been sent: each
/// round trip carries twice what the one before did, beginning with
/// [`INITIAL_WINDOW`], until `rate` (bytes per millisecond) is reached.
pub fn ramp_us(bytes: u64, rtt_ms: u32, rate: u32) -> u64 {
    let (rtt_us, rate) = (u64::from(rtt_ms) * 1000, u64::from(rate.max(1)));
    let (mut window, mut sent, mut time) = (INITIAL_WINDOW, 0, 0);
    while bytes - sent > window && window * 1000 < rate * rtt_us {
        sent += window;
        time += rtt_us;
        window *= 2;
    }
    time + (bytes - sent) * 1000 / rate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_connection_doubles_every_round_trip_until_its_rate() {
        // 100 ms round trip, 1,000 bytes per ms: the window is full at 100,000 bytes.
        assert_eq!(ramp_us(14_600, 100, 1000), 14_600);
        assert_eq!(ramp_us(14_601, 100, 1000), 100_001);
        assert_eq!(ramp_us(14_600 * 3 + 1, 100, 1000), 200_001);
        // 14,600 + 29,200 + 58,400 in three round trips, the rest at the full rate.
        assert_eq!(ramp_us(102_200 + 1_000_000, 100, 1000), 300_000 + 1_000_000);
    }

    #[test]
    fn more_bytes_never_take_less_time() {
        for (rtt, rate) in [(10, 100_000), (80, 50), (200, 3000)] {
            let times: Vec<u64> = (0..5000).map(|n| ramp_us(n * 311, rtt, rate)).collect();
            assert!(times.is_sorted());
        }
    }

    #[test]
    fn lines_and_pairs_are_spread_as_the_model_says() {
        let model = NetworkModel::default();
        let lines: Vec<Line> = (0..10_000).map(|n| model.line(3, EntityId(n))).collect();
        let slow = lines.iter().filter(|line| line.up < 200).count();
        assert!((1900..2100).contains(&slow), "{slow} of 10,000 have a slow line");
        assert!(lines.iter().all(|line| (5..=40).contains(&line.delay)));
        let pairs = (0..10_000).map(|n| model.pair(3, (EntityId(n), 10), (EntityId(n + 1), 20)));
        let apart = pairs.filter(|pair| !pair.connects).count();
        assert!((1700..1900).contains(&apart), "{apart} of 10,000 pairs cannot connect");
        let there = model.pair(3, (EntityId(5), 10), (EntityId(9), 20));
        assert_eq!(there, model.pair(3, (EntityId(9), 20), (EntityId(5), 10)));
    }
}
