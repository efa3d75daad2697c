//! Who is connected, what each holds of one content, and whose turn it is to ask
//! the origin.

use dcdn_protocol::{ChunkIndex, ChunkSet, PeerId};
use vecmap::VecMap;

use crate::Link;

/// Neighbouring chunks of the usual size that are elected together, so that whoever
/// fetches them needs one request for them.
pub const ELECTED_TOGETHER: u32 = 4;

/// Peers of one content.
#[derive(Debug, Default)]
pub(crate) struct Holders(VecMap<Link, Holder>);

#[derive(Debug)]
struct Holder {
    /// Our id and the peer's, as both of us know them.
    ends: Option<(u64, u64)>,
    chunks: ChunkSet,
    /// One past the last chunk that it holds.
    front: u32,
    /// Whether it has said so itself. What is only expected is good for requests, and
    /// says nothing of what the peer does not hold.
    known: bool,
}

impl Holders {
    pub fn up(&mut self, link: Link, me: PeerId, peer: PeerId, expected: ChunkSet) {
        let holder = self.0.entry(link).or_default();
        holder.ends = Some((key(me), key(peer)));
        if !holder.known {
            holder.replace(expected);
        }
    }

    /// A peer says what it holds. Returns what of this was not known.
    pub fn has(&mut self, link: Link, chunks: ChunkSet) -> ChunkSet {
        let holder = self.0.entry(link).or_default();
        let news = chunks.without(&holder.chunks);
        holder.known = true;
        holder.replace(chunks);
        news
    }

    /// The peer does not hold `chunk` after all.
    pub fn lacks(&mut self, link: Link, chunk: ChunkIndex) {
        if let Some(holder) = self.0.get_mut(&link) {
            holder.chunks.remove(chunk);
        }
    }

    pub fn down(&mut self, link: Link) {
        self.0.remove(&link);
    }

    /// See [`crate::Download::memory`].
    pub fn memory(&self, visit: &mut impl FnMut(*const u8, usize)) {
        let all = self.0.as_slice();
        visit(all.as_ptr().cast(), size_of_val(all));
    }

    /// Peers that have said what they hold.
    pub fn known(&self) -> usize {
        self.0.values().filter(|holder| holder.known).count()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn links(&self) -> impl Iterator<Item = Link> {
        self.0.keys().copied()
    }

    /// All of them, always in the same order.
    pub fn iter(&self) -> impl Iterator<Item = (Link, &ChunkSet)> {
        self.0.iter().map(|(link, it)| (*link, &it.chunks))
    }

    /// Election by rendezvous hashing: of all that want `chunk` next and lack it, we
    /// and our peers, how many come before us. Every member ranks itself by the same
    /// hashes, so that two neighbours never both come first. Peers that are more
    /// than `window` chunks behind do not count: they will not ask for it for long.
    /// `group` is what the chunk is elected together with, the same for every member.
    /// `lacks` says of each holder, by its place, whether it lacks the chunk.
    pub fn rank(
        &self,
        chunk: ChunkIndex,
        group: u32,
        window: u32,
        lacks: impl Fn(usize) -> bool,
    ) -> Rank {
        let group = u64::from(group);
        let mut rank = Rank { before: 0, members: 1 };
        for (place, holder) in self.0.values().enumerate() {
            let Some((me, peer)) = holder.ends.filter(|_| holder.known) else { continue };
            let near = holder.front.saturating_add(window) > chunk.0;
            if !near || !lacks(place) {
                continue;
            }
            rank.members += 1;
            rank.before += u32::from(score(peer, group) < score(me, group));
        }
        rank
    }
}

/// A place in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// Members that come before us.
    pub before: u32,
    /// Members, ourselves included.
    pub members: u32,
}

impl Holder {
    fn replace(&mut self, chunks: ChunkSet) {
        self.front = chunks.runs().last().map_or(0, |run| run.end);
        self.chunks = chunks;
    }
}

impl Default for Holder {
    fn default() -> Self {
        Self { ends: None, chunks: ChunkSet::new(), front: 0, known: false }
    }
}

/// Both halves of an id: peers of one server may have one of them in common.
fn key(peer: PeerId) -> u64 {
    let [a, b, c, d, e, f, g, h, rest @ ..] = peer.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ u64::from_le_bytes(rest)
}

/// The finaliser of SplitMix64 (Steele et al. 2014) over both.
fn score(member: u64, group: u64) -> u64 {
    let mut hash = member ^ group.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranks of `of`, each as it sees itself among all the others, for the first of `chunk`.
    fn ranks(of: &[PeerId], chunk: u32) -> Vec<u32> {
        let rank = |me: &PeerId| {
            let mut holders = Holders::default();
            for (link, peer) in (0..).map(Link).zip(of.iter().filter(|peer| *peer != me)) {
                holders.up(link, *me, *peer, ChunkSet::new());
                holders.has(link, ChunkSet::new());
            }
            holders.rank(ChunkIndex(chunk), chunk / ELECTED_TOGETHER, u32::MAX, |_| true).before
        };
        of.iter().map(rank).collect()
    }

    #[test]
    fn one_is_elected_whichever_half_of_their_ids_peers_have_in_common() {
        let id = |first: u8, last: u8| {
            let mut id = [7; 16];
            (id[3], id[12]) = (first, last);
            PeerId(id)
        };
        let of_one_server: Vec<PeerId> = (0..8).map(|n| id(0, n)).collect();
        let of_eight: Vec<PeerId> = (0..8).map(|n| id(n, 0)).collect();
        for crowd in [of_one_server, of_eight] {
            for chunk in [0, 4, 100] {
                let mut ranks = ranks(&crowd, chunk);
                ranks.sort_unstable();
                assert_eq!(ranks, (0..8).collect::<Vec<u32>>(), "chunk {chunk}");
            }
        }
    }
}
