//! What to do next: who is late, what is missing and from where it should come.

use std::time::Duration;

use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::{ByteRange, Layout};

use super::fetch::look_at;
use super::{Download, Expecting, FindPeers, Manifest, NEVER, at_size};
use crate::network::{Network, Standing};
use crate::origin::MAX_ORIGIN_RUN;
use crate::slots::{Slot, State};
use crate::{Command, Link, OriginRequest, Timestamp};

/// How long the first reader waits for the manifest and for anybody who looks for
/// peers. Longer than either takes on a working site, and all that it costs where
/// coordination hangs or a page has no script tag.
const COORDINATION_PATIENCE: Duration = Duration::from_millis(2000);

/// How long peers that are still connecting are waited for after one has connected.
const STRAGGLER_PATIENCE: Duration = Duration::from_millis(500);

/// The origin is asked this much before it would have to be.
const ORIGIN_MARGIN: Duration = Duration::from_millis(50);

/// Peers that should be at work at once.
const PEERS_AT_WORK: usize = 4;

/// How often those at work are counted.
const PEERS_COUNTED_EVERY: Duration = Duration::from_millis(500);

/// Pause after the first time that more peers were asked for; doubled after each
/// further one.
const FIND_PEERS_PAUSE: Duration = Duration::from_secs(5);

/// Chunks of the usual size ahead of what is new that leave time to look at that with
/// others.
const FAR: u32 = 16;

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
            let (kept, grown) =
                (before - unwanted.len(), self.slots.len() + unwanted.len() > before);
            if grown
                && kept >= at_size(FAR, layout) as usize
                && !self.unsettled
                && !self.holders.is_empty()
            {
                self.look_again = self.look_again.min(look_at(None, now));
            } else {
                self.unsettled |= grown;
            }
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
        if let Some(until) = self.manifest_until(now) {
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
        let request = self.origin.start(range.len(), now);
        self.cold = Some((request, range));
        self.commands.push_back(Command::FetchOrigin { request, range });
    }

    /// Until when the manifest is waited for while nothing else is known, if that is still
    /// ahead.
    fn manifest_until(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.head.is_empty() {
            return None;
        }
        let until = self.peers_until(now)?;
        let until = match self.policy.keeps_deadlines() {
            true => until.min(self.opened_at? + self.slack.fixed),
            false => until,
        };
        (until > now).then_some(until)
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
                let patience = since + self.slack.fixed;
                match known > 0 && self.policy.keeps_deadlines() {
                    true => patience.min(self.last_up.max(since) + STRAGGLER_PATIENCE),
                    false => patience,
                }
            }
        };
        (until > now).then_some(until)
    }

    pub(super) fn deadline(&self, bytes: ByteRange, network: &Network) -> Timestamp {
        self.readers.deadline(bytes, &network.origin, network.line(), self.slack)
    }

    fn look_for_peers(&mut self, now: Timestamp, network: &Network) {
        if self.find_peers.next > now {
            return;
        }
        let searching = self.manifest == Manifest::Ready
            && self.policy.keeps_deadlines()
            && self.expecting != Expecting::Unknown
            && self.peers_until(now).is_none()
            && self.slots.any_missing();
        if !searching {
            return;
        }
        let works = |link: &Link| {
            matches!(network.standing(*link, 0, false, now), Standing::Ready | Standing::Busy)
        };
        let at_work = self.holders.links().filter(works).count();
        if at_work >= PEERS_AT_WORK {
            self.find_peers.next = now + PEERS_COUNTED_EVERY;
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

    /// When the origin must be asked for `bytes` to have them here by `deadline`.
    pub(super) fn origin_by(
        &self,
        deadline: Timestamp,
        bytes: u32,
        network: &Network,
    ) -> Timestamp {
        let lead = (self.origin_takes(bytes, network) + ORIGIN_MARGIN).as_millis();
        Timestamp(deadline.0.saturating_sub(u64::try_from(lead).unwrap_or(u64::MAX)))
    }

    /// How long the origin will probably take for `bytes` if it is asked now.
    pub(super) fn origin_takes(&self, bytes: u32, network: &Network) -> Duration {
        network.origin_takes(bytes, self.origin.outstanding())
    }
}
