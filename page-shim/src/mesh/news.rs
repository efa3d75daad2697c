//! Telling others what we hold: not each chunk as it comes, but what has come
//! since they heard of it last.

use dcdn_protocol::message::coord::{HAVE_INTERVAL_MS, MAX_HELD_RUNS, ToCoord};
use dcdn_protocol::message::peer::PeerMessage;
use dcdn_protocol::{ChunkSet, ContentId, PeerId};

use super::member::Told;
use super::{Command, MAX_INTERESTS, Mesh};

/// A peer that may be told of news within so many milliseconds is told together with
/// those that may be told now: one awakening serves all.
const TOLD_TOGETHER_MS: f64 = 125.0;

/// Runs of chunks in one `Have`: 18 bytes each at the most, and a message has 64 KiB.
const MAX_RUNS: usize = 3000;

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
        let interests: Vec<(PeerId, ContentId)> = self
            .members
            .iter()
            .flat_map(|(&peer, member)| member.interests.keys().map(move |&it| (peer, it)))
            .collect();
        for (peer, content) in interests {
            self.tell_peer(peer, content, now, TOLD_TOGETHER_MS);
        }
    }

    /// Answers a peer that asks what we hold, and remembers that it did.
    pub(super) fn answer_interest(&mut self, peer: PeerId, content: ContentId, now: f64) {
        let chunks = self.held(content, MAX_RUNS);
        let Some(member) = self.members.get_mut(&peer) else { return };
        if member.interests.len() < MAX_INTERESTS || member.interests.contains_key(&content) {
            member.interests.insert(content, Told { chunks: chunks.clone(), at: now, since: now });
        }
        self.push(Command::Tell(peer, PeerMessage::Have { content, chunks }));
    }

    /// Tells every interested peer of what we hold.
    pub(super) fn tell_peers(&mut self, content: ContentId, now: f64) {
        for peer in self.open_peers() {
            self.tell_peer(peer, content, now, 0.0);
        }
    }

    /// Tells an interested peer of what we hold, if it should hear of it: at once if it
    /// may be told again within `early` milliseconds, or else when it may be.
    pub(super) fn tell_peer(&mut self, peer: PeerId, content: ContentId, now: f64, early: f64) {
        let chunks = self.held(content, MAX_RUNS);
        let Some(member) = self.members.get_mut(&peer) else { return };
        if !member.open || !member.should_hear(content, &chunks) {
            return;
        }
        let Some(told) = member.interests.get_mut(&content) else { return };
        let due = told.due(now);
        if now + early < due {
            self.wake_at(due);
            return;
        }
        told.chunks.clone_from(&chunks);
        told.at = now;
        self.push(Command::Tell(peer, PeerMessage::Have { content, chunks }));
    }

    /// Enters, or asks for peers again. Without a socket this waits for one.
    pub(super) fn enter(&mut self, content: ContentId, now: f64) {
        if !self.coordination.is_open() {
            return;
        }
        let have = self.held(content, MAX_HELD_RUNS);
        let Some(swarm) = self.swarms.get_mut(&content) else { return };
        swarm.announced.clone_from(&have);
        swarm.announced_at = now;
        let want = swarm.want;
        self.push(Command::Coord(ToCoord::Join { content, want, have }));
    }

    /// Tells the server of a swarm what we hold of its content, if that has changed.
    pub(super) fn tell_server(&mut self, content: ContentId, now: f64) {
        if !self.coordination.is_open() {
            return;
        }
        let have = self.held(content, MAX_HELD_RUNS);
        let Some(swarm) = self.swarms.get_mut(&content) else { return };
        if have == swarm.announced {
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

    fn held(&self, content: ContentId, runs: usize) -> ChunkSet {
        self.holdings.get(&content).map(|chunks| chunks.first_runs(runs)).unwrap_or_default()
    }

    fn wake_at(&mut self, at: f64) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}
