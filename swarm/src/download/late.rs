//! Peers that are late: those that are silent lose what they were asked for, and
//! those that will miss a deadline hand over what has come, for the origin to complete.

use std::time::Duration;

use dcdn_protocol::{ChunkIndex, Layout};

use super::Download;
use crate::network::Network;
use crate::slots::{Slot, State};
use crate::{Command, Link, Timestamp};

/// How long a page has to hand over what has come of a chunk.
const SALVAGE_TIMEOUT: Duration = Duration::from_millis(1000);

/// When a late chunk is looked at again that the origin would bring later still.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Download {
    /// Peers that have been silent for too long lose their chunks and are left alone.
    pub(super) fn give_up_on_slow_peers(&mut self, now: Timestamp, network: &mut Network) {
        let mut slow: Vec<Link> = Vec::new();
        for slot in self.slots.iter_mut() {
            let chunk = slot.chunk;
            let link = match slot.state {
                State::FromPeer { link, since, received }
                    if network.give_up_at(link, since, received > 0) <= now =>
                {
                    self.wasted += u64::from(received);
                    self.commands.push_back(Command::CancelChunk { link, chunk });
                    link
                }
                State::FromPeer { link, since, received } => {
                    let late = network.give_up_at(link, since, received > 0);
                    self.late_from = self.late_from.min(late);
                    continue;
                }
                State::Salvaging { link, since } if since + SALVAGE_TIMEOUT <= now => link,
                State::Salvaging { since, .. } => {
                    self.late_from = self.late_from.min(since + SALVAGE_TIMEOUT);
                    continue;
                }
                _ => continue,
            };
            network.answered(link, self.layout.map_or(0, |layout| layout.size_of(chunk)));
            slot.fails(link);
            self.changed = true;
            if !slow.contains(&link) {
                slow.push(link);
            }
        }
        for link in slow {
            network.stalled(link, now);
        }
    }

    /// Chunks that a peer will not deliver by their deadline are taken back in time
    /// for the origin to complete them.
    pub(super) fn rescue_late_chunks(
        &mut self,
        layout: Layout,
        now: Timestamp,
        network: &mut Network,
    ) {
        if self.origin.ailing() {
            return;
        }
        let from_peer = |slot: &Slot| match slot.state {
            State::FromPeer { link, since, received } => Some((link, since, slot.chunk, received)),
            _ => None,
        };
        let mut under_way: Vec<_> = self.slots.iter().filter_map(from_peer).collect();
        under_way.sort_unstable();
        let keeps_up = self.keeps_up(now, network);
        let behind = self.is_behind(network);
        let (mut of, mut ahead) = (None, 0);
        for (link, since, chunk, received) in under_way {
            if of.replace(link) != Some(link) {
                ahead = 0;
            }
            let missing = layout.size_of(chunk).saturating_sub(received);
            let takes = network.remaining(link, ahead, missing, now);
            ahead += missing;
            let deadline = self.deadline(layout.range_of(chunk), network);
            let rescue_at = self.origin_by(deadline, missing, network);
            let origin_takes = self.origin_takes(missing, network);
            // What is late is not made up for on a line that is hardly faster than the film.
            let patience = if behind { origin_takes } else { origin_takes * 3 / 2 };
            let again = if rescue_at > now {
                rescue_at
            } else if now + takes <= deadline
                || takes <= patience
                || !self.origin_helps(chunk, layout, keeps_up)
            {
                now + LOOK_AGAIN
            } else {
                network.fell_short(link, since, now);
                self.rescue(link, chunk, received, now, network);
                now + SALVAGE_TIMEOUT
            };
            self.late_from = self.late_from.min(again);
        }
    }

    /// A chunk has been asked of a peer: notes when that may be found late first.
    pub(super) fn note_when_late(
        &mut self,
        chunk: ChunkIndex,
        link: Link,
        layout: Layout,
        now: Timestamp,
        network: &Network,
    ) {
        let mut late = network.give_up_at(link, now, true);
        if self.policy.keeps_deadlines() {
            let deadline = self.deadline(layout.range_of(chunk), network);
            late = late.min(self.origin_by(deadline, layout.size_of(chunk), network));
        }
        self.late_from = self.late_from.min(late);
    }

    fn rescue(
        &mut self,
        link: Link,
        chunk: ChunkIndex,
        received: u32,
        now: Timestamp,
        network: &mut Network,
    ) {
        let size = self.size_of(chunk);
        let Some(slot) = self.slots.get_mut(chunk) else { return };
        if received > 0 {
            slot.state = State::Salvaging { link, since: now };
            self.commands.push_back(Command::Salvage { link, chunk });
            return;
        }
        network.answered(link, size);
        slot.fails(link);
        self.changed = true;
        self.commands.push_back(Command::CancelChunk { link, chunk });
    }
}
