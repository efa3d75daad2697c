//! The worker's part: commands carried out, the store, the manifest, readers.

use dcdn_protocol::message::peer::ChunkFailReason;
use dcdn_protocol::{ByteRange, ChunkIndex, ChunkSet};
use dcdn_swarm::{Command, Input, OriginRequest, ReaderId};

use super::mesh::peers_wanted;
use super::session::{Filled, Flight, Manifest, Reader};
use super::{Later, Viewer};
use crate::event::{ContentNo, EntityId, Fetch, Slot, What};
use crate::network::STORE_MS;
use crate::shard::Ctx;

/// How long a session outlives its last reader, in milliseconds: the worker's own.
const LINGER_MS: u64 = 15_000;

/// How long a manifest waits for the origin's headers: the worker's own.
const ORIGIN_PATIENCE_MS: u64 = 1_000;

impl Viewer {
    pub(super) fn carry_out(&mut self, slot: Slot, command: &Command, ctx: &mut Ctx<'_>) {
        match *command {
            Command::FetchOrigin { request, range } => self.fetch(slot, request, range, ctx),
            Command::CancelOrigin { request } => {
                let Some(session) = self.session(slot) else { return };
                let before = session.flights.len();
                session.flights.retain(|flight| flight.request != request);
                if session.flights.len() < before {
                    self.tell_origin(What::CancelFetch { slot, request: request.0 }, ctx);
                }
            }
            Command::ReadStore { chunk } => {
                let at = ctx.now + STORE_MS;
                ctx.timer(&mut self.seq, self.id, at, What::StoreRead { slot, chunk });
            }
            Command::RequestChunk { link, chunk } => {
                if !self.request_chunk(slot, link, chunk, ctx) {
                    let reason = ChunkFailReason::Broken;
                    let failed = Input::LinkFailed { link, chunk, reason };
                    self.later.push_back(Later::Feed(slot, failed));
                }
            }
            Command::CancelChunk { link, chunk } => {
                self.take_back(slot, link, chunk, ctx);
            }
            Command::Salvage { link, chunk } => {
                let Some(asked) = self.take_back(slot, link, chunk, ctx) else { return };
                let received = asked.whole_pieces(ctx.now);
                let Some(session) = self.session(slot) else { return };
                let kept = session.salvage(chunk, received, link, asked.bad);
                let received = if kept { received } else { 0 };
                let answer = Input::Salvaged { link, chunk, received };
                self.later.push_back(Later::Feed(slot, answer));
            }
            Command::FindPeers => {
                let Some(content) = self.session(slot).map(|it| it.content) else { return };
                self.find_peers(content, ctx);
            }
            Command::Ban { link } => self.later.push_back(Later::Ban(link)),
            Command::Release { chunk } => {
                if let Some(session) = self.session(slot) {
                    session.release(chunk);
                }
            }
            Command::Fail => self.fail(slot, ctx),
        }
    }

    /// Does what was put off. False if there was nothing.
    pub(super) fn do_later(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let mut any = false;
        while let Some(later) = self.later.pop_front() {
            any = true;
            match later {
                Later::Feed(slot, input) => self.feed(slot, input, ctx),
                Later::Adopt(slot) => self.adopt(slot, ctx),
                Later::Ban(link) => {
                    if let Some(peer) = self.peer_at(link) {
                        self.ban(peer, ctx);
                    }
                }
            }
        }
        any
    }

    // The origin.

    pub(super) fn fetch(
        &mut self,
        slot: Slot,
        request: OriginRequest,
        range: ByteRange,
        ctx: &mut Ctx<'_>,
    ) {
        let (fresh, rate, delay) = (!self.warm, self.line.down, self.origin_delay(ctx));
        let ranges = ctx.world.net.origin.ranges;
        let Some(session) = self.session(slot) else { return };
        let (content, length) = (session.content, session.layout.length());
        let (start, end) = if ranges { (range.start, range.end.min(length)) } else { (0, length) };
        session.flights.push(Flight { request, start, end, line: 0, got: 0, answered: false });
        let (start, end, request) = (range.start, range.end, request.0);
        let fetch = Fetch { slot, request, content, start, end, rate, delay, fresh };
        self.tell_origin(What::Fetch(Box::new(fetch)), ctx);
    }

    /// Bytes of the origin come to the line. False if they still have to pass it.
    pub(super) fn on_origin_bytes(
        &mut self,
        slot: Slot,
        request: u32,
        upto: u32,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        let Some(session) = self.session(slot) else { return false };
        let Some(flight) = session.flights.iter_mut().find(|it| it.request.0 == request) else {
            return false;
        };
        let bytes = u64::from(upto).saturating_sub(flight.line);
        flight.line += bytes;
        let passed = self.through_downlink(bytes, ctx.now);
        if passed > ctx.now {
            let what = What::OriginIn { slot, request, upto };
            ctx.timer(&mut self.seq, self.id, passed, what);
            return false;
        }
        self.origin_in(slot, request, upto, ctx);
        true
    }

    pub(super) fn origin_in(&mut self, slot: Slot, request: u32, upto: u32, ctx: &mut Ctx<'_>) {
        let ranges = ctx.world.net.origin.ranges;
        let request = OriginRequest(request);
        let Some(session) = self.session(slot) else { return };
        let Some(place) = session.flights.iter().position(|it| it.request == request) else {
            return;
        };
        let flight = &mut session.flights[place];
        let first = !std::mem::replace(&mut flight.answered, true);
        let from = flight.start + flight.got;
        flight.got = flight.got.max(upto.into());
        let to = flight.start + flight.got;
        let done = to >= flight.end;
        if done {
            session.flights.remove(place);
        }
        if session.download.is_none() {
            self.plain_bytes(slot, request, to);
            return;
        }
        let news = first && !std::mem::replace(&mut session.described, true);
        let layout = session.layout;
        if news && matches!(session.manifest, Manifest::Waiting) {
            self.later.push_back(Later::Adopt(slot));
        }
        self.warm = true;
        if first {
            self.feed(slot, Input::OriginAnswered { request, ranges }, ctx);
        }
        if news {
            self.feed(slot, Input::Described { layout }, ctx);
        }
        let mut whole = Vec::new();
        if let Some(session) = self.session(slot) {
            session.fill(from, to, &mut whole);
        }
        for filled in whole {
            self.origin_chunk(slot, filled, ctx);
        }
        if done {
            self.feed(slot, Input::OriginDone { request }, ctx);
        }
    }

    fn origin_chunk(&mut self, slot: Slot, filled: Filled, ctx: &mut Ctx<'_>) {
        match filled {
            Filled::Whole(chunk, from_peer) => {
                self.feed(slot, Input::Ready { chunk, from: None }, ctx);
                let Some(session) = self.session(slot) else { return };
                let (content, size) = (session.content, session.layout.size_of(chunk));
                let verified = session.manifest == Manifest::Ready;
                if !verified {
                    session.wait_for_manifest(chunk);
                }
                ctx.totals.used_origin += u64::from(size - from_peer);
                ctx.totals.used_peers += u64::from(from_peer);
                self.outcome.chunks += 1;
                if verified {
                    self.keep(content, chunk, ctx);
                }
            }
            Filled::Wrong(chunk, link) => {
                ctx.totals.wrong_hashes += 1;
                self.feed(slot, Input::LinkLied { link, chunk }, ctx);
            }
        }
    }

    pub(super) fn on_origin_failed(&mut self, slot: Slot, request: u32, ctx: &mut Ctx<'_>) {
        let request = OriginRequest(request);
        let Some(session) = self.session(slot) else { return };
        let Some(place) = session.flights.iter().position(|it| it.request == request) else {
            return;
        };
        session.flights.remove(place);
        if session.download.is_none() {
            self.plain_failed(slot, request, ctx);
            return;
        }
        self.warm = false;
        self.feed(slot, Input::OriginFailed { request }, ctx);
    }

    // Plain HTTP: the request of a reader has the reader's number.

    fn plain_bytes(&mut self, slot: Slot, request: OriginRequest, upto: u64) {
        self.warm = true;
        let Some(session) = self.session(slot) else { return };
        session.described = true;
        for reader in session.readers.iter_mut().filter(|it| it.id.0 == request.0) {
            reader.upto = upto;
        }
    }

    fn plain_failed(&mut self, slot: Slot, request: OriginRequest, ctx: &mut Ctx<'_>) {
        let Some(session) = self.session(slot) else { return };
        let content = session.content;
        let failed = session.readers.iter().position(|it| it.id.0 == request.0);
        let Some(reader) = failed.map(|place| session.readers.remove(place)) else { return };
        self.warm = false;
        self.outcome.failures += 1;
        self.app.failed(content, &reader, ctx.now);
    }

    // Manifest and swarm.

    pub(super) fn on_manifest(&mut self, content: ContentNo, ctx: &mut Ctx<'_>) {
        let waiting = |it: &super::session::Session| {
            it.content == content && it.manifest == Manifest::Pending
        };
        let Some(session) = self.sessions.iter_mut().find(|it| waiting(it)) else { return };
        let slot = session.slot;
        if session.described || session.flights.is_empty() {
            self.adopt(slot, ctx);
            return;
        }
        // The origin's own word comes first, if it does not take long.
        session.manifest = Manifest::Waiting;
        let at = ctx.now + ORIGIN_PATIENCE_MS;
        ctx.timer(&mut self.seq, self.id, at, What::ManifestPatience(slot));
    }

    pub(super) fn adopt(&mut self, slot: Slot, ctx: &mut Ctx<'_>) {
        let Some(session) = self.session(slot) else { return };
        if session.manifest == Manifest::Ready {
            return;
        }
        session.manifest = Manifest::Ready;
        session.described = true;
        let (content, layout) = (session.content, session.layout);
        let unverified = std::mem::take(&mut session.unverified);
        let settled = std::mem::replace(&mut session.settling, false);
        let held = self.held(content).cloned().unwrap_or_default();
        self.feed(slot, Input::Described { layout }, ctx);
        self.feed(slot, Input::Stored { chunks: held }, ctx);
        self.feed(slot, Input::ManifestReady, ctx);
        let open: Vec<EntityId> =
            self.members.iter().filter(|it| it.link.is_some()).map(|it| it.peer).collect();
        for peer in open {
            self.introduce(slot, peer, ctx);
        }
        let mut holders = Vec::new();
        for member in &self.members {
            let topic = member.topics.iter().find(|topic| topic.content == content);
            if let (Some(link), Some(topic)) = (member.link, topic)
                && !topic.holds.is_empty()
            {
                holders.push((link, topic.holds.set()));
            }
        }
        for (link, chunks) in holders {
            self.feed(slot, Input::LinkHas { link, chunks }, ctx);
        }
        for chunk in unverified {
            self.keep(content, chunk, ctx);
        }
        self.join(slot, ctx);
        if settled {
            self.open_waiting(slot, ctx);
        }
    }

    /// Lets the page look for peers, once it can and somebody reads.
    pub(super) fn join(&mut self, slot: Slot, ctx: &mut Ctx<'_>) {
        let page_ready = self.page_ready;
        let Some(session) = self.session(slot) else { return };
        if session.manifest != Manifest::Ready {
            return;
        }
        let content = session.content;
        if page_ready && !session.joined && !session.readers.is_empty() {
            session.joined = true;
            self.join_swarm(content, peers_wanted(ctx.mode), ctx);
        }
        if self.session(slot).is_some_and(|session| session.joined) {
            let peers = self.expecting(content);
            self.feed(slot, Input::Expecting { peers }, ctx);
        }
    }

    // Store.

    pub(super) fn store_read(&mut self, slot: Slot, chunk: ChunkIndex, ctx: &mut Ctx<'_>) {
        let Some(content) = self.session(slot).map(|it| it.content) else { return };
        let held = self.held(content).is_some_and(|chunks| chunks.contains(chunk));
        let Some(session) = self.session(slot) else { return };
        if !held {
            self.feed(slot, Input::StoreMissing { chunks: [chunk].into_iter().collect() }, ctx);
            return;
        }
        session.put(chunk, true);
        self.feed(slot, Input::Ready { chunk, from: None }, ctx);
    }

    /// Stores a verified chunk and tells of it. The few milliseconds that it takes
    /// are left out.
    pub(super) fn keep(&mut self, content: ContentNo, chunk: ChunkIndex, ctx: &mut Ctx<'_>) {
        let known = self.store.iter().position(|(held, _)| *held == content);
        let place = known.unwrap_or_else(|| {
            self.store.push((content, ChunkSet::new()));
            self.store.len() - 1
        });
        let held = &mut self.store[place].1;
        if held.contains(chunk) {
            return;
        }
        held.insert(chunk);
        for slot in self.slots_where(|it| it.content == content && it.manifest == Manifest::Ready) {
            let chunks = [chunk].into_iter().collect();
            self.feed(slot, Input::Stored { chunks }, ctx);
        }
        self.announce(content, chunk.0, ctx);
    }

    // Readers and sessions.

    /// A response is asked for.
    pub(super) fn open_reader(&mut self, content: ContentNo, range: ByteRange, ctx: &mut Ctx<'_>) {
        let id = ReaderId(self.next_reader);
        self.next_reader += 1;
        let length = ctx.world.content(content).layout.length();
        let (position, end) = (range.start, range.end.min(length));
        let reader = Reader { id, position, end, upto: position, asked_end: range.end };
        let known = self.sessions.iter().find(|it| it.content == content).map(|it| it.slot);
        let slot = known.unwrap_or_else(|| self.new_session(content, ctx));
        let stored = self.held(content).is_some_and(|held| !held.is_empty());
        let Some(session) = self.session(slot) else { return };
        session.readers.push(reader);
        session.linger_at = u64::MAX;
        if session.download.is_none() {
            self.fetch(slot, OriginRequest(id.0), range, ctx);
            return;
        }
        let cold = known.is_none();
        // A content that is known is checked for being current before it is read.
        session.settling |= cold && stored;
        if !session.settling {
            let goes_on = self.app.goes_on();
            self.feed(slot, Input::ReaderOpened { reader: id, range, goes_on }, ctx);
            self.join(slot, ctx);
        }
        if cold {
            self.tell_coord(What::Manifest(content), ctx);
        }
    }

    fn open_waiting(&mut self, slot: Slot, ctx: &mut Ctx<'_>) {
        let readers = self.session(slot).map(|it| it.readers.clone()).unwrap_or_default();
        for Reader { id, position, asked_end, .. } in readers {
            let range = ByteRange::new(position, asked_end);
            let goes_on = self.app.goes_on();
            self.feed(slot, Input::ReaderOpened { reader: id, range, goes_on }, ctx);
        }
        self.join(slot, ctx);
    }

    /// Gives the application what is there for it and what it wants. False if
    /// nothing.
    pub(super) fn read(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let mut any = false;
        while self.app.wants_at(ctx.now) <= ctx.now {
            let Some((slot, place, upto, sources)) = self.readable() else { break };
            any = true;
            self.give(slot, place, upto, sources, ctx);
        }
        any
    }

    fn readable(&self) -> Option<(Slot, usize, u64, [u64; 3])> {
        for session in &self.sessions {
            if !session.described || session.settling {
                continue;
            }
            for (place, reader) in session.readers.iter().enumerate() {
                let there = if session.download.is_none() {
                    let bytes = reader.upto.saturating_sub(reader.position);
                    (bytes > 0).then_some((reader.upto, [bytes, 0, 0]))
                } else {
                    session.readable(reader.position, reader.end)
                };
                if let Some((upto, sources)) = there {
                    return Some((session.slot, place, upto, sources));
                }
            }
        }
        None
    }

    fn give(&mut self, slot: Slot, place: usize, upto: u64, sources: [u64; 3], ctx: &mut Ctx<'_>) {
        let now = ctx.now;
        let Some(session) = self.session(slot) else { return };
        let reader = &mut session.readers[place];
        let bytes = upto - reader.position;
        reader.position = upto;
        let (id, done, content) = (reader.id, upto >= reader.end, session.content);
        let plain = session.download.is_none();
        if done {
            session.readers.remove(place);
            session.flights.retain(|flight| !plain || flight.request.0 != id.0);
        }
        let unread = session.readers.is_empty();
        let it = &mut self.outcome;
        it.from_origin += sources[0];
        it.from_peers += sources[1];
        it.from_store += sources[2];
        it.delivered += bytes;
        let since = crate::num::narrow(now.saturating_sub(it.arrived));
        it.first_byte.get_or_insert(since);
        self.app.took(content, bytes, done, now);
        if plain {
            ctx.totals.used_origin += bytes;
            if unread {
                self.remove_session(slot, ctx);
            }
            return;
        }
        self.feed(slot, Input::ReaderAdvanced { reader: id, position: upto }, ctx);
        if !done {
            return;
        }
        self.feed(slot, Input::ReaderClosed { reader: id }, ctx);
        if let Some(session) = self.session(slot).filter(|session| session.readers.is_empty()) {
            session.linger_at = now + LINGER_MS;
            ctx.timer(&mut self.seq, self.id, now + LINGER_MS, What::LingerOver(slot));
        }
    }

    pub(super) fn linger_over(&mut self, slot: Slot, ctx: &mut Ctx<'_>) {
        let over = |it: &mut super::session::Session| it.linger_at == ctx.now;
        if self.session(slot).is_some_and(over) {
            self.remove_session(slot, ctx);
        }
    }

    /// The readers end in an error.
    fn fail(&mut self, slot: Slot, ctx: &mut Ctx<'_>) {
        let Some(session) = self.session(slot) else { return };
        let (content, readers) = (session.content, std::mem::take(&mut session.readers));
        self.remove_session(slot, ctx);
        for reader in readers {
            self.outcome.failures += 1;
            self.app.failed(content, &reader, ctx.now);
        }
        if ctx.world.net.origin.down.is_none() {
            let id = self.id.0;
            ctx.totals.violations.push(format!("viewer {id} failed with a working origin"));
        }
    }

    fn remove_session(&mut self, slot: Slot, ctx: &mut Ctx<'_>) {
        self.abort_flights(slot, ctx);
        let asked: Vec<_> = self.asked.iter().filter(|it| it.slot == slot).copied().collect();
        for asked in asked {
            self.network.answered(asked.link, asked.size);
            self.take_back(slot, asked.link, asked.chunk, ctx);
        }
        self.sessions.retain(|session| session.slot != slot);
    }

    pub(super) fn abort_flights(&mut self, slot: Slot, ctx: &mut Ctx<'_>) {
        let Some(session) = self.session(slot) else { return };
        for flight in std::mem::take(&mut session.flights) {
            self.tell_origin(What::CancelFetch { slot, request: flight.request.0 }, ctx);
        }
    }
}
