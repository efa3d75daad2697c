//! Who is connected to whom, and why: the page's memory of swarms and peers.
//!
//! Pure: what happens goes in as method calls, what to do comes out of
//! [`Mesh::poll`]. Times are milliseconds of one monotonic clock and are passed in.

mod member;
mod news;
mod swarm;

use std::collections::VecDeque;

use dcdn_protocol::message::coord::{MAX_HELD_RUNS, Recommended, ToCoord};
use dcdn_protocol::message::peer::PeerMessage;
use dcdn_protocol::message::shim::ToWorker;
use dcdn_protocol::{ChunkSet, ContentId, PeerId, VERSION};
use vecmap::{VecMap, VecSet};

use self::member::Member;
use self::swarm::Swarm;

/// Milliseconds for which a peer that could not be reached, or that went, is not
/// called again. It may still call us.
pub const FAILURE_MEMORY_MS: f64 = 60_000.0;

/// Contents that one peer may be interested in: bounds what a stranger makes us
/// remember and repeat.
const MAX_INTERESTS: usize = 1024;

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Open a connection to the peer and make an offer.
    Call(PeerId),
    /// Close the connection to the peer, if there is one.
    HangUp(PeerId),
    /// Send to the peer, whose channel is open.
    Tell(PeerId, PeerMessage),
    /// Send to the worker.
    Worker(ToWorker),
    /// Send to the coordination server, whose socket is open.
    Coord(ToCoord),
}

/// What to do with an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferVerdict {
    /// Answer it, on a new connection in place of any there is.
    Accept,
    /// We have called too, and our offer stands.
    OursStands,
    /// There is no room for one more: say so.
    Full,
    /// From ourselves, or from a peer that is banned: not worth an answer.
    Ignore,
}

/// Whether the coordination server can be talked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coordination {
    /// Not known yet.
    #[default]
    Pending,
    /// The socket is open and we have said hello: what is said now is heard after it.
    Greeting,
    /// The server has answered, and this is our id on the socket.
    Up(PeerId),
    /// There is no socket.
    Down,
}

impl Coordination {
    /// Whether messages reach the server.
    fn is_open(self) -> bool {
        matches!(self, Self::Greeting | Self::Up(_))
    }
}

/// Numbers for `dcdn.diagnose()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections attempted, ours and theirs.
    pub tried: u32,
    /// Connections that never opened.
    pub failed: u32,
    /// Peers that sent wrong bytes.
    pub banned: u32,
}

/// The memory. One per page.
///
/// What a page has few of is kept in vectors, each some 8 KB less than a tree in
/// what the visitor downloads; what a stranger can make many of is kept in trees.
#[derive(Debug)]
pub struct Mesh {
    max_peers: usize,
    coordination: Coordination,
    swarms: VecMap<ContentId, Swarm>,
    holdings: VecMap<ContentId, ChunkSet>,
    members: VecMap<PeerId, Member>,
    failures: VecMap<PeerId, f64>,
    banned: VecSet<PeerId>,
    counts: Counts,
    wake: Option<f64>,
    commands: VecDeque<Command>,
}

impl Mesh {
    /// An empty mesh for a page that calls while it has fewer than `max_peers`
    /// connections. It answers twice as many, or a page whose connections are all
    /// its own calls could serve nobody who finds it.
    pub fn new(max_peers: u32) -> Self {
        Self {
            max_peers: max_peers as usize,
            coordination: Coordination::default(),
            swarms: VecMap::new(),
            holdings: VecMap::new(),
            members: VecMap::new(),
            failures: VecMap::new(),
            banned: VecSet::new(),
            counts: Counts::default(),
            wake: None,
            commands: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The site's limit has changed. Open connections stay.
    pub fn set_max_peers(&mut self, max_peers: u32) {
        self.max_peers = max_peers as usize;
    }

    /// Whether the coordination server can be talked to.
    pub fn coordination(&self) -> Coordination {
        self.coordination
    }

    /// Open connections.
    pub fn open_count(&self) -> u32 {
        count(self.members.values().filter(|member| member.open))
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether `chunks` of `content` that the worker has announced hold a chunk.
    pub fn holding(&self, content: ContentId) -> Option<&ChunkSet> {
        self.holdings.get(&content)
    }

    /// Whether peers are wanted for `content`, and not only to be found by them.
    pub fn wants(&self, content: ContentId) -> bool {
        self.swarms.get(&content).is_some_and(|swarm| swarm.want > 0)
    }

    // What the worker says.

    /// The worker wants to be in the swarm of `content`.
    pub fn join(&mut self, content: ContentId, want: u8, now: f64) {
        let swarm = self.swarms.entry(content).or_default();
        swarm.want = want;
        swarm.unanswered += 1;
        self.enter(content, now);
        for peer in self.open_peers() {
            self.ask(peer);
        }
    }

    /// The worker has no more interest in `content`.
    pub fn leave(&mut self, content: ContentId) {
        if self.swarms.remove(&content).is_none() {
            return;
        }
        for member in self.members.values_mut() {
            member.asked.remove(&content);
            member.holds.remove(&content);
        }
        if self.coordination.is_open() {
            self.push(Command::Coord(ToCoord::Leave { content }));
        }
    }

    /// The store holds `chunks` of `content`, and no others.
    pub fn have(&mut self, content: ContentId, chunks: ChunkSet, now: f64) {
        if self.holdings.get(&content) == Some(&chunks) {
            return;
        }
        if chunks.is_empty() {
            self.holdings.remove(&content);
        } else {
            self.holdings.insert(content, chunks);
        }
        self.tell_server(content, now);
        self.tell_peers(content, now);
    }

    /// The peer sent wrong bytes: it is never connected to again.
    pub fn ban(&mut self, peer: PeerId, now: f64) {
        if self.banned.insert(peer) {
            self.counts.banned += 1;
        }
        self.push(Command::HangUp(peer));
        self.closed(peer, now);
    }

    /// A worker has answered a handshake and may know nothing: say it all again.
    pub fn restate(&mut self) {
        let mut news = Vec::new();
        for (&peer, member) in self.members.iter().filter(|(_, member)| member.open) {
            news.push(self.peer_up(peer, member));
            for (&content, chunks) in &member.holds {
                news.push(ToWorker::PeerHas { peer, content, chunks: chunks.clone() });
            }
        }
        if self.coordination == Coordination::Down {
            news.push(ToWorker::NoPeers);
        }
        self.commands.extend(news.into_iter().map(Command::Worker));
        for swarm in self.swarms.values_mut() {
            swarm.told = None;
        }
        self.refresh();
    }

    // What the coordination server says.

    /// The socket is open, and we have said hello. Swarms are joined without waiting for the
    /// answer: that is a round trip less until there are peers.
    pub fn greeting(&mut self, now: f64) {
        self.coordination = Coordination::Greeting;
        for swarm in self.swarms.values_mut() {
            swarm.unanswered = 1;
            swarm.told = None;
        }
        let joined: Vec<ContentId> = self.swarms.keys().copied().collect();
        for content in joined {
            self.enter(content, now);
        }
    }

    /// The server has answered, and `me` is our id on the socket.
    pub fn welcomed(&mut self, me: PeerId) {
        self.coordination = Coordination::Up(me);
    }

    /// There is no socket. Connections that are open stay.
    pub fn unreachable(&mut self) {
        if self.coordination == Coordination::Down {
            return;
        }
        self.coordination = Coordination::Down;
        self.push(Command::Worker(ToWorker::NoPeers));
    }

    /// The server's answer to a join.
    pub fn named(&mut self, content: ContentId, peers: Vec<Recommended>, now: f64) {
        let Some(swarm) = self.swarms.get_mut(&content) else { return };
        let brief = |named: Recommended| Recommended {
            expected: named.expected.first_runs(MAX_HELD_RUNS),
            ..named
        };
        swarm.named(peers.into_iter().map(brief).collect());
        swarm.unanswered = swarm.unanswered.saturating_sub(1);
        self.call_named(content, now);
        self.refresh();
    }

    /// The server lets this socket join no more swarms, and does not say which
    /// join that was about: those without an answer get none.
    pub fn refused_swarms(&mut self) {
        for swarm in self.swarms.values_mut() {
            swarm.unanswered = 0;
        }
        self.refresh();
    }

    /// The server knows no such peer. An attempt to connect to it has failed.
    pub fn unknown(&mut self, peer: PeerId, now: f64) {
        for swarm in self.swarms.values_mut() {
            swarm.forget(peer);
        }
        if self.members.get(&peer).is_some_and(|member| !member.open) {
            self.push(Command::HangUp(peer));
            self.closed(peer, now);
        }
    }

    /// A peer has made an offer.
    pub fn offered(&mut self, peer: PeerId, now: f64) -> OfferVerdict {
        let Coordination::Up(me) = self.coordination else { return OfferVerdict::Ignore };
        if peer == me || self.banned.contains(&peer) {
            return OfferVerdict::Ignore;
        }
        match self.members.get(&peer) {
            // Glare: the offer of the smaller id stands.
            Some(member) if member.calling && me < peer => return OfferVerdict::OursStands,
            Some(member) if member.calling => {}
            // It has lost its end of a connection that we still believe in.
            Some(_) => self.closed(peer, now),
            None if self.members.len() >= self.max_peers * 2 => return OfferVerdict::Full,
            None => {}
        }
        self.counts.tried += 1;
        self.members.insert(peer, Member::new(me));
        self.refresh();
        OfferVerdict::Accept
    }

    // What connections and peers say.

    /// The channel to `peer` is open.
    pub fn opened(&mut self, peer: PeerId) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        member.open = true;
        member.calling = false;
        self.failures.remove(&peer);
        self.push(Command::Tell(peer, PeerMessage::Hello { version: VERSION }));
        self.ask(peer);
        let up = self.members.get(&peer).map(|member| self.peer_up(peer, member));
        self.commands.extend(up.map(Command::Worker));
        self.refresh();
    }

    /// The connection to `peer` is gone, or never came about.
    pub fn closed(&mut self, peer: PeerId, now: f64) {
        let Some(member) = self.members.remove(&peer) else { return };
        self.failures.retain(|_, at| now - *at < FAILURE_MEMORY_MS);
        self.failures.insert(peer, now);
        if member.open {
            self.push(Command::Worker(ToWorker::PeerDown { peer }));
        } else {
            self.counts.failed += 1;
        }
        let wanted: Vec<ContentId> = self.swarms.keys().copied().collect();
        for content in wanted {
            self.call_named(content, now);
        }
        self.refresh();
    }

    /// `peer` wants to know what we hold of `content`.
    pub fn interested(&mut self, peer: PeerId, content: ContentId, now: f64) {
        self.answer_interest(peer, content, now);
        self.refresh_one(content);
    }

    /// `peer` holds `chunks` of `content`.
    pub fn peer_has(&mut self, peer: PeerId, content: ContentId, chunks: ChunkSet, now: f64) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        if !member.asked.contains(&content) {
            return;
        }
        member.holds.insert(content, chunks.clone());
        self.push(Command::Worker(ToWorker::PeerHas { peer, content, chunks }));
        // It may have lost what we did not tell it of because it had it.
        self.tell_peer(peer, content, now, 0.0);
        self.refresh_one(content);
    }

    /// The page goes away: every connection ends. The swarms stay, for when it
    /// comes back out of the back/forward cache.
    pub fn hang_up_all(&mut self) {
        for peer in std::mem::take(&mut self.members).into_keys() {
            self.push(Command::HangUp(peer));
        }
        self.coordination = Coordination::Pending;
    }

    // Helpers.

    fn push(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    /// What the worker hears of an open connection.
    fn peer_up(&self, peer: PeerId, member: &Member) -> ToWorker {
        let expected = self.swarms.iter().filter_map(|(content, swarm)| {
            let expected = swarm.expected_of(peer)?.clone();
            (!member.holds.contains_key(content)).then_some((*content, expected))
        });
        ToWorker::PeerUp { peer, me: member.me, expected: expected.collect() }
    }

    fn open_peers(&self) -> Vec<PeerId> {
        self.members.iter().filter(|(_, member)| member.open).map(|(peer, _)| *peer).collect()
    }

    /// Calls whom the server named for `content`, while there is room.
    fn call_named(&mut self, content: ContentId, now: f64) {
        let Coordination::Up(me) = self.coordination else { return };
        let Some(swarm) = self.swarms.get(&content) else { return };
        for peer in swarm.peers() {
            if self.members.len() >= self.max_peers {
                return;
            }
            let recently_failed =
                self.failures.get(&peer).is_some_and(|at| now - at < FAILURE_MEMORY_MS);
            if peer == me
                || recently_failed
                || self.banned.contains(&peer)
                || self.members.contains_key(&peer)
            {
                continue;
            }
            self.members.insert(peer, Member { calling: true, ..Member::new(me) });
            self.counts.tried += 1;
            self.commands.push_back(Command::Call(peer));
        }
    }

    /// Asks an open peer about every wanted content that it was not asked about.
    /// Whoever named it, it may hold more than what it was named for.
    fn ask(&mut self, peer: PeerId) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        for (&content, _) in self.swarms.iter().filter(|(_, swarm)| swarm.want > 0) {
            if member.asked.insert(content) {
                self.commands.push_back(Command::Tell(peer, PeerMessage::Interested { content }));
            }
        }
    }

    /// Tells the worker of every swarm's number of peers that has changed.
    fn refresh(&mut self) {
        let contents: Vec<ContentId> = self.swarms.keys().copied().collect();
        for content in contents {
            self.refresh_one(content);
        }
    }

    fn refresh_one(&mut self, content: ContentId) {
        let Some(swarm) = self.swarms.get_mut(&content).filter(|swarm| swarm.unanswered == 0)
        else {
            return;
        };
        if !matches!(self.coordination, Coordination::Up(_)) {
            return;
        }
        let serving = |(peer, member): &(&PeerId, &Member)| {
            member.may_hold(content) || swarm.peers().any(|named| named == **peer)
        };
        let peers = count(self.members.iter().filter(serving));
        // Of a content of which nothing is wanted the worker hears once that there is a server.
        if swarm.told.is_none() || (swarm.want > 0 && swarm.told != Some(peers)) {
            swarm.told = Some(peers);
            self.push(Command::Worker(ToWorker::Expecting { content, peers }));
        }
    }
}

fn count(items: impl Iterator) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
