//! Telling others what we hold: not each chunk as it comes, but what has come
//! since they heard of it last.

use dcdn_protocol::message::coord::{HAVE_INTERVAL_MS, MAX_HELD_RUNS, ToCoord};
use dcdn_protocol::{ChunkSet, ContentId};

use super::{Command, Coordination, Mesh};

impl Mesh {
    /// When [`Mesh::tick`] is due.
    pub fn poll_timeout(&self) -> Option<f64> {
        self.wake
    }

    /// Time has passed.
    pub fn tick(&mut self, now: f64) {
        if self.wake.is_none_or(|wake| now < wake) {
            return;
        }
        self.wake = None;
        let joined: Vec<ContentId> = self.swarms.keys().copied().collect();
        for content in joined {
            self.tell_server(content, now);
        }
    }

    /// Enters, or asks for peers again. Without a socket this waits for one.
    pub(super) fn enter(&mut self, content: ContentId, now: f64) {
        if !matches!(self.coordination, Coordination::Up(_)) {
            return;
        }
        let have = self.brief(content);
        let Some(swarm) = self.swarms.get_mut(&content) else { return };
        swarm.announced.clone_from(&have);
        swarm.announced_at = now;
        let want = swarm.want;
        self.push(Command::Coord(ToCoord::Join { content, want, have }));
    }

    /// Tells the server of a swarm that we hold more of its content, if we do.
    pub(super) fn tell_server(&mut self, content: ContentId, now: f64) {
        if !matches!(self.coordination, Coordination::Up(_)) {
            return;
        }
        let have = self.brief(content);
        let Some(swarm) = self.swarms.get_mut(&content) else { return };
        if have.without(&swarm.announced).is_empty() {
            return;
        }
        let due = swarm.announced_at + f64::from(HAVE_INTERVAL_MS);
        if now < due {
            self.wake_at(due);
            return;
        }
        swarm.announced.clone_from(&have);
        swarm.announced_at = now;
        self.push(Command::Coord(ToCoord::Have { content, have }));
    }

    fn brief(&self, content: ContentId) -> ChunkSet {
        let held = self.holdings.get(&content);
        held.map(|chunks| chunks.first_runs(MAX_HELD_RUNS)).unwrap_or_default()
    }

    fn wake_at(&mut self, at: f64) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}
