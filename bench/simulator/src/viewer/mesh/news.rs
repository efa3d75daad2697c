//! Telling others what we hold, as the page's mesh does: not each chunk as it comes,
//! but what has come since they heard of it last.

use dcdn_protocol::ChunkSet;
use dcdn_protocol::message::coord::MAX_HELD_RUNS;
use dcdn_protocol::message::peer::have_interval_ms;

use super::super::Viewer;
use super::super::holdings::Holdings;
use super::{NO_NEWS, Swarm};
use crate::event::{ContentNo, What};
use crate::shard::Ctx;

/// Peers that may be told within so many milliseconds are told together: the mesh's
/// own constant.
const TOLD_TOGETHER_MS: u64 = 125;

impl Viewer {
    /// Tells the server of what has come since it was told last, not too often.
    pub(in crate::viewer) fn report(&mut self, ctx: &mut Ctx<'_>) {
        if !self.welcomed {
            return;
        }
        let mut next = u64::MAX;
        for place in 0..self.swarms.len() {
            let Swarm { content, reported: (count, at), .. } = self.swarms[place];
            if self.held(content).map_or(0, ChunkSet::count) <= count {
                continue;
            }
            let due = at + ctx.world.net.coord.report_interval_ms;
            if due > ctx.now {
                next = next.min(due);
                continue;
            }
            let have = self.brief(content);
            self.swarms[place].reported = (have.count(), ctx.now);
            self.tell_coord(What::Report(Box::new((content, have))), ctx);
        }
        if next != u64::MAX && self.report_at <= ctx.now {
            self.report_at = next;
            ctx.timer(&mut self.seq, self.id, next, What::ReportDue);
        }
    }

    pub(super) fn brief(&self, content: ContentNo) -> ChunkSet {
        self.held(content).map(|held| held.first_runs(MAX_HELD_RUNS)).unwrap_or_default()
    }

    /// A chunk has been stored: says so to whoever wants to know and does not know
    /// already, not too often.
    pub(in crate::viewer) fn announce(
        &mut self,
        content: ContentNo,
        chunk: u32,
        ctx: &mut Ctx<'_>,
    ) {
        self.tell_news(Some((content, chunk)), ctx);
        if self.report_at <= ctx.now {
            self.report(ctx);
        }
    }

    /// Sends the `have`s that are due and comes back for those that are not yet.
    pub(in crate::viewer) fn tell_news(
        &mut self,
        new: Option<(ContentNo, u32)>,
        ctx: &mut Ctx<'_>,
    ) {
        let now = ctx.now;
        // One awakening serves all that are due about then.
        let early = if new.is_none() { TOLD_TOGETHER_MS } else { 0 };
        let mut next = u64::MAX;
        for place in 0..self.members.len() {
            let member = &mut self.members[place];
            if member.link.is_none() {
                continue;
            }
            let mut due = None;
            for topic in &mut member.topics {
                if let Some((content, chunk)) = new
                    && content == topic.content
                {
                    topic.news = (topic.news.0.min(chunk), topic.news.1.max(chunk));
                }
                let (first, last) = topic.news;
                let Some(since) = topic.interested.filter(|_| first <= last) else { continue };
                let at = topic.told_at + u64::from(have_interval_ms(now - since));
                // Before the peer's holding is looked at, which is somewhere else in memory.
                let is_later = at > now + early && at >= next;
                if is_later || topic.holds.cover(first, last) {
                    continue;
                }
                match at {
                    at if at > now + early => next = at,
                    // One at a time: the others are looked at again at once.
                    _ if due.is_some() => next = next.min(now + 1),
                    _ => due = Some(topic.content),
                }
            }
            if let Some(content) = due {
                self.tell_holding(place, content, ctx);
            }
        }
        if next != u64::MAX && (self.news_at <= now || next < self.news_at) {
            self.news_at = next;
            ctx.timer(&mut self.seq, self.id, next, What::HaveDue);
        }
    }

    pub(super) fn tell_holding(&mut self, place: usize, content: ContentNo, ctx: &mut Ctx<'_>) {
        let holdings = match self.store.iter().find(|(held, _)| *held == content) {
            Some((_, set)) => Holdings::of(set),
            None => Holdings::Nothing,
        };
        let now = ctx.now;
        let member = &mut self.members[place];
        let topic = member.topic(content);
        topic.told_at = now;
        topic.news = NO_NEWS;
        let what = match holdings {
            Holdings::Nothing => What::HaveRun { content, start: 0, end: 0 },
            Holdings::Run(start, end) => What::HaveRun { content, start, end },
            Holdings::Runs(set) => What::HaveSet(Box::new((content, *set))),
        };
        ctx.totals.haves += 1;
        let (peer, delay) = (member.peer, member.pair.delay);
        ctx.send(&mut self.seq, self.id, peer, delay.into(), what);
    }
}
