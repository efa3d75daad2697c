//! The coordination server: its real registry.

use std::time::{Duration, Instant};

use coord_server::registry::{self, Effect, Limits, Place, Recommendation, Registry};
use dcdn_protocol::message::coord::{ErrorCode, FromCoord, Recommended, Signal as Words, ToCoord};
use dcdn_protocol::{GroupId, PeerId, VERSION};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::dice::{self, Purpose};
use crate::event::{COORD, EntityId, Event, Join, Named, Signal, What};
use crate::shard::Ctx;

/// Bytes that a message is taken to have: an offer of a data channel has less.
const MESSAGE_BYTES: usize = 700;

/// Candidates that each side of a connection sends, with the line that ends them.
/// They are counted and take no part otherwise.
const CANDIDATES: u64 = 4;

/// The coordination server.
pub struct Coord {
    registry: Registry,
    start: Instant,
    seq: u32,
}

/// The id that a viewer has on its socket: as of every peer of one server, its first half
/// is the server's. The rest looks random and ends with the viewer's number.
pub fn peer_id(seed: u64, viewer: EntityId) -> PeerId {
    let mut id = [0; 16];
    let own = dice::hash(seed, Purpose::PeerId, viewer.0.into(), 0);
    id[8..].copy_from_slice(&own.to_be_bytes());
    id[12..].copy_from_slice(&viewer.0.to_be_bytes());
    PeerId(id)
}

fn viewer_of(peer: PeerId) -> EntityId {
    EntityId(u32::from_be_bytes([peer.0[12], peer.0[13], peer.0[14], peer.0[15]]))
}

impl Coord {
    /// Nobody is there yet.
    pub fn new(seed: u64, recommendation: Recommendation) -> Self {
        let dice = StdRng::seed_from_u64(dice::hash(seed, Purpose::Registry, 0, 0));
        let limits = Limits { recommendation, ..Limits::default() };
        Self { registry: Registry::new(limits, dice), start: Instant::now(), seq: 0 }
    }

    /// A message comes.
    pub fn handle(&mut self, event: Event, ctx: &mut Ctx<'_>) {
        let from = event.from;
        ctx.totals.server_in += 1;
        match event.what {
            What::Manifest(content) => {
                self.answer(from, What::Manifest(content), ctx);
            }
            What::Hello => {
                self.tell(from, registry::Event::Connected(Place::UNKNOWN), ctx);
                let group = GroupId(peer_id(ctx.world.seed, from).0);
                self.say(from, ToCoord::Hello { version: VERSION, group, token: None }, ctx);
            }
            What::Join(join) => {
                let Join { content, want, have } = *join;
                let content = crate::world::content_id(content);
                self.say(from, ToCoord::Join { content, want, have }, ctx);
            }
            What::Report(report) => {
                let (content, have) = *report;
                let content = crate::world::content_id(content);
                self.say(from, ToCoord::Have { content, have }, ctx);
            }
            What::Signal { peer, signal } => {
                let signal = match signal {
                    Signal::Offer => Words::Offer { sdp: "v=0".to_owned() },
                    Signal::Accept => Words::Answer { sdp: "v=0".to_owned() },
                    Signal::Decline => Words::Answer { sdp: String::new() },
                };
                let to = peer_id(ctx.world.seed, peer);
                self.say(from, ToCoord::Signal { to, signal }, ctx);
            }
            What::Disconnected => {
                // The end of a socket is no message.
                ctx.totals.server_in -= 1;
                self.tell(from, registry::Event::Disconnected, ctx);
            }
            other => debug_assert!(false, "not for the coordination server: {other:?}"),
        }
    }

    fn say(&mut self, from: EntityId, message: ToCoord, ctx: &mut Ctx<'_>) {
        self.tell(from, registry::Event::Received(message, MESSAGE_BYTES), ctx);
    }

    fn tell(&mut self, from: EntityId, event: registry::Event, ctx: &mut Ctx<'_>) {
        let now = self.start + Duration::from_millis(ctx.now);
        let peer = peer_id(ctx.world.seed, from);
        for effect in self.registry.handle(peer, event, now) {
            match effect {
                Effect::Send(to, message) => self.carry_out(viewer_of(to), message, ctx),
                // A server that is alone has nowhere to forward to.
                Effect::Forward(_) => ctx.totals.violations.push("a letter to nobody".to_owned()),
                Effect::Count(..) => ctx.totals.violations.push("a report".to_owned()),
                Effect::Close(..) => ctx.totals.violations.push("a socket was closed".to_owned()),
            }
        }
    }

    fn carry_out(&mut self, to: EntityId, message: FromCoord, ctx: &mut Ctx<'_>) {
        let what = match message {
            FromCoord::Welcome { .. } => What::Hello,
            // Visitors here make no offers ready: each calls whom it is told of.
            FromCoord::Offered { .. } => {
                ctx.totals.violations.push("an offer that nobody made".to_owned());
                return;
            }
            FromCoord::Peers { content, peers } => {
                let content = crate::world::content_no(content);
                let brief =
                    |Recommended { peer, expected }: Recommended| (viewer_of(peer), expected);
                let peers = peers.into_iter().map(brief).collect();
                What::Named(Box::new(Named { content, peers }))
            }
            FromCoord::Signal { from, signal } => {
                let (signal, candidates) = match signal {
                    Words::Offer { .. } => (Signal::Offer, CANDIDATES),
                    Words::Answer { sdp } if sdp.is_empty() => (Signal::Decline, 0),
                    Words::Answer { .. } => (Signal::Accept, CANDIDATES),
                    Words::Candidate { .. } => return,
                };
                ctx.totals.server_in += candidates;
                ctx.totals.server_out += candidates;
                What::Signal { peer: viewer_of(from), signal }
            }
            FromCoord::Error { code: ErrorCode::UnknownPeer, peer: Some(peer), .. } => {
                What::Unknown { peer: viewer_of(peer) }
            }
            FromCoord::Goodbye { .. } => {
                ctx.totals.violations.push("the coordination server stops".to_owned());
                return;
            }
            FromCoord::Error { message, .. } => {
                ctx.totals.violations.push(format!("the coordination server says: {message}"));
                return;
            }
        };
        self.answer(to, what, ctx);
    }

    fn answer(&mut self, to: EntityId, what: What, ctx: &mut Ctx<'_>) {
        ctx.totals.server_out += 1;
        let model = &ctx.world.net.coord;
        let line = ctx.world.net.line(ctx.world.seed, to);
        let delay = u64::from(model.think_ms + model.delay_ms + line.delay);
        ctx.send(&mut self.seq, COORD, to, delay, what);
    }
}
