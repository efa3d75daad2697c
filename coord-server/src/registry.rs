//! Who is in which swarm, who may speak to whom. Pure: events and the time go
//! in, messages come out; the dice are handed over at the start.

mod members;
mod peer_map;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Instant;

use dcdn_protocol::message::coord::{
    ADAPTIVE_WANT, DEFAULT_WANT, ErrorCode, FromCoord, MAX_CANDIDATE, MAX_HELD_RUNS, MAX_SDP,
    Recommended, Signal, ToCoord,
};
use dcdn_protocol::{ChunkSet, ContentId, GroupId, PeerId, VERSION};
use rand::rngs::StdRng;

use self::members::Members;
pub use self::peer_map::PeerMap;
use crate::limit::{Rate, TokenBucket};

/// Most peers that one answer names.
pub const MAX_WANT: u8 = DEFAULT_WANT * 2;

const _: () = assert!(ADAPTIVE_WANT <= MAX_WANT);

/// Most bytes of the name of a media section in a candidate.
const MAX_SDP_MID: usize = 256;

/// What one socket may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Swarms that a socket is in at once.
    pub swarms: usize,
    /// Messages; each costs one token, and one more per KiB.
    pub messages: Rate,
}

impl Default for Limits {
    /// Enough for a page that enters 256 swarms at once and connects to eight
    /// peers with ten candidates each, and then goes on with some 64 KiB/s.
    fn default() -> Self {
        Self { swarms: 256, messages: Rate { capacity: 512, per_second: 64 } }
    }
}

/// Something that happened to a socket.
#[derive(Clone, Debug)]
pub enum Event {
    /// It opened. The peer's id is new and random.
    Connected,
    /// A message came, of so many bytes.
    Received(ToCoord, usize),
    /// Something else came, of so many bytes; the text says what is wrong with it.
    Garbled(String, usize),
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
}

impl Effect {
    /// Whose socket it is for.
    pub fn to(&self) -> PeerId {
        match self {
            Self::Send(peer, _) | Self::Close(peer, _) => *peer,
        }
    }
}

/// All sockets and swarms of a server.
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
    dice: StdRng,
    peers: PeerMap<Peer>,
    swarms: HashMap<ContentId, Members>,
    greeted: usize,
}

#[derive(Debug)]
struct Peer {
    /// Known once it has said hello.
    group: Option<GroupId>,
    /// What it holds of each, at most [`MAX_HELD_RUNS`] runs.
    swarms: HashMap<ContentId, ChunkSet>,
    bucket: TokenBucket,
}

impl Registry {
    /// Nobody is there yet. `dice` decide who is recommended.
    pub fn new(limits: Limits, dice: StdRng) -> Self {
        Self { limits, dice, peers: PeerMap::default(), swarms: HashMap::new(), greeted: 0 }
    }

    /// What follows from an event on the socket of `from`. Events of a peer that
    /// is not connected have no effect.
    pub fn handle(&mut self, from: PeerId, event: Event, now: Instant) -> Vec<Effect> {
        match event {
            Event::Connected => {
                self.connect(from, now);
                Vec::new()
            }
            Event::Disconnected => {
                self.disconnect(from);
                Vec::new()
            }
            Event::Received(message, bytes) => self.receive(from, Ok(message), bytes, now),
            Event::Garbled(why, bytes) => self.receive(from, Err(why), bytes, now),
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

    fn connect(&mut self, peer: PeerId, now: Instant) {
        let bucket = TokenBucket::new(self.limits.messages, now);
        self.peers.insert(peer, Peer { group: None, swarms: HashMap::new(), bucket });
    }

    fn disconnect(&mut self, id: PeerId) {
        let Some(peer) = self.peers.remove(&id) else { return };
        let Some(group) = peer.group else { return };
        self.greeted -= 1;
        for content in peer.swarms.into_keys() {
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
        let cost = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).saturating_add(1);
        let answer = if !peer.bucket.take(cost, now) {
            Err(Refusal::new(ErrorCode::RateLimit, "too many messages"))
        } else {
            match (peer.group, message) {
                (None, Ok(ToCoord::Hello { version, group })) => self.hello(from, version, group),
                (None, _) => Err(Refusal::new(ErrorCode::HelloFirst, "say hello first")),
                (Some(_), Err(why)) => Err(Refusal::new(ErrorCode::BadMessage, why)),
                (Some(group), Ok(message)) => self.obey(from, group, message),
            }
        };
        match answer {
            Ok(effect) => Vec::from_iter(effect),
            Err(refusal) => self.refuse(from, refusal),
        }
    }

    fn obey(
        &mut self,
        from: PeerId,
        group: GroupId,
        message: ToCoord,
    ) -> Result<Option<Effect>, Refusal> {
        match message {
            ToCoord::Hello { .. } => {
                Err(Refusal::new(ErrorCode::BadMessage, "hello has been said already"))
            }
            ToCoord::Join { content, want, have } => self.join(from, group, content, want, &have),
            ToCoord::Have { content, have } => {
                self.have(from, content, &have);
                Ok(None)
            }
            ToCoord::Leave { content } => {
                self.leave(from, group, content);
                Ok(None)
            }
            ToCoord::Signal { to, signal } => self.relay(from, to, signal).map(Some),
        }
    }

    fn hello(
        &mut self,
        from: PeerId,
        version: u16,
        group: GroupId,
    ) -> Result<Option<Effect>, Refusal> {
        if version != VERSION {
            let message = format!("this server speaks version {VERSION}, not {version}");
            return Err(Refusal::new(ErrorCode::Version, message));
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.group = Some(group);
            self.greeted += 1;
        }
        Ok(Some(Effect::Send(from, FromCoord::Welcome { version: VERSION, peer: from })))
    }

    fn join(
        &mut self,
        from: PeerId,
        group: GroupId,
        content: ContentId,
        want: u8,
        have: &ChunkSet,
    ) -> Result<Option<Effect>, Refusal> {
        let Some(peer) = self.peers.get_mut(&from) else { return Ok(None) };
        if peer.swarms.len() >= self.limits.swarms && !peer.swarms.contains_key(&content) {
            let message = format!("a socket is in {} swarms at the most", self.limits.swarms);
            return Err(Refusal::new(ErrorCode::TooManySwarms, message));
        }
        peer.swarms.insert(content, have.first_runs(MAX_HELD_RUNS));
        let members = self.swarms.entry(content).or_default();
        members.insert(group, from);
        let drawn = members.draw(group, want.min(MAX_WANT).into(), &mut self.dice);
        let peers = drawn.into_iter().map(|peer| self.recommend(peer, content)).collect();
        Ok(Some(Effect::Send(from, FromCoord::Peers { content, peers })))
    }

    fn recommend(&self, peer: PeerId, content: ContentId) -> Recommended {
        let held = self.peers.get(&peer).and_then(|peer| peer.swarms.get(&content));
        Recommended { peer, expected: held.cloned().unwrap_or_default() }
    }

    fn have(&mut self, from: PeerId, content: ContentId, have: &ChunkSet) {
        if let Some(held) = self.peers.get_mut(&from).and_then(|peer| peer.swarms.get_mut(&content))
        {
            *held = have.first_runs(MAX_HELD_RUNS);
        }
    }

    fn leave(&mut self, from: PeerId, group: GroupId, content: ContentId) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if peer.swarms.remove(&content).is_some() {
            self.remove_member(content, group, from);
        }
    }

    fn remove_member(&mut self, content: ContentId, group: GroupId, peer: PeerId) {
        let Entry::Occupied(mut swarm) = self.swarms.entry(content) else { return };
        swarm.get_mut().remove(group, peer);
        if swarm.get().is_empty() {
            swarm.remove();
        }
    }

    fn relay(&self, from: PeerId, to: PeerId, signal: Signal) -> Result<Effect, Refusal> {
        if !is_of_fair_size(&signal) {
            let refusal = Refusal::new(ErrorCode::BadMessage, "the signal is too long");
            return Err(Refusal { peer: Some(to), ..refusal });
        }
        if !self.share_a_swarm(from, to) {
            return Err(Refusal::unknown(to));
        }
        Ok(Effect::Send(to, FromCoord::Signal { from, signal }))
    }

    fn share_a_swarm(&self, one: PeerId, other: PeerId) -> bool {
        let (Some(a), Some(b)) = (self.peers.get(&one), self.peers.get(&other)) else {
            return false;
        };
        let (few, many) = if a.swarms.len() < b.swarms.len() { (a, b) } else { (b, a) };
        one != other && few.swarms.keys().any(|content| many.swarms.contains_key(content))
    }

    fn refuse(&mut self, from: PeerId, refusal: Refusal) -> Vec<Effect> {
        let Refusal { code, message, peer } = refusal;
        let told = Effect::Send(from, FromCoord::Error { code, message, peer });
        match code {
            ErrorCode::Version | ErrorCode::HelloFirst | ErrorCode::RateLimit => {
                self.disconnect(from);
                vec![told, Effect::Close(from, code)]
            }
            ErrorCode::BadMessage | ErrorCode::TooManySwarms | ErrorCode::UnknownPeer => vec![told],
        }
    }
}

fn is_of_fair_size(signal: &Signal) -> bool {
    match signal {
        Signal::Offer { sdp } | Signal::Answer { sdp } => sdp.len() <= MAX_SDP,
        Signal::Candidate { candidate, sdp_mid, .. } => {
            let mid = sdp_mid.as_ref().map_or(0, String::len);
            candidate.len() <= MAX_CANDIDATE && mid <= MAX_SDP_MID
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

    fn unknown(peer: PeerId) -> Self {
        let refusal = Self::new(ErrorCode::UnknownPeer, "no such peer in a swarm of yours");
        Self { peer: Some(peer), ..refusal }
    }
}
