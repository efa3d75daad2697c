//! A visitor's browser: application, worker and page in one.
//!
//! What the worker decides is decided by the real [`dcdn_swarm::Download`]; this
//! carries its commands out as the worker and the page do, in messages that take
//! time. [`engine`] is the worker, [`mesh`] and [`upload`] the page, [`app`] what
//! the visitor looks at.

mod app;
mod engine;
mod holdings;
mod mesh;
mod player;
mod session;
mod transfer;
mod upload;

use std::collections::VecDeque;

use dcdn_protocol::{ChunkIndex, ChunkSet};
use dcdn_swarm::{Command, Download, Input, Link, Network, Timestamp};
use smallvec::SmallVec;

use self::app::App;
use self::holdings::Holdings;
use self::mesh::{Member, Swarm};
use self::session::Session;
use self::upload::Uplink;
use crate::ahead;
use crate::dice::{self, Purpose};
use crate::event::{ContentNo, EntityId, Event, ORIGIN, Slot, What};
use crate::network::{
    FIRST_PAGE_MS, HEARTBEAT_MS, Line, PAGE_MS, SILENT_LEAVE_MS, SLOW_BYTES_PER_MS,
};
use crate::outcome::Outcome;
use crate::run::Mode;
use crate::shard::Ctx;
use crate::world::{Plan, World};

/// A visitor's browser.
pub struct Viewer {
    id: EntityId,
    seq: u32,
    line: Line,
    character: Character,
    app: App,
    outcome: Outcome,

    // The worker.
    network: Network,
    sessions: Vec<Session>,
    store: Vec<(ContentNo, ChunkSet)>,
    asked: Vec<Asked>,
    later: VecDeque<Later>,
    next_slot: u32,
    next_reader: u32,
    next_link: u32,
    next_serial: u32,
    /// Whether the connection to the origin has its slow start behind it.
    warm: bool,

    // The page.
    page_ready: bool,
    welcomed: bool,
    members: Vec<Member>,
    swarms: Vec<Swarm>,
    failures: Vec<(EntityId, u64)>,
    banned: Vec<EntityId>,
    attempts: u32,
    news_at: u64,
    report_at: u64,

    // The line.
    uplink: Uplink,
    uploads: u32,
    down_free_us: u64,
}

/// Sessions that are read ahead for: whoever has more looks at few of them at a time.
const MANY_SESSIONS: usize = 2;

/// What kind of peer somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Character {
    Honest,
    /// Sends wrong bytes.
    Liar,
    /// Its uploads stop now and then.
    Stalling,
}

/// A request to a peer.
#[derive(Clone, Copy, Debug)]
struct Asked {
    serial: u32,
    slot: Slot,
    link: Link,
    chunk: ChunkIndex,
    size: u32,
    /// The last progress: when, bytes by then, and when the last piece is due.
    progress: Option<(u64, u32, u64)>,
    /// The sender is a liar.
    bad: bool,
    /// The sender has vanished in the middle of it.
    cut: bool,
}

/// What is not done from within the core's own turn.
#[derive(Debug)]
enum Later {
    Feed(Slot, Input),
    Ban(Link),
    Adopt(Slot),
}

impl Viewer {
    /// A visitor who is about to arrive.
    pub fn new(id: EntityId, world: &World) -> Self {
        let (net, seed) = (&world.net, world.seed);
        let visit = world.visit(id);
        let is_seed = matches!(visit.plan, Plan::Seed(_));
        let mut line = net.line(seed, id);
        let mut draw = dice::unit(seed, Purpose::Character, id.0.into(), 0) * 100.0;
        let mut falls = |percent: f64| {
            draw -= percent;
            draw < 0.0 && draw + percent >= 0.0 && !is_seed
        };
        let character = if falls(net.liar_percent) {
            Character::Liar
        } else if falls(net.slow_percent) {
            line.up = line.up.min(SLOW_BYTES_PER_MS);
            Character::Honest
        } else if falls(net.stalling_percent) {
            Character::Stalling
        } else {
            Character::Honest
        };
        Self {
            id,
            seq: 0,
            line,
            character,
            app: App::new(visit.plan, world, visit.arrive),
            outcome: Outcome {
                arrived: visit.arrive,
                seed: is_seed,
                line_class: net.line_class(seed, id),
                ..Outcome::default()
            },
            network: Network::new(),
            sessions: Vec::new(),
            store: Vec::new(),
            asked: Vec::new(),
            later: VecDeque::new(),
            next_slot: 0,
            next_reader: 0,
            next_link: 0,
            next_serial: 0,
            warm: false,
            page_ready: false,
            welcomed: false,
            members: Vec::new(),
            swarms: Vec::new(),
            failures: Vec::new(),
            banned: Vec::new(),
            attempts: 0,
            news_at: 0,
            report_at: 0,
            uplink: Uplink::default(),
            uploads: 0,
            down_free_us: 0,
        }
    }

    /// The visit begins.
    pub fn arrive(&mut self, ctx: &mut Ctx<'_>) {
        let (world, visit) = (ctx.world, ctx.world.visit(self.id));
        if let Some(leave) = visit.leave {
            ctx.timer(&mut self.seq, self.id, leave, What::Leave);
        }
        if let Plan::Seed(content) = visit.plan {
            let all = ChunkSet::full(world.content(content).layout.chunk_count());
            self.store.push((content, all));
        }
        if matches!(ctx.mode, Mode::Swarm(_)) {
            let (net, id) = (&world.net, self.id.0.into());
            let first =
                dice::chance(net.first_visit_percent, world.seed, Purpose::FirstVisit, id, 0);
            let ready = ctx.now + if first { FIRST_PAGE_MS } else { PAGE_MS };
            ctx.timer(&mut self.seq, self.id, ready, What::PageReady);
        }
        self.drive(ctx);
    }

    /// Something happens. False if it is the end of the visit.
    pub fn handle(&mut self, event: Event, ctx: &mut Ctx<'_>) -> bool {
        let from = event.from;
        let is_news = matches!(event.what, What::HaveRun { .. } | What::HaveSet(_));
        match event.what {
            What::Leave => return false,
            // The page serves others; nothing of this reaches the worker.
            What::Request { content, chunk, serial } => {
                self.on_request(from, content, chunk, serial, ctx);
                return true;
            }
            What::Cancel { serial } => {
                self.on_cancel(from, serial, ctx);
                return true;
            }
            What::UplinkFree => {
                if self.uplink.wake_at == ctx.now {
                    self.uplink.wake_at = 0;
                }
                self.upload(ctx);
                return true;
            }
            What::HaveDue => {
                if self.news_at == ctx.now {
                    self.tell_news(None, ctx);
                }
                return true;
            }
            What::ReportDue => {
                self.report(ctx);
                return true;
            }
            What::Cut { serial } => {
                self.asked.iter_mut().filter(|it| it.serial == serial).for_each(|it| it.cut = true);
                return true;
            }
            What::Chunk { serial, bad } => {
                if !self.on_chunk(serial, bad, ctx) {
                    return true;
                }
            }
            What::OriginBytes { slot, request, upto } => {
                if !self.on_origin_bytes(slot, request, upto, ctx) {
                    return true;
                }
            }
            What::ChunkIn { serial, bad } => self.chunk_in(serial, bad, ctx),
            What::OriginIn { slot, request, upto } => self.origin_in(slot, request, upto, ctx),
            What::Progress { serial, received, end } => {
                self.on_progress(serial, received, end.into(), ctx);
            }
            What::ChunkFail { serial, reason } => self.on_chunk_fail(serial, reason, ctx),
            What::OriginFailed { slot, request } => self.on_origin_failed(slot, request, ctx),
            What::StoreRead { slot, chunk } => self.store_read(slot, chunk, ctx),
            What::Tick(slot) => self.on_tick(slot, ctx),
            What::AppWake => self.app.woken(ctx.now),
            What::LingerOver(slot) => self.linger_over(slot, ctx),
            What::Manifest(content) => self.on_manifest(content, ctx),
            What::ManifestPatience(slot) => self.adopt(slot, ctx),
            What::PageReady => self.on_page_ready(ctx),
            What::Hello => self.on_welcome(ctx),
            What::Named(named) => self.on_named(named.content, named.peers, ctx),
            What::Signal { peer, signal } => self.on_signal(peer, signal, ctx),
            What::Unknown { peer } => self.on_unknown(peer, ctx),
            What::OpenTimeout { peer, attempt } => self.on_open_timeout(peer, attempt, ctx),
            What::CallOpened { peer, attempt } => self.on_call_opened(peer, attempt, ctx),
            What::AnswerOpened => self.on_answer_opened(from, ctx),
            What::Interested(content) => self.on_interested(from, content, ctx),
            What::HaveRun { content, start, end } => {
                let holds = if start < end { Holdings::Run(start, end) } else { Holdings::Nothing };
                self.on_have(from, content, holds, ctx);
            }
            What::HaveSet(have) => {
                let (content, set) = *have;
                self.on_have(from, content, Holdings::Runs(Box::new(set)), ctx);
            }
            What::Bye => self.closed(from, ctx),
            What::Join(_)
            | What::Report(_)
            | What::Disconnected
            | What::Fetch(_)
            | What::CancelFetch { .. }
            | What::OriginWork
            | What::OriginNext { .. }
            | What::OriginDown => debug_assert!(false, "not for a viewer"),
        }
        // A `have` brings nothing to read.
        if !is_news || !self.later.is_empty() {
            self.drive(ctx);
        }
        true
    }

    /// Reads ahead what [`Viewer::handle`] will look at: step 2 where this points to,
    /// 3 where that points to, and so on. What is not looked at is not read: it would keep
    /// the rest waiting.
    pub fn read_ahead(&self, what: &What, step: u8) {
        let (page, worker) = match what {
            What::Request { .. } | What::Cancel { .. } | What::UplinkFree | What::HaveDue => {
                (true, false)
            }
            What::ChunkIn { .. } | What::HaveRun { .. } => (true, true),
            What::AppWake | What::Tick(_) | What::OriginIn { .. } => (false, true),
            What::Chunk { .. } | What::Progress { .. } => (false, false),
            _ => return,
        };
        let is_have = matches!(what, What::HaveRun { .. });
        let sessions = || self.sessions.iter().take(MANY_SESSIONS);
        match step {
            2 => {
                if page {
                    ahead::values(&self.members);
                    ahead::values(&self.store);
                    self.uplink.read_ahead();
                } else {
                    ahead::values(&self.asked);
                }
                if worker {
                    ahead::values(&self.sessions);
                    ahead::values(&self.swarms);
                }
                if worker && !is_have {
                    ahead::values(&self.asked);
                    self.network.memory(&mut ahead::lines);
                }
            }
            3 if worker => {
                for session in sessions() {
                    if !is_have {
                        ahead::values(&session.buffers);
                        ahead::values(&session.readers);
                    }
                    if let Some(download) = &session.download {
                        ahead::value(&**download);
                    }
                }
            }
            4 if worker => {
                for download in sessions().filter_map(|it| it.download.as_ref()) {
                    download.memory(!is_have, &mut ahead::lines);
                }
            }
            _ => {}
        }
    }

    /// The visit is over: goodbyes, and what became of it.
    pub fn finish(mut self: Box<Self>, ctx: &mut Ctx<'_>) -> (EntityId, Outcome) {
        let (net, seed) = (&ctx.world.net, ctx.world.seed);
        let silent =
            dice::chance(net.silent_leave_percent, seed, Purpose::Goodbye, self.id.0.into(), 0);
        let unnoticed = if silent { SILENT_LEAVE_MS } else { 0 };
        if let Some((peer, serial, unsent)) = self.uplink.under_way(ctx.now) {
            self.unsend(unsent, ctx);
            if let Some(delay) = self.member(peer).map(|member| member.pair.delay) {
                ctx.send(&mut self.seq, self.id, peer, delay.into(), What::Cut { serial });
            }
        }
        for member in self.members.iter().filter(|member| member.link.is_some()) {
            let delay = u64::from(member.pair.delay) + unnoticed;
            ctx.send(&mut self.seq, self.id, member.peer, delay, What::Bye);
        }
        for slot in self.slots_where(|_| true) {
            self.abort_flights(slot, ctx);
        }
        if self.page_ready {
            let unnoticed = if silent { HEARTBEAT_MS } else { 0 };
            let delay = u64::from(self.line.delay + net.coord.delay_ms) + unnoticed;
            ctx.send(&mut self.seq, self.id, crate::event::COORD, delay, What::Disconnected);
        }
        self.app.close(ctx.now, &mut self.outcome);
        let stayed = ctx.now.saturating_sub(self.outcome.arrived);
        self.outcome.could_upload = u64::from(self.line.up) * stayed;
        self.check_outcome(ctx);
        (self.id, self.outcome)
    }

    fn check_outcome(&self, ctx: &mut Ctx<'_>) {
        let it = &self.outcome;
        let sources = it.from_origin + it.from_peers + it.from_store;
        if sources != it.delivered {
            let (id, delivered) = (self.id.0, it.delivered);
            ctx.totals.violations.push(format!(
                "viewer {id} was given {delivered} bytes of which {sources} came from somewhere"
            ));
        }
        if it.last_byte.is_some() && it.delivered != self.app.wanted() {
            let (id, wanted) = (self.id.0, self.app.wanted());
            ctx.totals
                .violations
                .push(format!("viewer {id} ended with {} bytes instead of {wanted}", it.delivered));
        }
    }

    fn on_page_ready(&mut self, ctx: &mut Ctx<'_>) {
        self.page_ready = true;
        self.tell_coord(What::Hello, ctx);
        if let Plan::Seed(content) = ctx.world.visit(self.id).plan {
            self.join_swarm(content, 0, ctx);
        }
        for slot in self.slots_where(|_| true) {
            self.join(slot, ctx);
        }
    }

    // The core.

    /// Tells a session's core what has happened, and does what it decides.
    fn feed(&mut self, slot: Slot, input: Input, ctx: &mut Ctx<'_>) {
        let frees_room = input.frees_room();
        self.feed_one(slot, input, ctx);
        if !frees_room || self.sessions.len() < 2 {
            return;
        }
        let reading = |it: &Session| it.download.as_ref().is_some_and(|core| core.has_readers());
        for other in self.slots_where(reading) {
            if other != slot {
                self.feed_one(other, Input::Tick, ctx);
            }
        }
    }

    fn feed_one(&mut self, slot: Slot, input: Input, ctx: &mut Ctx<'_>) {
        let now = Timestamp(ctx.now);
        let Some(place) = self.sessions.iter().position(|it| it.slot == slot) else { return };
        let Some(download) = &mut self.sessions[place].download else { return };
        self.outcome.handles += 1;
        download.handle(input, now, &mut self.network);
        while let Some(command) = self.next_command(slot) {
            self.outcome.commands += 1;
            self.carry_out(slot, &command, ctx);
        }
        self.set_timer(slot, ctx);
    }

    fn next_command(&mut self, slot: Slot) -> Option<Command> {
        self.session(slot)?.download.as_mut()?.poll_command()
    }

    fn set_timer(&mut self, slot: Slot, ctx: &mut Ctx<'_>) {
        let Some(session) = self.sessions.iter_mut().find(|it| it.slot == slot) else { return };
        let timeout = session.download.as_ref().and_then(|core| core.poll_timeout());
        let Some(Timestamp(at)) = timeout else { return };
        let at = at.max(ctx.now + 1);
        if at < session.tick_at {
            session.tick_at = at;
            ctx.timer(&mut self.seq, self.id, at, What::Tick(slot));
        }
    }

    fn on_tick(&mut self, slot: Slot, ctx: &mut Ctx<'_>) {
        let Some(session) = self.session(slot).filter(|it| it.tick_at == ctx.now) else { return };
        session.tick_at = u64::MAX;
        let timeout = session.download.as_ref().and_then(|core| core.poll_timeout());
        match timeout {
            Some(Timestamp(at)) if at <= ctx.now => self.feed(slot, Input::Tick, ctx),
            _ => self.set_timer(slot, ctx),
        }
    }

    // Small things that all parts need.

    fn session(&mut self, slot: Slot) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.slot == slot)
    }

    fn slots_where(&self, applies: impl Fn(&Session) -> bool) -> SmallVec<[Slot; 4]> {
        self.sessions.iter().filter(|it| applies(it)).map(|session| session.slot).collect()
    }

    fn held(&self, content: ContentNo) -> Option<&ChunkSet> {
        self.store.iter().find(|(held, _)| *held == content).map(|(_, set)| set)
    }

    /// When the last of `bytes` that arrive now have passed the downlink.
    fn through_downlink(&mut self, bytes: u64, now: u64) -> u64 {
        let queued = self.down_free_us + bytes * 1000 / u64::from(self.line.down);
        self.down_free_us = queued.max(now * 1000);
        self.down_free_us.div_ceil(1000)
    }

    fn tell_origin(&mut self, what: What, ctx: &mut Ctx<'_>) {
        let delay = self.origin_delay(ctx).into();
        ctx.send(&mut self.seq, self.id, ORIGIN, delay, what);
    }

    fn origin_delay(&self, ctx: &Ctx<'_>) -> u32 {
        self.line.delay + ctx.world.net.origin.delay_ms
    }

    fn new_session(&mut self, content: ContentNo, ctx: &Ctx<'_>) -> Slot {
        let slot = Slot(self.next_slot);
        self.next_slot += 1;
        let download = match ctx.mode {
            Mode::Plain => None,
            Mode::Swarm(settings) => {
                let (id, slot) = (self.id.0.into(), slot.0.into());
                let seed = dice::hash(ctx.world.seed, Purpose::Scheduler, id, slot);
                let mut settings = dcdn_swarm::Settings { seed, ..settings.clone() };
                if self.app.plays_segments() {
                    settings = settings.for_segment(self.is_connected(), &self.network);
                }
                Some(Box::new(Download::new(&settings)))
            }
        };
        let layout = ctx.world.content(content).layout;
        self.sessions.push(Session::new(slot, content, layout, download));
        slot
    }
}
