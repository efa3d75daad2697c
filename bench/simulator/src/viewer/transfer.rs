//! Chunks between peers: asked for here, sent there.

use dcdn_protocol::ChunkIndex;
use dcdn_protocol::message::peer::{ChunkFailReason, PIECE_SIZE};
use dcdn_swarm::{Input, Link};

use super::upload::Job;
use super::{Asked, Character, Viewer};
use crate::dice::{self, Purpose};
use crate::event::{ContentNo, EntityId, Slot, What};
use crate::network::{STALL_MS, STALL_PERCENT, ramp_us};
use crate::num::narrow;
use crate::shard::Ctx;

/// A first piece that is less than this before the last is not told apart from it,
/// in microseconds.
const FIRST_PROGRESS_US: u64 = 100_000;

/// Microseconds between two pieces that are told of at the least.
const PROGRESS_US: u64 = 250_000;

impl Asked {
    /// Bytes of the whole pieces that have come by now, as far as that can be told
    /// from the last progress.
    pub(super) fn whole_pieces(&self, now: u64) -> u32 {
        let Some((at, received, end)) = self.progress else { return 0 };
        let (left, span) = (u64::from(self.size - received), end.saturating_sub(at).max(1));
        let came = received + narrow(left * now.saturating_sub(at).min(span) / span);
        // The last piece would have made it whole.
        let came = came.min(self.size - 1);
        came - came % PIECE_SIZE
    }
}

impl Viewer {
    // Downloading.

    /// Asks a peer for a chunk. False if there is no such connection.
    pub(super) fn request_chunk(
        &mut self,
        slot: Slot,
        link: Link,
        chunk: ChunkIndex,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        let Some(session) = self.session(slot) else { return false };
        let (content, size) = (session.content, session.layout.size_of(chunk));
        let Some(member) = self.members.iter().find(|it| it.link == Some(link)) else {
            return false;
        };
        let (peer, delay) = (member.peer, member.pair.delay);
        let serial = self.next_serial;
        self.next_serial = self.next_serial.wrapping_add(1);
        let (progress, bad, cut) = (None, false, false);
        self.asked.push(Asked { serial, slot, link, chunk, size, progress, bad, cut });
        let request = What::Request { content, chunk, serial };
        ctx.send(&mut self.seq, self.id, peer, delay.into(), request);
        true
    }

    /// Takes a request back, if it has not been answered.
    pub(super) fn take_back(
        &mut self,
        slot: Slot,
        link: Link,
        chunk: ChunkIndex,
        ctx: &mut Ctx<'_>,
    ) -> Option<Asked> {
        let of = |it: &Asked| it.slot == slot && it.link == link && it.chunk == chunk;
        let place = self.asked.iter().position(of)?;
        let asked = self.asked.remove(place);
        if let Some(member) = self.members.iter().find(|it| it.link == Some(link)) {
            let (peer, delay) = (member.peer, member.pair.delay);
            let cancel = What::Cancel { serial: asked.serial };
            ctx.send(&mut self.seq, self.id, peer, delay.into(), cancel);
        }
        Some(asked)
    }

    /// A chunk comes to the line. False if it is of no use or still has to pass it.
    pub(super) fn on_chunk(&mut self, serial: u32, bad: bool, ctx: &mut Ctx<'_>) -> bool {
        let Some(asked) = self.asked.iter().find(|it| it.serial == serial && !it.cut) else {
            return false;
        };
        let passed = self.through_downlink(asked.size.into(), ctx.now);
        if passed > ctx.now {
            ctx.timer(&mut self.seq, self.id, passed, What::ChunkIn { serial, bad });
            return false;
        }
        self.chunk_in(serial, bad, ctx);
        true
    }

    pub(super) fn chunk_in(&mut self, serial: u32, bad: bool, ctx: &mut Ctx<'_>) {
        let Some(place) = self.asked.iter().position(|it| it.serial == serial) else { return };
        let Asked { slot, link, chunk, size, .. } = self.asked.remove(place);
        if bad {
            ctx.totals.wrong_hashes += 1;
            self.feed(slot, Input::LinkLied { link, chunk }, ctx);
            return;
        }
        let Some(session) = self.session(slot) else { return };
        let content = session.content;
        if session.put(chunk, false) {
            ctx.totals.used_peers += u64::from(size);
            self.outcome.chunks += 1;
        }
        self.feed(slot, Input::Ready { chunk, from: Some(link) }, ctx);
        self.keep(content, chunk, ctx);
    }

    pub(super) fn on_progress(&mut self, serial: u32, received: u32, end: u64, ctx: &mut Ctx<'_>) {
        let Some(asked) = self.asked.iter_mut().find(|it| it.serial == serial) else { return };
        asked.progress = Some((ctx.now, received, end));
        let (slot, link, chunk) = (asked.slot, asked.link, asked.chunk);
        self.feed(slot, Input::LinkProgress { link, chunk, received }, ctx);
    }

    pub(super) fn on_chunk_fail(
        &mut self,
        serial: u32,
        reason: ChunkFailReason,
        ctx: &mut Ctx<'_>,
    ) {
        let Some(place) = self.asked.iter().position(|it| it.serial == serial) else { return };
        let Asked { slot, link, chunk, .. } = self.asked.remove(place);
        self.feed(slot, Input::LinkFailed { link, chunk, reason }, ctx);
    }

    // Uploading.

    pub(super) fn on_request(
        &mut self,
        from: EntityId,
        content: ContentNo,
        chunk: ChunkIndex,
        serial: u32,
        ctx: &mut Ctx<'_>,
    ) {
        let Some(member) = self.members.iter().find(|it| it.peer == from && it.link.is_some())
        else {
            return;
        };
        let delay = member.pair.delay;
        let held = self.held(content).is_some_and(|chunks| chunks.contains(chunk));
        let job = Job { to: from, serial, content, chunk, since_us: ctx.now * 1000 };
        let reason = if !held {
            ChunkFailReason::NotHeld
        } else if !self.uplink.push(job) {
            ChunkFailReason::Busy
        } else {
            self.upload(ctx);
            return;
        };
        let fail = What::ChunkFail { serial, reason };
        ctx.send(&mut self.seq, self.id, from, delay.into(), fail);
    }

    pub(super) fn on_cancel(&mut self, from: EntityId, serial: u32, ctx: &mut Ctx<'_>) {
        if let Some(unsent) = self.uplink.cancel(from, serial, ctx.now) {
            self.unsend(unsent, ctx);
            if let Some(member) = self.member(from) {
                member.free_us = member.free_us.min(ctx.now * 1000);
            }
        }
        self.upload(ctx);
    }

    pub(super) fn stop_uploads_to(&mut self, peer: EntityId, ctx: &mut Ctx<'_>) {
        if let Some((_, unsent)) = self.uplink.forget(peer, ctx.now) {
            self.unsend(unsent, ctx);
        }
        self.upload(ctx);
    }

    /// Bytes that were counted as sent are not sent after all.
    pub(super) fn unsend(&mut self, bytes: u32, ctx: &mut Ctx<'_>) {
        self.outcome.uploaded -= u64::from(bytes);
        ctx.totals.peer_unsent(ctx.now, bytes.into());
    }

    /// Sends what waits, as far as the uplink is free.
    pub(super) fn upload(&mut self, ctx: &mut Ctx<'_>) {
        while let Some((job, start_us)) = self.uplink.next(ctx.now) {
            self.send_chunk(&job, start_us, ctx);
        }
        let Some(next) = self.uplink.next_at() else { return };
        let next = next.max(ctx.now + 1);
        if self.uplink.wake_at <= ctx.now || next < self.uplink.wake_at {
            self.uplink.wake_at = next;
            ctx.timer(&mut self.seq, self.id, next, What::UplinkFree);
        }
    }

    fn send_chunk(&mut self, job: &Job, start_us: u64, ctx: &mut Ctx<'_>) {
        let size = ctx.world.content(job.content).layout.size_of(job.chunk);
        let start_us = start_us + self.stall_us(ctx);
        let up = u64::from(self.line.up);
        let Some(member) = self.members.iter_mut().find(|it| it.peer == job.to) else { return };
        let sent_us = start_us + u64::from(size) * 1000 / up;
        // The connection may be slower than the line; it sends one after the other.
        let (rtt, rate) = (2 * member.pair.delay, member.pair.rate);
        let before = ramp_us(member.sent, rtt, rate);
        member.sent += u64::from(size);
        let own_us = ramp_us(member.sent, rtt, rate) - before;
        member.free_us = member.free_us.max(start_us) + own_us;
        let come_us = sent_us.max(member.free_us);
        let (peer, delay) = (member.peer, u64::from(member.pair.delay));

        self.uplink.begin(job, size, start_us, sent_us);
        self.outcome.uploaded += u64::from(size);
        ctx.totals.peer_sent(ctx.now, size.into());
        let bad = self.character == Character::Liar;
        let come = come_us.div_ceil(1000).max(ctx.now) + delay;
        self.tell_progress(job, peer, (size, start_us, come_us, delay), ctx);
        let chunk = What::Chunk { serial: job.serial, bad };
        ctx.send(&mut self.seq, self.id, peer, come - ctx.now, chunk);
    }

    fn tell_progress(
        &mut self,
        job: &Job,
        peer: EntityId,
        (size, start_us, come_us, delay): (u32, u64, u64, u64),
        ctx: &mut Ctx<'_>,
    ) {
        let (span, mut told_us) = (come_us - start_us, 0);
        for received in (PIECE_SIZE..size).step_by(PIECE_SIZE as usize) {
            let piece_us = span * u64::from(received) / u64::from(size);
            let enough = if told_us == 0 { 0 } else { told_us + PROGRESS_US };
            if piece_us < enough || span - piece_us <= FIRST_PROGRESS_US {
                continue;
            }
            told_us = piece_us;
            let at = (start_us + piece_us).div_ceil(1000).max(ctx.now) + delay;
            let end = narrow(come_us.div_ceil(1000) + delay);
            let progress = What::Progress { serial: job.serial, received, end };
            ctx.send(&mut self.seq, self.id, peer, at - ctx.now, progress);
        }
    }

    fn stall_us(&mut self, ctx: &Ctx<'_>) -> u64 {
        self.uploads = self.uploads.wrapping_add(1);
        let (id, n) = (self.id.0.into(), self.uploads.into());
        let stalls = self.character == Character::Stalling
            && dice::chance(STALL_PERCENT, ctx.world.seed, Purpose::Stall, id, n);
        if stalls { STALL_MS * 1000 } else { 0 }
    }
}
