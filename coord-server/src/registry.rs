//! Who is in which swarm, who may speak to whom. Pure: events and the time go
//! in, messages come out; the dice are handed over at the start.

mod member;
mod peer_map;
mod place;
mod plausible;
mod remote;
mod scrub;
mod shape;
mod swarm;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Instant;

use dcdn_protocol::message::coord::{
    ADAPTIVE_WANT, DEFAULT_WANT, ErrorCode, FromCoord, REPORT_INTERVAL_MS, Signal, ToCoord,
};
use dcdn_protocol::stats::Totals;
use dcdn_protocol::{ChunkSet, ContentId, GroupId, PeerId, VERSION};
use rand::rngs::StdRng;

pub use self::peer_map::PeerMap;
pub use self::place::Place;
use self::plausible::plausible;
use self::remote::Agenda;
pub use self::remote::{Envelope, RemoteMember};
use self::scrub::scrub;
use self::shape::fault_of;
use self::swarm::{Asker, Swarm};
pub use self::swarm::{Recommendation, UnknownRecommendation};
use crate::limit::{Rate, TokenBucket};

/// Most peers that one answer names.
pub const MAX_WANT: u8 = DEFAULT_WANT * 2;

const _: () = assert!(ADAPTIVE_WANT <= MAX_WANT);

/// What one socket may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Swarms that a socket is in at once.
    pub swarms: usize,
    /// Browsers in a swarm below which none hears of the others.
    pub min_viewers: usize,
    /// Messages; each costs one token, and one more per KiB.
    pub messages: Rate,
    /// How peers are chosen.
    pub recommendation: Recommendation,
}

impl Default for Limits {
    /// Enough for a page that enters 256 swarms at once and connects to eight
    /// peers with ten candidates each, and then goes on with some 64 KiB/s.
    fn default() -> Self {
        Self {
            swarms: 256,
            min_viewers: 0,
            messages: Rate { capacity: 512, per_second: 64 },
            recommendation: Recommendation::default(),
        }
    }
}

/// Something that happened to a socket.
#[derive(Clone, Debug)]
pub enum Event {
    /// It opened, from there. The peer's id is new and random.
    Connected(Place),
    /// A message came, of so many bytes.
    Received(ToCoord, usize),
    /// Something else came, of so many bytes; the text says what is wrong with it.
    Garbled(String, usize),
    /// A ping or a pong came, of so many bytes: it costs as much as a message.
    Beat(usize),
    /// It is refused from outside, with this code and reason.
    Refused(ErrorCode, String),
    /// It closed.
    Disconnected,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a message.
    Send(PeerId, FromCoord),
    /// Close the socket once what was sent to it has gone out. The peer is out of
    /// all swarms already.
    Close(PeerId, ErrorCode),
    /// Pass a signal to another node.
    Forward(Envelope),
    /// A page says that it was served this, no more than a line could have carried.
    Count(PeerId, Totals),
}

impl Effect {
    /// Whose socket it is for, or from.
    pub fn socket(&self) -> PeerId {
        match self {
            Self::Send(peer, _) | Self::Close(peer, _) | Self::Count(peer, _) => *peer,
            Self::Forward(envelope) => envelope.from,
        }
    }
}

/// All sockets and swarms of a server.
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
    dice: StdRng,
    peers: PeerMap<Peer>,
    swarms: HashMap<ContentId, Swarm>,
    greeted: usize,
    /// What members' times are seconds since.
    since: Option<Instant>,
    agenda: Agenda,
}

#[derive(Debug)]
struct Peer {
    /// Known once it has said hello.
    group: Option<GroupId>,
    place: Place,
    /// In order.
    swarms: Vec<ContentId>,
    bucket: TokenBucket,
    /// For those whom its next join names.
    offers: Vec<String>,
    /// Since when it has not reported what it was served.
    unreported_since: Instant,
}

impl Peer {
    /// Takes what a message of so many bytes costs; false if there is not so much.
    fn pays(&mut self, bytes: usize, now: Instant) -> bool {
        let cost = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).saturating_add(1);
        self.bucket.take(cost, now)
    }
}

impl Registry {
    /// Nobody is there yet. `dice` decide who is recommended.
    pub fn new(limits: Limits, dice: StdRng) -> Self {
        Self {
            limits,
            dice,
            peers: PeerMap::default(),
            swarms: HashMap::new(),
            greeted: 0,
            since: None,
            agenda: Agenda::default(),
        }
    }

    /// What follows from an event on the socket of `from`. Events of a peer that
    /// is not connected have no effect.
    pub fn handle(&mut self, from: PeerId, event: Event, now: Instant) -> Vec<Effect> {
        match event {
            Event::Connected(place) => {
                self.connect(from, place, now);
                Vec::new()
            }
            Event::Disconnected => {
                self.disconnect(from);
                Vec::new()
            }
            Event::Received(message, bytes) => self.receive(from, Ok(message), bytes, now),
            Event::Garbled(why, bytes) => self.receive(from, Err(why), bytes, now),
            Event::Beat(bytes) => {
                let Some(peer) = self.peers.get_mut(&from) else { return Vec::new() };
                if peer.pays(bytes, now) {
                    return Vec::new();
                }
                self.refuse(from, Refusal::too_much())
            }
            Event::Refused(code, why) if self.peers.contains_key(&from) => {
                self.refuse(from, Refusal::new(code, why))
            }
            Event::Refused(..) => Vec::new(),
        }
    }

    /// Sockets that have said hello.
    pub fn peer_count(&self) -> usize {
        self.greeted
    }

    /// Contents that somebody is in the swarm of.
    pub fn swarm_count(&self) -> usize {
        self.swarms.len()
    }

    /// The `most` swarms with the most browsers, and how many those are. Looks at all.
    pub fn largest(&self, most: usize) -> Vec<(ContentId, usize)> {
        let sizes = self.swarms.iter().map(|(content, swarm)| (*content, swarm.browsers()));
        let mut sizes: Vec<_> = sizes.filter(|(_, browsers)| *browsers > 0).collect();
        let before = |a: &(ContentId, usize), b: &(ContentId, usize)| (b.1, a.0).cmp(&(a.1, b.0));
        if sizes.len() > most {
            sizes.select_nth_unstable_by(most, before);
            sizes.truncate(most);
        }
        sizes.sort_unstable_by(before);
        sizes
    }

    fn connect(&mut self, peer: PeerId, place: Place, now: Instant) {
        let bucket = TokenBucket::new(self.limits.messages, now);
        let unreported_since = now.checked_sub(plausible::BEFORE).unwrap_or(now);
        let (swarms, offers) = (Vec::new(), Vec::new());
        let new = Peer { group: None, place, swarms, bucket, offers, unreported_since };
        self.peers.insert(peer, new);
    }

    fn disconnect(&mut self, id: PeerId) {
        let Some(peer) = self.peers.remove(&id) else { return };
        let Some(group) = peer.group else { return };
        self.greeted -= 1;
        for content in peer.swarms {
            self.remove_member(content, group, id);
        }
    }

    fn receive(
        &mut self,
        from: PeerId,
        message: Result<ToCoord, String>,
        bytes: usize,
        now: Instant,
    ) -> Vec<Effect> {
        let Some(peer) = self.peers.get_mut(&from) else { return Vec::new() };
        let answer = if !peer.pays(bytes, now) {
            Err(Refusal::too_much())
        } else {
            match (peer.group, message) {
                (None, Ok(ToCoord::Hello { version, group, .. })) => {
                    self.hello(from, version, group)
                }
                (None, _) => Err(Refusal::new(ErrorCode::HelloFirst, "say hello first")),
                (Some(_), Err(why)) => Err(Refusal::new(ErrorCode::BadMessage, why)),
                (Some(group), Ok(message)) => {
                    let asker = Asker { group, peer: from, place: peer.place };
                    self.obey(asker, message, now)
                }
            }
        };
        answer.unwrap_or_else(|refusal| self.refuse(from, refusal))
    }

    fn obey(
        &mut self,
        from: Asker,
        message: ToCoord,
        now: Instant,
    ) -> Result<Vec<Effect>, Refusal> {
        let seconds = self.seconds(now);
        let effect = match message {
            ToCoord::Join { content, want, have } => {
                return self.join(from, content, want, &have, seconds);
            }
            ToCoord::Hello { .. } => {
                return Err(Refusal::new(ErrorCode::BadMessage, "hello has been said already"));
            }
            ToCoord::Offers { sdps } => {
                if let Some(peer) = self.peers.get_mut(&from.peer) {
                    peer.offers = sdps;
                    peer.offers.truncate(MAX_WANT.into());
                }
                None
            }
            ToCoord::Have { content, have } => {
                if let Some(swarm) = self.swarms.get_mut(&content) {
                    swarm.report(from.group, from.peer, &have, seconds);
                }
                None
            }
            ToCoord::Leave { content } => {
                self.leave(from, content);
                None
            }
            ToCoord::Signal { to, signal } => self.relay(from, to, signal, seconds)?,
            ToCoord::Report { bytes } => self.report(from.peer, bytes, now),
        };
        Ok(Vec::from_iter(effect))
    }

    /// Seconds on the clock of members.
    fn seconds(&mut self, now: Instant) -> f64 {
        let since = *self.since.get_or_insert(now);
        now.saturating_duration_since(since).as_secs_f64()
    }

    fn hello(
        &mut self,
        from: PeerId,
        version: u16,
        group: GroupId,
    ) -> Result<Vec<Effect>, Refusal> {
        if version != VERSION {
            let message = format!("this server speaks version {VERSION}, not {version}");
            return Err(Refusal::new(ErrorCode::Version, message));
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.group = Some(group);
            self.greeted += 1;
        }
        let report_every_ms = Some(REPORT_INTERVAL_MS);
        let welcome = FromCoord::Welcome { version: VERSION, peer: from, report_every_ms };
        Ok(vec![Effect::Send(from, welcome)])
    }

    fn join(
        &mut self,
        from: Asker,
        content: ContentId,
        want: u8,
        have: &ChunkSet,
        now: f64,
    ) -> Result<Vec<Effect>, Refusal> {
        let Some(peer) = self.peers.get_mut(&from.peer) else { return Ok(Vec::new()) };
        let offers = std::mem::take(&mut peer.offers);
        if let Err(place) = peer.swarms.binary_search(&content) {
            if peer.swarms.len() >= self.limits.swarms {
                let message = format!("a socket is in {} swarms at the most", self.limits.swarms);
                return Err(Refusal::new(ErrorCode::TooManySwarms, message));
            }
            peer.swarms.insert(place, content);
        }
        let swarm = self.swarms.entry(content).or_default();
        swarm.enter(from, have, now, &mut self.dice);
        let how = self.limits.recommendation;
        let want = swarm.may_want(want.min(MAX_WANT).into(), self.limits.min_viewers);
        let peers = swarm.recommend(how, from, want, now, &mut self.dice);
        if self.agenda.is_enabled() {
            let may_wait = peers.is_empty() && self.agenda.is_worth_waiting(swarm, now);
            let is_hungry = peers.len() < want && swarm.is_hungry(from, want, may_wait, now);
            self.agenda.stir(content, swarm, now);
            if may_wait && is_hungry {
                return Ok(Vec::new());
            }
        }
        let named: Vec<PeerId> = peers.iter().map(|it| it.peer).collect();
        let mut effects = self.offer(from, &named, offers, now);
        effects.push(Effect::Send(from.peer, FromCoord::Peers { content, peers }));
        Ok(effects)
    }

    /// Gives those who are named the offers that were ready, and says to whom, up to the first
    /// that cannot be passed on.
    fn offer(&mut self, from: Asker, named: &[PeerId], sdps: Vec<String>, now: f64) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut to = Vec::new();
        for (&peer, sdp) in named.iter().zip(sdps) {
            let Ok(Some(effect)) = self.relay(from, peer, Signal::Offer { sdp }, now) else {
                break;
            };
            effects.push(effect);
            to.push(peer);
        }
        if !to.is_empty() {
            effects.push(Effect::Send(from.peer, FromCoord::Offered { to }));
        }
        effects
    }

    fn report(&mut self, from: PeerId, bytes: Totals, now: Instant) -> Option<Effect> {
        let peer = self.peers.get_mut(&from)?;
        let bytes = plausible(bytes, now.saturating_duration_since(peer.unreported_since));
        peer.unreported_since = now;
        Some(Effect::Count(from, bytes))
    }

    fn leave(&mut self, from: Asker, content: ContentId) {
        let Some(peer) = self.peers.get_mut(&from.peer) else { return };
        if let Ok(place) = peer.swarms.binary_search(&content) {
            peer.swarms.remove(place);
            self.remove_member(content, from.group, from.peer);
        }
    }

    fn remove_member(&mut self, content: ContentId, group: GroupId, peer: PeerId) {
        let Entry::Occupied(mut swarm) = self.swarms.entry(content) else { return };
        swarm.get_mut().remove(group, peer);
        if swarm.get().is_empty() {
            self.agenda.end(content, swarm.get());
            swarm.remove();
        }
    }

    fn relay(
        &mut self,
        from: Asker,
        to: PeerId,
        signal: Signal,
        now: f64,
    ) -> Result<Option<Effect>, Refusal> {
        if let Some(fault) = fault_of(&signal) {
            let refusal = Refusal::new(ErrorCode::BadMessage, fault);
            return Err(Refusal { peer: Some(to), ..refusal });
        }
        let place = from.place;
        let Some(content) = self.common_swarm(from.peer, to) else {
            let content = self.shared_with_remote(from.peer, to, now);
            let content = content.ok_or_else(|| Refusal::unknown(to))?;
            let (group, from) = (from.group, from.peer);
            let envelope = |signal| Envelope { from, group, content, to, signal };
            let scrubbed = scrub(signal, place.is_neighbour_of_others());
            return Ok(scrubbed.map(envelope).map(Effect::Forward));
        };
        let are_neighbours =
            self.peers.get(&to).is_some_and(|peer| place.is_neighbour_of(peer.place));
        let declines = matches!(&signal, Signal::Answer { sdp } if sdp.is_empty());
        if declines && let Some(swarm) = self.swarms.get_mut(&content) {
            swarm.declined(from.group, from.peer, now);
        }
        let passed = |signal| Effect::Send(to, FromCoord::Signal { from: from.peer, signal });
        Ok(scrub(signal, are_neighbours).map(passed))
    }

    fn common_swarm(&self, one: PeerId, other: PeerId) -> Option<ContentId> {
        let (a, b) = (self.peers.get(&one)?, self.peers.get(&other)?);
        let (mut ours, mut theirs) = (a.swarms.iter().peekable(), b.swarms.iter().peekable());
        while let (Some(own), Some(their)) = (ours.peek(), theirs.peek()) {
            match own.cmp(their) {
                Ordering::Less => drop(ours.next()),
                Ordering::Greater => drop(theirs.next()),
                Ordering::Equal => return Some(**own).filter(|_| one != other),
            }
        }
        None
    }

    fn refuse(&mut self, from: PeerId, refusal: Refusal) -> Vec<Effect> {
        let code = refusal.code;
        let told = refusal.into_effect(from);
        match code {
            ErrorCode::Version
            | ErrorCode::HelloFirst
            | ErrorCode::RateLimit
            | ErrorCode::AddressLimit
            | ErrorCode::Token => {
                self.disconnect(from);
                vec![told, Effect::Close(from, code)]
            }
            ErrorCode::BadMessage | ErrorCode::TooManySwarms | ErrorCode::UnknownPeer => vec![told],
        }
    }
}

/// A message that is not obeyed.
struct Refusal {
    code: ErrorCode,
    message: String,
    peer: Option<PeerId>,
}

impl Refusal {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), peer: None }
    }

    fn too_much() -> Self {
        Self::new(ErrorCode::RateLimit, "too many messages")
    }

    fn unknown(peer: PeerId) -> Self {
        let refusal = Self::new(ErrorCode::UnknownPeer, "no such peer in a swarm of yours");
        Self { peer: Some(peer), ..refusal }
    }

    fn into_effect(self, from: PeerId) -> Effect {
        let Self { code, message, peer } = self;
        Effect::Send(from, FromCoord::Error { code, message, peer })
    }
}
