//! Who a viewer is connected to: what the page's mesh and its connections do, as
//! far as it takes time or messages. The worker hears of it in the same order.

mod news;

use dcdn_protocol::message::coord::{ADAPTIVE_WANT, DEFAULT_WANT};
use dcdn_protocol::{ChunkSet, PolicyName};
use dcdn_swarm::{Input, Link};
use smallvec::SmallVec;

use super::Viewer;
use super::holdings::Holdings;
use super::session::Manifest;
use crate::coord::peer_id;
use crate::event::{COORD, ContentNo, EntityId, Join, Signal, Slot, What};
use crate::network::{OPEN_TIMEOUT_MS, Pair};
use crate::run::Mode;
use crate::shard::Ctx;

/// Milliseconds for which a peer that could not be reached, or that went, is not
/// called again: the mesh's own constant.
const FAILURE_MEMORY_MS: u64 = 60_000;

/// Peers remembered for one swarm: the mesh's own constant.
const MAX_NAMED: usize = 32;

/// Milliseconds between two questions for more peers of one swarm.
const FIND_INTERVAL_MS: u64 = 5_000;

/// A peer that we are connected or connecting to.
#[derive(Debug)]
pub struct Member {
    /// Who.
    pub peer: EntityId,
    /// The connection's number, once it is open.
    pub link: Option<Link>,
    /// We made the offer, and it has not been answered by a connection yet.
    pub calling: bool,
    /// Which attempt this is.
    pub attempt: u32,
    /// What lies between.
    pub pair: Pair,
    /// When the connection has sent what was given to it, in microseconds.
    pub free_us: u64,
    /// Bytes sent over it.
    pub sent: u64,
    /// What has been said about contents; of one there is room in here.
    pub topics: SmallVec<[Topic; 1]>,
}

/// What two peers have said about a content.
#[derive(Debug)]
pub struct Topic {
    /// Which.
    pub content: ContentNo,
    /// We asked to be told.
    pub asked: bool,
    /// Since when the peer has wanted to be told.
    pub interested: Option<u64>,
    /// What the peer holds.
    pub holds: Holdings,
    /// When we last told it what we hold.
    pub told_at: u64,
    /// Bounds of what it has not been told of, last included; none if `first > last`.
    pub news: (u32, u32),
}

/// A swarm that we are in.
#[derive(Debug)]
pub struct Swarm {
    /// Of what.
    pub content: ContentNo,
    want: u8,
    named: Vec<(EntityId, Holdings)>,
    unanswered: u32,
    told: Option<u32>,
    /// When other peers may be asked for.
    find_from: u64,
    /// Chunks that the server knows of, and since when.
    reported: (u32, u64),
}

const NO_NEWS: (u32, u32) = (u32::MAX, 0);

impl Member {
    /// What has been said about `content`.
    fn topic(&mut self, content: ContentNo) -> &mut Topic {
        let known = self.topics.iter().position(|topic| topic.content == content);
        let place = known.unwrap_or_else(|| {
            self.topics.push(Topic {
                content,
                asked: false,
                interested: None,
                holds: Holdings::Nothing,
                told_at: 0,
                news: NO_NEWS,
            });
            self.topics.len() - 1
        });
        &mut self.topics[place]
    }

    fn may_hold(&self, content: ContentNo) -> bool {
        let mut topics = self.topics.iter();
        topics.any(|it| it.content == content && (it.interested.is_some() || !it.holds.is_empty()))
    }
}

impl Viewer {
    pub(super) fn member(&mut self, peer: EntityId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.peer == peer)
    }

    pub(super) fn peer_at(&self, link: Link) -> Option<EntityId> {
        self.members.iter().find(|it| it.link == Some(link)).map(|member| member.peer)
    }

    /// Whether there are peers, for whatever content.
    pub(super) fn is_connected(&self) -> bool {
        self.members.iter().any(|member| member.link.is_some())
    }

    fn swarm(&mut self, content: ContentNo) -> Option<&mut Swarm> {
        self.swarms.iter_mut().find(|swarm| swarm.content == content)
    }

    // What the worker says.

    /// Enters a swarm, or asks for more of its members.
    pub(super) fn join_swarm(&mut self, content: ContentNo, want: u8, ctx: &mut Ctx<'_>) {
        if self.swarm(content).is_none() {
            let named = Vec::new();
            self.swarms.push(Swarm {
                content,
                want,
                named,
                unanswered: 0,
                told: None,
                find_from: 0,
                reported: (0, 0),
            });
        }
        let welcomed = self.welcomed;
        if let Some(swarm) = self.swarm(content) {
            swarm.want = want;
            swarm.unanswered += u32::from(welcomed);
        }
        if welcomed {
            self.say_join(content, want, ctx);
        }
        for place in 0..self.members.len() {
            self.ask(place, ctx);
        }
    }

    pub(super) fn find_peers(&mut self, content: ContentNo, ctx: &mut Ctx<'_>) {
        let Some(swarm) = self.swarm(content) else { return };
        if ctx.now >= swarm.find_from {
            swarm.find_from = ctx.now + FIND_INTERVAL_MS;
            let want = peers_wanted(ctx.mode);
            self.join_swarm(content, want, ctx);
        }
    }

    fn say_join(&mut self, content: ContentNo, want: u8, ctx: &mut Ctx<'_>) {
        let have = self.brief(content);
        if let Some(swarm) = self.swarm(content) {
            swarm.reported = (have.count(), ctx.now);
        }
        self.tell_coord(What::Join(Box::new(Join { content, want, have })), ctx);
    }

    // What the coordination server says.

    pub(super) fn on_welcome(&mut self, ctx: &mut Ctx<'_>) {
        self.welcomed = true;
        for place in 0..self.swarms.len() {
            let swarm = &mut self.swarms[place];
            (swarm.unanswered, swarm.told) = (1, None);
            let (content, want) = (swarm.content, swarm.want);
            self.say_join(content, want, ctx);
        }
    }

    pub(super) fn on_named(
        &mut self,
        content: ContentNo,
        peers: Vec<(EntityId, ChunkSet)>,
        ctx: &mut Ctx<'_>,
    ) {
        let Some(swarm) = self.swarm(content) else { return };
        let mut named: Vec<(EntityId, Holdings)> =
            peers.into_iter().map(|(peer, set)| (peer, Holdings::of(&set))).collect();
        for old in std::mem::take(&mut swarm.named) {
            if !named.iter().any(|(peer, _)| *peer == old.0) {
                named.push(old);
            }
        }
        named.truncate(MAX_NAMED);
        swarm.named = named;
        swarm.unanswered = swarm.unanswered.saturating_sub(1);
        self.call_named(content, ctx);
        self.refresh(ctx);
    }

    pub(super) fn on_unknown(&mut self, peer: EntityId, ctx: &mut Ctx<'_>) {
        for swarm in &mut self.swarms {
            swarm.named.retain(|(named, _)| *named != peer);
        }
        if self.member(peer).is_some_and(|member| member.link.is_none()) {
            self.closed(peer, ctx);
        }
    }

    pub(super) fn on_signal(&mut self, peer: EntityId, signal: Signal, ctx: &mut Ctx<'_>) {
        match signal {
            Signal::Offer => self.on_offer(peer, ctx),
            Signal::Accept => {
                let Some(member) = self.member(peer).filter(|it| it.calling) else { return };
                let (pair, attempt) = (member.pair, member.attempt);
                if pair.connects {
                    let opens = ctx.now + u64::from(4 * pair.delay) + ctx.world.net.connect_ms;
                    ctx.timer(&mut self.seq, self.id, opens, What::CallOpened { peer, attempt });
                }
            }
            Signal::Decline => {
                if self.member(peer).is_some_and(|member| member.calling) {
                    self.closed(peer, ctx);
                }
            }
        }
    }

    fn on_offer(&mut self, peer: EntityId, ctx: &mut Ctx<'_>) {
        if !self.welcomed || self.banned.contains(&peer) {
            return;
        }
        let seed = ctx.world.seed;
        match self.member(peer).map(|member| member.calling) {
            // Glare: the offer of the smaller id stands.
            Some(true) if peer_id(seed, self.id) < peer_id(seed, peer) => return,
            Some(true) => self.members.retain(|member| member.peer != peer),
            // It has lost its end of a connection that we still believe in.
            Some(false) => self.closed(peer, ctx),
            None if self.members.len() >= ctx.world.net.max_peers * 2 => {
                self.tell_coord(What::Signal { peer, signal: Signal::Decline }, ctx);
                return;
            }
            None => {}
        }
        self.add_member(peer, false, ctx);
        self.refresh(ctx);
        self.tell_coord(What::Signal { peer, signal: Signal::Accept }, ctx);
    }

    // What connections and peers say.

    pub(super) fn on_call_opened(&mut self, peer: EntityId, attempt: u32, ctx: &mut Ctx<'_>) {
        let Some(member) = self.member(peer) else { return };
        if member.attempt != attempt || member.link.is_some() {
            return;
        }
        let delay = member.pair.delay;
        ctx.send(&mut self.seq, self.id, peer, delay.into(), What::AnswerOpened);
        self.opened(peer, ctx);
    }

    pub(super) fn on_answer_opened(&mut self, peer: EntityId, ctx: &mut Ctx<'_>) {
        match self.member(peer) {
            Some(member) if member.link.is_none() => self.opened(peer, ctx),
            Some(_) => {}
            None => {
                let delay = self.pair_with(peer, ctx).delay;
                ctx.send(&mut self.seq, self.id, peer, delay.into(), What::Bye);
            }
        }
    }

    pub(super) fn on_open_timeout(&mut self, peer: EntityId, attempt: u32, ctx: &mut Ctx<'_>) {
        let Some(member) = self.member(peer) else { return };
        if member.attempt == attempt && member.link.is_none() {
            self.closed(peer, ctx);
        }
    }

    fn opened(&mut self, peer: EntityId, ctx: &mut Ctx<'_>) {
        let link = Link(self.next_link);
        self.next_link += 1;
        self.outcome.links += 1;
        self.failures.retain(|(failed, _)| *failed != peer);
        let Some(place) = self.members.iter().position(|it| it.peer == peer) else { return };
        self.members[place].link = Some(link);
        self.members[place].calling = false;
        self.ask(place, ctx);
        let ready = self.slots_where(|it| it.manifest == Manifest::Ready);
        for slot in ready {
            self.introduce(slot, peer, ctx);
        }
        self.refresh(ctx);
    }

    /// Tells a session's core of an open connection.
    pub(super) fn introduce(&mut self, slot: Slot, peer: EntityId, ctx: &mut Ctx<'_>) {
        let Some(content) = self.session(slot).map(|it| it.content) else { return };
        let Some(link) = self.member(peer).and_then(|it| it.link) else { return };
        let expected = self.swarms.iter().find(|it| it.content == content).and_then(|swarm| {
            swarm.named.iter().find(|(named, _)| *named == peer).map(|(_, holds)| holds.set())
        });
        let seed = ctx.world.seed;
        let input = Input::LinkUp {
            link,
            me: peer_id(seed, self.id),
            peer: peer_id(seed, peer),
            expected: expected.unwrap_or_default(),
        };
        self.feed(slot, input, ctx);
    }

    pub(super) fn on_interested(&mut self, peer: EntityId, content: ContentNo, ctx: &mut Ctx<'_>) {
        let Some(place) = self.members.iter().position(|it| it.peer == peer) else { return };
        self.members[place].topic(content).interested.get_or_insert(ctx.now);
        self.tell_holding(place, content, ctx);
        self.refresh_one(content, ctx);
    }

    pub(super) fn on_have(
        &mut self,
        peer: EntityId,
        content: ContentNo,
        holds: Holdings,
        ctx: &mut Ctx<'_>,
    ) {
        let Some(member) = self.member(peer) else { return };
        let Some(link) = member.link else { return };
        let topic = member.topic(content);
        if !topic.asked {
            return;
        }
        let chunks = holds.set();
        let first_word = topic.holds.is_empty();
        topic.holds = holds;
        let of_content =
            |it: &super::session::Session| it.content == content && it.manifest == Manifest::Ready;
        if let Some(slot) = self.sessions.iter().find(|it| of_content(it)).map(|it| it.slot) {
            self.feed(slot, Input::LinkHas { link, chunks }, ctx);
        }
        if first_word {
            self.refresh_one(content, ctx);
        }
    }

    /// The connection to `peer` is gone, or never came about.
    pub(super) fn closed(&mut self, peer: EntityId, ctx: &mut Ctx<'_>) {
        let Some(place) = self.members.iter().position(|it| it.peer == peer) else { return };
        let member = self.members.remove(place);
        let now = ctx.now;
        self.failures.retain(|(_, at)| now - *at < FAILURE_MEMORY_MS);
        self.failures.push((peer, now));
        self.stop_uploads_to(peer, ctx);
        if let Some(link) = member.link {
            self.network.remove(link);
            self.asked.retain(|asked| asked.link != link);
            for slot in self.slots_where(|_| true) {
                self.feed(slot, Input::LinkDown { link }, ctx);
            }
        }
        for place in 0..self.swarms.len() {
            let content = self.swarms[place].content;
            self.call_named(content, ctx);
        }
        self.refresh(ctx);
    }

    /// The peer sent wrong bytes: it is never connected to again.
    pub(super) fn ban(&mut self, peer: EntityId, ctx: &mut Ctx<'_>) {
        if !self.banned.contains(&peer) {
            self.banned.push(peer);
        }
        if let Some(delay) = self.member(peer).map(|member| member.pair.delay) {
            ctx.send(&mut self.seq, self.id, peer, delay.into(), What::Bye);
        }
        self.closed(peer, ctx);
    }

    // Helpers.

    pub(super) fn tell_coord(&mut self, what: What, ctx: &mut Ctx<'_>) {
        let model = &ctx.world.net.coord;
        let delay = u64::from(self.line.delay + model.delay_ms);
        ctx.send(&mut self.seq, self.id, COORD, delay, what);
    }

    fn add_member(&mut self, peer: EntityId, calling: bool, ctx: &mut Ctx<'_>) {
        self.attempts += 1;
        let attempt = self.attempts;
        let pair = self.pair_with(peer, ctx);
        let timeout = What::OpenTimeout { peer, attempt };
        ctx.timer(&mut self.seq, self.id, ctx.now + OPEN_TIMEOUT_MS, timeout);
        self.members.push(Member {
            peer,
            link: None,
            calling,
            attempt,
            pair,
            free_us: 0,
            sent: 0,
            topics: SmallVec::new(),
        });
    }

    fn pair_with(&self, peer: EntityId, ctx: &Ctx<'_>) -> Pair {
        let (net, seed) = (&ctx.world.net, ctx.world.seed);
        let theirs = net.line(seed, peer).delay;
        net.pair(seed, (self.id, self.line.delay), (peer, theirs))
    }

    /// Calls whom the server named for `content`, while there is room.
    fn call_named(&mut self, content: ContentNo, ctx: &mut Ctx<'_>) {
        if !self.welcomed {
            return;
        }
        let Some(swarm) = self.swarms.iter().find(|it| it.content == content) else { return };
        let named: Vec<EntityId> = swarm.named.iter().map(|(peer, _)| *peer).collect();
        for peer in named {
            if self.members.len() >= ctx.world.net.max_peers {
                return;
            }
            let failed =
                |(who, at): &(EntityId, u64)| *who == peer && ctx.now - *at < FAILURE_MEMORY_MS;
            if peer == self.id
                || self.failures.iter().any(failed)
                || self.banned.contains(&peer)
                || self.members.iter().any(|member| member.peer == peer)
            {
                continue;
            }
            ctx.totals.calls += 1;
            self.add_member(peer, true, ctx);
            self.tell_coord(What::Signal { peer, signal: Signal::Offer }, ctx);
        }
    }

    /// Asks an open peer about every wanted content that it was not asked about.
    fn ask(&mut self, place: usize, ctx: &mut Ctx<'_>) {
        if self.members[place].link.is_none() {
            return;
        }
        for swarm in self.swarms.iter().filter(|swarm| swarm.want > 0) {
            let content = swarm.content;
            let member = &mut self.members[place];
            let (peer, delay) = (member.peer, member.pair.delay);
            let topic = member.topic(content);
            if !std::mem::replace(&mut topic.asked, true) {
                let what = What::Interested(content);
                ctx.send(&mut self.seq, self.id, peer, delay.into(), what);
            }
        }
    }

    /// Tells the worker of every swarm's number of peers that has changed.
    fn refresh(&mut self, ctx: &mut Ctx<'_>) {
        for place in 0..self.swarms.len() {
            let content = self.swarms[place].content;
            self.refresh_one(content, ctx);
        }
    }

    fn refresh_one(&mut self, content: ContentNo, ctx: &mut Ctx<'_>) {
        if !self.welcomed {
            return;
        }
        let Some(place) = self.swarms.iter().position(|it| it.content == content) else { return };
        let swarm = &self.swarms[place];
        if swarm.unanswered > 0 {
            return;
        }
        let serving = |member: &&Member| {
            swarm.named.iter().any(|(named, _)| *named == member.peer) || member.may_hold(content)
        };
        let peers = crate::num::count(self.members.iter().filter(serving).count());
        if swarm.told == Some(peers) {
            return;
        }
        self.swarms[place].told = Some(peers);
        for slot in self.slots_where(|it| it.content == content && it.joined) {
            self.feed(slot, Input::Expecting { peers }, ctx);
        }
    }

    /// How many peers may yet serve, as far as the worker has heard.
    pub(super) fn expecting(&self, content: ContentNo) -> u32 {
        let swarm = self.swarms.iter().find(|swarm| swarm.content == content);
        swarm.and_then(|swarm| swarm.told).unwrap_or(1)
    }
}

/// How many peers a page asks for.
pub fn peers_wanted(mode: &Mode) -> u8 {
    match mode {
        Mode::Swarm(settings) if settings.policy == PolicyName::Adaptive => ADAPTIVE_WANT,
        _ => DEFAULT_WANT,
    }
}
