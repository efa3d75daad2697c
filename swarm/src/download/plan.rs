//! What to do next: who is late, what is missing and from where it should come.

use std::collections::VecDeque;
use std::time::Duration;

use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::{ByteRange, ChunkIndex, Layout};
use rand_core::Rng;

use super::{Download, Expecting, FindPeers, Manifest, NEVER, narrow};
use crate::holders::Holders;
use crate::network::{Network, Standing};
use crate::origin::MAX_ORIGIN_RUN;
use crate::policy::{Candidate, Choice, Order, Rank, View};
use crate::readers::READ_AHEAD;
use crate::slots::{Slot, State};
use crate::{Command, Link, OriginRequest, Timestamp};

/// How long the first reader waits for the manifest and for anybody who looks for
/// peers. Longer than either takes on a working site, and all that it costs where
/// coordination hangs or a page has no script tag.
const COORDINATION_PATIENCE: Duration = Duration::from_millis(2000);

/// How long peers that are still connecting are waited for once some have connected.
const STRAGGLER_PATIENCE: Duration = Duration::from_millis(500);

/// The origin is asked this much before it would have to be.
const ORIGIN_MARGIN: Duration = Duration::from_millis(50);

/// What is due within this time is fetched in order, and what is due later by how
/// few peers hold it.
const IN_ORDER: Duration = Duration::from_millis(8000);

/// Peers that should be at work at once.
const PEERS_AT_WORK: usize = 4;

/// Pause after the first time that more peers were asked for; doubled after each
/// further one.
const FIND_PEERS_PAUSE: Duration = Duration::from_secs(5);

/// A chunk that has nothing to wait for in particular is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(1000);

/// Bytes that may be thrown away before guesses about peers get cautious.
const WASTE_ALLOWED: u64 = 512 * 1024;

/// And one in so many of the bytes that were of use.
const WASTE_SHARE: u64 = 20;

/// How the peers of a content stand, in the order of [`Holders::iter`].
#[derive(Debug, Default)]
struct Crew(Vec<Standing>);

impl Crew {
    fn has(&self, standing: Standing) -> bool {
        self.0.contains(&standing)
    }

    /// Those that hold `chunk`.
    fn holding(
        &self,
        chunk: ChunkIndex,
        holders: &Holders,
    ) -> impl Iterator<Item = (Link, Standing)> {
        let all = holders.iter().zip(&self.0);
        all.filter(move |((_, it), _)| it.holds(chunk)).map(|((link, _), it)| (link, *it))
    }
}

/// What is the same for every chunk of one plan.
#[derive(Debug)]
struct Outlook {
    now: Timestamp,
    /// See [`View::peers_until`].
    peers_until: Option<Timestamp>,
    /// See [`View::wasteful`].
    wasteful: bool,
    /// To a player bytes come as fast as the origin would bring them.
    keeps_up: bool,
}

impl Download {
    pub(super) fn plan(&mut self, now: Timestamp, network: &mut Network) {
        self.wake = None;
        self.moved |= self.readers.expire(now);
        if let Some(at) = self.readers.expires_at() {
            self.wake_at(at);
        }
        let Some(layout) = self.layout else {
            self.plan_cold(now, network);
            return;
        };
        if std::mem::take(&mut self.moved) {
            let wanted = self.readers.wanted(layout);
            let before = self.slots.len();
            let unwanted = self.slots.want(&wanted, now);
            self.unsettled |= self.slots.len() + unwanted.len() > before;
            self.let_go(unwanted, now, network);
        }
        if self.late_from <= now {
            self.late_from = NEVER;
            self.give_up_on_slow_peers(now, network);
            if self.policy.keeps_deadlines() {
                self.rescue_late_chunks(layout, now, network);
            }
        }
        self.fetch(layout, now, network);
        self.look_for_peers(now, network);
        self.wake_at(self.late_from);
    }

    /// Nothing is known of the content: only the origin can say what it is,
    /// unless the manifest does.
    fn plan_cold(&mut self, now: Timestamp, network: &mut Network) {
        let Some(start) = self.readers.first_position() else {
            for request in self.origin.requests() {
                self.cancel_origin(request, network);
            }
            return;
        };
        if self.origin.in_flight() > 0 {
            return;
        }
        if self.origin.given_up() {
            self.fail();
            return;
        }
        if let Some(pause) = self.origin.pause(now) {
            self.wake_at(pause);
            return;
        }
        let patience = self.head.is_empty().then(|| self.peers_until(now));
        if let Some(until) = patience.flatten() {
            self.wake_at(until);
            return;
        }
        let size = u64::from(DEFAULT_CHUNK_SIZE);
        let bytes = match self.head.len() {
            0 => u64::from(MAX_ORIGIN_RUN) * size,
            head => head.next_multiple_of(size),
        };
        let first = start / size * size;
        let range = ByteRange::new(first, first.saturating_add(bytes));
        let request = self.origin.start(now);
        self.cold = Some((request, range));
        self.commands.push_back(Command::FetchOrigin { request, range });
    }

    /// The content's layout is known now: these are the chunks that the request made
    /// without it will bring.
    pub(super) fn place_cold_request(&mut self, layout: Layout) {
        let Some((request, range)) = self.cold.take() else { return };
        let range = range.intersection(ByteRange::new(0, layout.length()));
        self.slots.want(&[layout.covering(range)], self.opened_at.unwrap_or_default());
        for slot in self.slots.iter_mut() {
            let bytes = layout.range_of(slot.chunk);
            if bytes.intersection(range) == bytes {
                slot.state = State::FromOrigin(request);
            }
        }
    }

    fn let_go(&mut self, unwanted: Vec<Slot>, now: Timestamp, network: &mut Network) {
        let mut requests: Vec<OriginRequest> = Vec::new();
        for slot in unwanted {
            let chunk = slot.chunk;
            if slot.kept.is_some() {
                self.commands.push_back(Command::Release { chunk });
            }
            match slot.state {
                State::Ready => self.commands.push_back(Command::Release { chunk }),
                State::FromPeer { link, since, received } => {
                    network.answered(link, self.size_of(chunk));
                    network.fell_short(link, since, now);
                    self.wasted += u64::from(received);
                    self.commands.push_back(Command::CancelChunk { link, chunk });
                }
                State::Salvaging { link, .. } => {
                    network.answered(link, self.size_of(chunk));
                    self.abandoned.insert(chunk);
                }
                State::FromOrigin(request) if !requests.contains(&request) => {
                    requests.push(request);
                }
                State::FromOrigin(_) | State::FromStore | State::Missing => {}
            }
        }
        if self.slots.len() == 0 {
            requests = self.origin.requests();
        }
        // A request goes on as long as anything that is still to come is wanted.
        for request in requests {
            if !self.slots.iter().any(|slot| slot.state == State::FromOrigin(request)) {
                self.cancel_origin(request, network);
            }
        }
    }

    pub(super) fn cancel_origin(&mut self, request: OriginRequest, network: &mut Network) {
        self.origin.end(request, &mut network.origin);
        // There is room for another.
        self.changed = true;
        self.commands.push_back(Command::CancelOrigin { request });
    }

    fn fetch(&mut self, layout: Layout, now: Timestamp, network: &mut Network) {
        if !self.slots.any_missing() {
            (self.changed, self.unsettled, self.look_again) = (false, false, NEVER);
            return;
        }
        // Without a change, only those are looked at that are due to be or for whom
        // there is room now.
        let mut crew = Crew::default();
        self.muster(&mut crew, layout, now, network);
        let all = std::mem::take(&mut self.changed);
        let due = self.unsettled || self.look_again <= now;
        if !all && !due && !crew.has(Standing::Ready) {
            self.wake_at(self.look_again);
            return;
        }
        let (mut first, mut rest) = self.missing(all, &crew, layout, now, network);
        let outlook = self.outlook(now, network);
        let mut from_origin: Vec<ChunkIndex> = Vec::new();
        loop {
            if first.is_empty() {
                first = std::mem::take(&mut rest);
                self.sort_by_rarity(&mut first);
            }
            let Some(chunk) = first.pop_front() else { break };
            match self.choose(chunk, layout, &crew, &outlook, network) {
                Choice::Origin => from_origin.push(chunk),
                Choice::Peer(link) => {
                    network.asked(link, layout.size_of(chunk), now);
                    self.commands.push_back(Command::RequestChunk { link, chunk });
                    self.note_when_late(chunk, link, layout, now, network);
                    if let Some(slot) = self.slots.get_mut(chunk) {
                        slot.state = State::FromPeer { link, since: now, received: 0 };
                        slot.kept = None;
                    }
                    self.muster(&mut crew, layout, now, network);
                    if !all && !crew.has(Standing::Ready) {
                        let is_due = |it: &ChunkIndex| self.is_due_to_be_looked_at(*it, now);
                        first.retain(is_due);
                        rest.retain(is_due);
                    }
                }
                Choice::Wait(until) => {
                    if let Some(slot) = self.slots.get_mut(chunk) {
                        slot.look_at = look_at(until, now);
                    }
                }
            }
        }
        self.look_again = NEVER;
        if !from_origin.is_empty() {
            from_origin.sort_unstable();
            self.fetch_from_origin(from_origin, layout, now, network);
        }
        self.settle(now);
    }

    /// Notes when which chunk has to be looked at again.
    fn settle(&mut self, now: Timestamp) {
        let missing = self.slots.iter().filter(|slot| slot.state == State::Missing);
        self.unsettled = false;
        for slot in missing {
            // It could not be asked for, and is looked at whenever something happens.
            let waits = slot.look_at > now;
            self.unsettled |= !waits;
            let at = if waits { slot.look_at } else { now + LOOK_AGAIN };
            self.look_again = self.look_again.min(at);
        }
        self.wake_at(self.look_again);
    }

    /// Finds out how each peer stands for a request of the usual size.
    fn muster(&self, crew: &mut Crew, layout: Layout, now: Timestamp, network: &Network) {
        let size = usual_size(layout);
        let full = network.line_is_full(size);
        crew.0.clear();
        crew.0.extend(self.holders.links().map(|link| network.standing(link, size, full, now)));
    }

    fn is_due_to_be_looked_at(&self, chunk: ChunkIndex, now: Timestamp) -> bool {
        self.slots.get(chunk).is_some_and(|slot| slot.look_at <= now)
    }

    fn outlook(&self, now: Timestamp, network: &Network) -> Outlook {
        Outlook {
            now,
            peers_until: self.peers_until(now),
            wasteful: self.wasted > WASTE_ALLOWED + self.useful / WASTE_SHARE,
            keeps_up: self.readers.any_player() && network.is_as_fast_as_origin(now),
        }
    }

    /// What has to be asked for, in the policy's order, and behind that what is not
    /// due soon; unless `all` is wanted, what is due to be looked at and what those
    /// hold who have room. What the store holds is asked of it right away.
    fn missing(
        &mut self,
        all: bool,
        crew: &Crew,
        layout: Layout,
        now: Timestamp,
        network: &Network,
    ) -> (VecDeque<ChunkIndex>, VecDeque<ChunkIndex>) {
        let order = self.policy.order();
        let one_reader = self.readers.count() < 2;
        let (mut first, mut rest) = (VecDeque::new(), VecDeque::new());
        for slot in self.slots.iter_mut().filter(|slot| slot.state == State::Missing) {
            let chunk = slot.chunk;
            if self.stored.contains(chunk) {
                slot.state = State::FromStore;
                self.commands.push_back(Command::ReadStore { chunk });
                continue;
            }
            let has_room = |it: (Link, Standing)| it.1 == Standing::Ready;
            if !all && slot.look_at > now && !crew.holding(chunk, &self.holders).any(has_room) {
                continue;
            }
            let is_soon = || {
                let bytes = layout.range_of(chunk);
                self.readers.deadline(bytes, &network.origin, self.slack) <= now + IN_ORDER
            };
            // One reader's chunks are due one after another.
            let behind = one_reader && !rest.is_empty();
            if order != Order::Due || (!behind && is_soon()) {
                first.push_back(chunk);
            } else {
                rest.push_back(chunk);
            }
        }
        match order {
            Order::Random => {
                for last in (1..first.len()).rev() {
                    // The modulo's bias does not matter for so few.
                    first.swap(last, self.rng.next_u32() as usize % (last + 1));
                }
            }
            Order::Nearest | Order::Due if !one_reader => {
                let distance = |chunk: &ChunkIndex| self.readers.distance(layout, *chunk);
                first.make_contiguous().sort_by_cached_key(distance);
            }
            Order::Nearest | Order::Due => {}
        }
        (first, rest)
    }

    /// What the fewest peers hold comes first.
    fn sort_by_rarity(&self, chunks: &mut VecDeque<ChunkIndex>) {
        let held = |chunk: &ChunkIndex| self.holders.count_of(*chunk);
        chunks.make_contiguous().sort_by_cached_key(held);
    }

    fn choose(
        &mut self,
        chunk: ChunkIndex,
        layout: Layout,
        crew: &Crew,
        outlook: &Outlook,
        network: &Network,
    ) -> Choice {
        let Some(slot) = self.slots.get(chunk) else { return Choice::Wait(None) };
        let now = outlook.now;
        let size = layout.size_of(chunk);
        let mut ready: Vec<Candidate> = Vec::new();
        let mut busy = false;
        let mut back_at: Option<Timestamp> = None;
        if self.manifest == Manifest::Ready {
            let holding = crew.holding(chunk, &self.holders);
            for (link, standing) in holding.filter(|(link, _)| !slot.failed.contains(link)) {
                match standing {
                    Standing::Ready => {
                        ready.push(Candidate { link, takes: network.takes(link, size) });
                    }
                    Standing::Busy => busy = true,
                    Standing::Resting { until } => {
                        back_at = Some(back_at.map_or(until, |at| at.min(until)));
                    }
                    Standing::Banned => {}
                }
            }
        }
        let keeps_deadlines = self.policy.keeps_deadlines();
        let deadline = match keeps_deadlines {
            true => self.deadline(layout.range_of(chunk), network),
            false => NEVER,
        };
        let missing = size - slot.kept.map_or(0, |kept| kept.min(size));
        let window = narrow(READ_AHEAD / u64::from(layout.chunk_size()));
        let rank = match keeps_deadlines && ready.is_empty() {
            true => self.holders.rank(chunk, window),
            false => Rank { before: 0, members: 1 },
        };
        let choice = self.policy.choose(&View {
            now,
            chunk,
            in_head: !layout.range_of(chunk).intersection(self.head).is_empty(),
            peer_failed: !slot.failed.is_empty(),
            origin_ailing: self.origin.ailing(),
            ready: &ready,
            busy,
            resting: back_at.is_some(),
            peers_until: outlook.peers_until,
            wanted_since: slot.since,
            deadline,
            origin_by: origin_by(deadline, missing, network),
            origin_takes: network.origin_takes(missing),
            rank,
            origin_helps: !outlook.keeps_up || self.readers.distance(layout, chunk) == 0,
            wasteful: outlook.wasteful,
            dice: self.rng.next_u32(),
        });
        match (choice, back_at) {
            (Choice::Wait(until), Some(at)) => {
                Choice::Wait(Some(until.map_or(at, |until| until.min(at))))
            }
            _ => choice,
        }
    }

    /// Whether asking the origin for `chunk` as well would help: not a player to which
    /// bytes come as fast as the origin would bring them, but for those that it waits
    /// for.
    pub(super) fn origin_helps(
        &self,
        chunk: ChunkIndex,
        layout: Layout,
        now: Timestamp,
        network: &Network,
    ) -> bool {
        !self.readers.any_player()
            || !network.is_as_fast_as_origin(now)
            || self.readers.distance(layout, chunk) == 0
    }

    /// Until when it is worth waiting for peers that have not said yet what they hold.
    pub(super) fn peers_until(&self, now: Timestamp) -> Option<Timestamp> {
        let opened_at = self.opened_at?;
        let until = match (self.manifest, self.expecting) {
            (Manifest::Unavailable, _) | (_, Expecting::Nobody) => return None,
            (Manifest::Pending, _) | (_, Expecting::Unknown) => opened_at + COORDINATION_PATIENCE,
            (Manifest::Ready, Expecting::Peers { count, since }) => {
                let known = self.holders.known();
                if known >= count {
                    return None;
                }
                let patience = match known > 0 && self.policy.keeps_deadlines() {
                    true => STRAGGLER_PATIENCE.min(self.slack.fixed),
                    false => self.slack.fixed,
                };
                since + patience
            }
        };
        (until > now).then_some(until)
    }

    pub(super) fn deadline(&self, bytes: ByteRange, network: &Network) -> Timestamp {
        self.readers.deadline(bytes, &network.origin, self.slack)
    }

    fn look_for_peers(&mut self, now: Timestamp, network: &Network) {
        let searching = self.manifest == Manifest::Ready
            && self.policy.keeps_deadlines()
            && self.expecting != Expecting::Unknown
            && self.peers_until(now).is_none()
            && self.slots.any_missing();
        if !searching || self.find_peers.next > now {
            return;
        }
        let works = |link: &Link| {
            matches!(network.standing(*link, 0, false, now), Standing::Ready | Standing::Busy)
        };
        let at_work = self.holders.links().filter(works).count();
        if at_work >= PEERS_AT_WORK {
            return;
        }
        let FindPeers { asked, .. } = self.find_peers;
        let next = now + FIND_PEERS_PAUSE * 2u32.pow(asked.min(4));
        self.find_peers = FindPeers { next, asked: asked + 1 };
        // The answer to the first wish for peers has just come.
        if asked > 0 {
            self.commands.push_back(Command::FindPeers);
        }
    }

    pub(super) fn fail(&mut self) {
        if !self.reported_failure {
            self.reported_failure = true;
            self.commands.push_back(Command::Fail);
        }
    }

    pub(super) fn wake_at(&mut self, at: Timestamp) {
        if at == NEVER {
            return;
        }
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// Bytes of a chunk, unless it is a short last one.
pub(super) fn usual_size(layout: Layout) -> u32 {
    narrow(layout.length()).min(layout.chunk_size())
}

/// When a chunk is looked at again that has nothing to do before `until`: what that
/// was reckoned from may change, so not much later than half-way.
fn look_at(until: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let until = until.unwrap_or(now + LOOK_AGAIN).max(Timestamp(now.0 + 1));
    until.min(now + LOOK_AGAIN.max((until - now) / 2))
}

/// When the origin must be asked for `bytes` to have them here by `deadline`.
pub(super) fn origin_by(deadline: Timestamp, bytes: u32, network: &Network) -> Timestamp {
    let lead = (network.origin_takes(bytes) + ORIGIN_MARGIN).as_millis();
    Timestamp(deadline.0.saturating_sub(u64::try_from(lead).unwrap_or(u64::MAX)))
}
