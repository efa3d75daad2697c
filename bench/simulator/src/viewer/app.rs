//! What the visitor looks at: which readers it opens when, and how fast it takes
//! what they give.

use dcdn_protocol::ByteRange;

use super::Viewer;
use super::player::Player;
use super::session::Reader;
use crate::dice::{self, Purpose};
use crate::event::{ContentNo, EntityId, What};
use crate::outcome::Outcome;
use crate::shard::Ctx;
use crate::world::{Plan, World};

/// Bytes of one answer to a media element: the worker's `range::MEDIA_CAP`.
const MEDIA_CAP: u64 = 2 * 1024 * 1024;

/// Milliseconds after which an application asks again for what has failed.
const RETRY_MS: u64 = 3_000;

/// Milliseconds within which a live player hears of a new segment.
const POLL_MS: f64 = 1_000.0;

/// An application.
#[derive(Debug)]
pub struct App {
    plan: Plan,
    player: Option<Player>,
    /// Bytes of all that it wants.
    wanted: u64,
    taken: u64,
    /// Contents opened so far, of several.
    opened: u32,
    /// Readers that are open.
    open: u32,
    retries: Vec<Retry>,
    wake_at: u64,
}

#[derive(Clone, Copy, Debug)]
struct Retry {
    at: u64,
    content: ContentNo,
    range: ByteRange,
}

impl App {
    /// An application that is opened at `now`.
    pub fn new(plan: Plan, world: &World, now: u64) -> Self {
        let length = |first: ContentNo, count: u32| {
            (first.0..first.0 + count).map(|n| world.content(ContentNo(n)).layout.length()).sum()
        };
        let (wanted, bytes_per_s) = match plan {
            Plan::Seed(_) => (0, None),
            Plan::Video { content, bytes_per_s } => (length(content, 1), Some(bytes_per_s)),
            Plan::Page { first, count } => (length(first, count), None),
            Plan::Live { first, count, bytes_per_s } => (length(first, count), Some(bytes_per_s)),
        };
        let player = bytes_per_s.map(|rate| Player::new(rate, wanted, now));
        let retries = Vec::new();
        Self { plan, player, wanted, taken: 0, opened: 0, open: 0, retries, wake_at: 0 }
    }

    /// Bytes of all that it wants.
    pub fn wanted(&self) -> u64 {
        self.wanted
    }

    /// Whether its readers end where others will begin: a media element's do.
    pub fn goes_on(&self) -> bool {
        matches!(self.plan, Plan::Video { .. })
    }

    /// Whether each of its contents is a segment of the same film.
    pub fn plays_segments(&self) -> bool {
        matches!(self.plan, Plan::Live { .. })
    }

    /// From when it takes more, at the earliest now.
    pub fn wants_at(&self, now: u64) -> u64 {
        self.player.as_ref().map_or(now, |player| player.wants_at(now))
    }

    /// It has been given bytes of a content, with `done` the last of a reader.
    pub fn took(&mut self, _content: ContentNo, bytes: u64, done: bool, now: u64) {
        self.taken += bytes;
        self.open -= u32::from(done);
        if let Some(player) = &mut self.player {
            player.take(bytes, now);
        }
    }

    /// A reader has ended in an error: it is opened again where it stood.
    pub fn failed(&mut self, content: ContentNo, reader: &Reader, now: u64) {
        self.open -= 1;
        let range = ByteRange::new(reader.position, reader.asked_end);
        self.retries.push(Retry { at: now + RETRY_MS, content, range });
    }

    /// [`What::AppWake`] has come.
    pub fn woken(&mut self, now: u64) {
        if self.wake_at == now {
            self.wake_at = 0;
        }
    }

    /// It is closed.
    pub fn close(&mut self, now: u64, outcome: &mut Outcome) {
        let Some(player) = &mut self.player else { return };
        player.close(now);
        outcome.start_up = player.start_up;
        outcome.stalls = player.stalls;
        outcome.stalled_ms = player.stalled_ms;
    }

    /// The next reader to open now.
    fn next_reader(
        &mut self,
        of: EntityId,
        world: &World,
        now: u64,
    ) -> Option<(ContentNo, ByteRange)> {
        if let Some(due) = self.retries.iter().position(|retry| retry.at <= now) {
            let retry = self.retries.remove(due);
            return Some((retry.content, retry.range));
        }
        let busy = self.open > 0 || !self.retries.is_empty();
        match self.plan {
            Plan::Seed(_) => None,
            Plan::Video { content, .. } => {
                let full = self.wants_at(now) > now || self.taken >= self.wanted;
                let range = ByteRange::new(self.taken, self.taken + MEDIA_CAP);
                (!busy && !full).then_some((content, range))
            }
            Plan::Page { first, count } => {
                let content = ContentNo(first.0 + self.opened);
                let next = self.opened < count;
                self.opened += u32::from(next);
                next.then_some((content, ByteRange::new(0, u64::MAX)))
            }
            Plan::Live { .. } => {
                let (content, at) = self.next_segment(of, world, now)?;
                if busy || at > now || self.wants_at(now) > now {
                    return None;
                }
                self.opened += 1;
                Some((content, ByteRange::new(0, u64::MAX)))
            }
        }
    }

    /// The next segment of a live stream, and when the player knows of it.
    fn next_segment(&self, of: EntityId, world: &World, now: u64) -> Option<(ContentNo, u64)> {
        let Plan::Live { first, count, .. } = self.plan else { return None };
        if self.opened >= count {
            return None;
        }
        let content = ContentNo(first.0 + self.opened);
        let (of, no) = (of.0.into(), content.0.into());
        let poll = POLL_MS * dice::unit(world.seed, Purpose::Poll, of, no);
        let since = world.content(content).since;
        // What was there before the player came is in its first playlist.
        let arrived = world.visit(EntityId(crate::num::narrow(of))).arrive;
        let known = if since <= arrived { since } else { since + crate::num::whole(poll) };
        Some((content, known.max(now)))
    }

    /// When it wants to be woken, because nothing else may happen before.
    fn next_wake(&self, of: EntityId, world: &World, now: u64) -> Option<u64> {
        let retry = self.retries.iter().map(|retry| retry.at).min();
        if self.taken >= self.wanted {
            return retry;
        }
        let room = Some(self.wants_at(now)).filter(|at| *at > now);
        let idle = self.open == 0;
        let segment = self.next_segment(of, world, now).map(|(_, at)| at);
        let segment = segment.filter(|at| idle && *at > now);
        retry.into_iter().chain(room).chain(segment).min()
    }
}

impl Viewer {
    /// Lets the application take what is there and open what it wants, until it
    /// has to wait for something.
    pub(super) fn drive(&mut self, ctx: &mut Ctx<'_>) {
        loop {
            let mut moved = self.do_later(ctx);
            moved |= self.read(ctx);
            while let Some((content, range)) = self.app.next_reader(self.id, ctx.world, ctx.now) {
                self.app.open += 1;
                self.open_reader(content, range, ctx);
                moved = true;
            }
            if !moved {
                break;
            }
        }
        if let Some(at) = self.app.next_wake(self.id, ctx.world, ctx.now)
            && (self.app.wake_at <= ctx.now || at < self.app.wake_at)
        {
            self.app.wake_at = at;
            ctx.timer(&mut self.seq, self.id, at, What::AppWake);
        }
        self.note_end(ctx);
    }

    fn note_end(&mut self, ctx: &mut Ctx<'_>) {
        let all = self.app.wanted > 0 && self.app.taken >= self.app.wanted;
        if !all || self.outcome.last_byte.is_some() {
            return;
        }
        let since = ctx.now.saturating_sub(self.outcome.arrived);
        self.outcome.last_byte = Some(crate::num::narrow(since));
        let visit = ctx.world.visit(self.id);
        if visit.leave.is_none() {
            let seen = self.app.player.as_ref().map_or(ctx.now, |player| player.dry_at(ctx.now));
            ctx.timer(&mut self.seq, self.id, seen + u64::from(visit.stay_ms), What::Leave);
        }
    }
}
