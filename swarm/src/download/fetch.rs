//! Where each missing chunk should come from.

use std::collections::VecDeque;
use std::time::Duration;

use dcdn_protocol::{ByteRange, ChunkIndex, Layout};
use rand_core::Rng;

use super::crew::{Crew, usual_size};
use super::{Download, Manifest, NEVER, at_size, narrow};
use crate::holders::ELECTED_TOGETHER;
use crate::network::{Network, Standing};
use crate::policy::{Candidate, Choice, Order, Rank, View};
use crate::readers::READ_AHEAD;
use crate::slots::State;
use crate::{Command, Timestamp};

/// What is due within this time is fetched in order, and what is due later by how
/// few peers hold it.
const IN_ORDER: Duration = Duration::from_millis(8000);

/// A chunk that has nothing to wait for in particular is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(1000);

/// One that others are more pressing than is looked at again after this.
const SOON: Duration = Duration::from_millis(250);

/// What is looked at again within the same so many milliseconds is looked at together.
const LOOKED_AT_TOGETHER_MS: u64 = 500;

/// Bytes that may be thrown away before guesses about peers get cautious.
const WASTE_ALLOWED: u64 = 512 * 1024;

/// And one in so many of the bytes that were of use.
const WASTE_SHARE: u64 = 20;

/// What is the same for every chunk of one plan.
#[derive(Debug)]
struct Outlook {
    now: Timestamp,
    /// See [`View::peers_until`].
    peers_until: Option<Timestamp>,
    /// See [`View::wasteful`].
    wasteful: bool,
    /// See [`Download::keeps_up`].
    keeps_up: bool,
    /// See [`Download::is_behind`].
    behind: bool,
}

impl Download {
    /// Asks for what is missing and has somewhere to come from.
    pub(super) fn fetch(&mut self, layout: Layout, now: Timestamp, network: &mut Network) {
        if !self.slots.any_missing() {
            (self.changed, self.unsettled, self.look_again) = (false, false, NEVER);
            return;
        }
        // Without a change, only those are looked at that are due to be or for whom
        // there is room now.
        let all = std::mem::take(&mut self.changed);
        let due = self.unsettled || self.look_again <= now;
        let idle = !all && !due;
        if idle && network.line_is_full(usual_size(layout)) {
            self.wake_at(self.look_again);
            return;
        }
        let mut crew = Crew::muster(&self.holders, layout, now, network);
        if idle && !crew.has_room() {
            self.wake_at(self.look_again);
            return;
        }
        crew.look_up_those_with_room(&self.holders, &self.slots);
        let (mut first, mut rest) = self.missing(all, &crew, layout, now, network);
        if first.is_empty() && rest.is_empty() {
            self.look_again = NEVER;
            self.settle(now);
            return;
        }
        crew.look_up_the_others(&self.holders, &self.slots);
        let outlook = self.outlook(now, network);
        let mut from_origin = Vec::new();
        loop {
            if first.is_empty() {
                first = std::mem::take(&mut rest);
                // What the fewest peers hold comes first.
                first.make_contiguous().sort_by_cached_key(|place| crew.holding(*place).count());
            }
            let Some(place) = first.pop_front() else { break };
            match self.choose(place, layout, &crew, &outlook, network) {
                Choice::Origin => from_origin.push(self.slots.at(place).chunk),
                Choice::Peer(link) => {
                    let slot = self.slots.at_mut(place);
                    let chunk = slot.chunk;
                    slot.state = State::FromPeer { link, since: now, received: 0 };
                    slot.kept = None;
                    let before = self.before();
                    network.asked(link, layout.size_of(chunk), before, now);
                    self.commands.push_back(Command::RequestChunk { link, chunk });
                    self.note_when_late(chunk, link, layout, now, network);
                    crew.stand(layout, now, network);
                    if !all && !crew.has_room() {
                        first.retain(|place| self.slots.at(*place).look_at <= now);
                        rest.retain(|place| self.slots.at(*place).look_at <= now);
                    }
                }
                Choice::Wait(until) => self.slots.at_mut(place).look_at = look_at(until, now),
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
        self.unsettled = false;
        for slot in self.slots.iter().filter(|slot| slot.state == State::Missing) {
            // It could not be asked for, and is looked at whenever something happens.
            let waits = slot.look_at > now;
            self.unsettled |= !waits;
            let at = if waits { slot.look_at } else { now + LOOK_AGAIN };
            self.look_again = self.look_again.min(at);
        }
        self.wake_at(self.look_again);
    }

    fn outlook(&self, now: Timestamp, network: &Network) -> Outlook {
        Outlook {
            now,
            peers_until: self.peers_until(now),
            wasteful: self.wasted > WASTE_ALLOWED + self.useful / WASTE_SHARE,
            keeps_up: self.keeps_up(now, network),
            behind: self.is_behind(network),
        }
    }

    /// Places of what has to be asked for, in the policy's order, and behind that of
    /// what is not due soon; unless `all` is wanted, of what is due to be looked at and
    /// what those hold who have room. What the store holds is asked of it right away.
    fn missing(
        &mut self,
        all: bool,
        crew: &Crew,
        layout: Layout,
        now: Timestamp,
        network: &Network,
    ) -> (VecDeque<usize>, VecDeque<usize>) {
        let order = self.policy.order();
        let one_reader = self.readers.count() < 2;
        let in_reach = crew.in_reach();
        let stored = self.slots.places(&self.stored);
        let (mut first, mut rest) = (VecDeque::new(), VecDeque::new());
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if slot.state != State::Missing {
                continue;
            }
            let chunk = slot.chunk;
            if stored.contains(place) {
                slot.state = State::FromStore;
                self.commands.push_back(Command::ReadStore { chunk });
                continue;
            }
            if !all && slot.look_at > now && !in_reach.contains(place) {
                continue;
            }
            let is_soon = || {
                let bytes = layout.range_of(chunk);
                let line = network.line();
                self.readers.deadline(bytes, &network.origin, line, self.slack) <= now + IN_ORDER
            };
            // One reader's chunks are due one after another.
            let behind = one_reader && !rest.is_empty();
            if order != Order::Due || (!behind && is_soon()) {
                first.push_back(place);
            } else {
                rest.push_back(place);
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
                let chunk = |place: &usize| self.slots.at(*place).chunk;
                let distance = |place: &usize| self.readers.distance(layout, chunk(place));
                first.make_contiguous().sort_by_cached_key(distance);
            }
            Order::Nearest | Order::Due => {}
        }
        (first, rest)
    }

    fn choose(
        &mut self,
        place: usize,
        layout: Layout,
        crew: &Crew,
        outlook: &Outlook,
        network: &Network,
    ) -> Choice {
        let slot = self.slots.at(place);
        let (now, chunk) = (outlook.now, slot.chunk);
        let (size, bytes) = (layout.size_of(chunk), layout.range_of(chunk));
        if self.can_wait(bytes, network) {
            return Choice::Wait(Some(now + SOON));
        }
        let mut ready: Vec<Candidate> = Vec::new();
        let mut busy = false;
        let mut back_at: Option<Timestamp> = None;
        if self.manifest == Manifest::Ready {
            for (link, standing) in crew.holding(place).filter(|(it, _)| !slot.failed.contains(it))
            {
                match standing {
                    Standing::Ready => {
                        let (takes, proved) = (network.takes(link, size), network.proved(link));
                        ready.push(Candidate { link, takes, proved });
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
        let deadline = if keeps_deadlines { self.deadline(bytes, network) } else { NEVER };
        let missing = size - slot.kept.map_or(0, |kept| kept.min(size));
        let window = narrow(READ_AHEAD / u64::from(layout.chunk_size()));
        let rank = match keeps_deadlines && ready.is_empty() {
            true => {
                let group = chunk.0 / at_size(ELECTED_TOGETHER, layout);
                self.holders.rank(chunk, group, window, |member| !crew.holds(member, place))
            }
            false => Rank { before: 0, members: 1 },
        };
        let choice = self.policy.choose(&View {
            now,
            chunk,
            in_head: !bytes.intersection(self.head).is_empty(),
            peer_failed: !slot.failed.is_empty(),
            origin_ailing: self.origin.ailing(),
            ready: &ready,
            busy,
            resting: back_at.is_some(),
            peers_until: outlook.peers_until,
            wanted_since: slot.since,
            deadline,
            origin_by: self.origin_by(deadline, missing, network),
            origin_takes: self.origin_takes(missing, network),
            rank,
            origin_helps: self.origin_helps(chunk, layout, outlook.keeps_up),
            wasteful: outlook.wasteful,
            behind: outlook.behind,
            dice: self.rng.next_u32(),
        });
        match (choice, back_at) {
            (Choice::Wait(until), Some(at)) => {
                Choice::Wait(Some(until.map_or(at, |until| until.min(at))))
            }
            _ => choice,
        }
    }

    /// Whether a chunk with these bytes is left for later, because what is needed before
    /// it takes all that the visitor's line can do. Without slack the head comes from the
    /// origin as over plain HTTP, and nothing beside it over a line that may be thin.
    pub(super) fn can_wait(&self, bytes: ByteRange, network: &Network) -> bool {
        if !self.policy.keeps_deadlines() || self.origin.ailing() {
            return false;
        }
        if !self.slack.is_zero() {
            return self.readers.can_wait(bytes, network.line());
        }
        let in_head = !bytes.intersection(self.head).is_empty();
        !in_head && self.readers.can_wait(bytes, network.seen_of_line())
    }

    /// Whether bytes come to a player as fast as the origin would bring them. On a line that
    /// may be hardly faster than the film, about as fast is not enough.
    pub(super) fn keeps_up(&self, now: Timestamp, network: &Network) -> bool {
        self.readers.any_player()
            && !self.is_thin(network)
            && network.is_as_fast_as_origin(self.readers.pace(), now)
    }

    /// Bytes of the origin behind which peers may have to wait on the visitor's line; `None`
    /// where not even that is an excuse: without slack an image is never late.
    pub(super) fn before(&self) -> Option<u64> {
        let is_strict = self.slack.is_zero() && !self.readers.any_player();
        (!is_strict).then(|| self.origin.outstanding())
    }

    /// Whether a player's line may be hardly faster than its film.
    pub(super) fn is_thin(&self, network: &Network) -> bool {
        self.readers.any_on_thin_line(network.line())
    }

    /// Whether a player's line is thin, and it has nothing ahead of its playhead yet.
    pub(super) fn is_behind(&self, network: &Network) -> bool {
        self.readers.any_behind(network.line())
    }

    /// Whether asking the origin for `chunk` as well would help: not where peers
    /// [keep up](Self::keeps_up) with it, but for what a reader waits for.
    pub(super) fn origin_helps(&self, chunk: ChunkIndex, layout: Layout, keeps_up: bool) -> bool {
        !keeps_up || self.readers.distance(layout, chunk) == 0
    }
}

/// When a chunk is looked at again that has nothing to do before `until`: what that
/// was reckoned from may change, so not much later than half-way. Then it does not matter
/// when exactly, and those that are due about then are looked at together.
pub(super) fn look_at(until: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let until = until.unwrap_or(now + LOOK_AGAIN).max(Timestamp(now.0 + 1));
    let again = now + LOOK_AGAIN.max((until - now) / 2);
    until.min(Timestamp(again.0.next_multiple_of(LOOKED_AT_TOGETHER_MS)))
}
