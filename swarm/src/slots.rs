//! The chunks that are wanted, and how each of them is coming.

use std::collections::VecDeque;
use std::ops::Range;

use dcdn_protocol::{ChunkIndex, ChunkSet};

use crate::{Link, OriginRequest, Timestamp};

/// Every wanted chunk in ascending order. Bounded by the readers' windows.
#[derive(Debug, Default)]
pub(crate) struct Slots(VecDeque<Slot>);

/// One wanted chunk.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub chunk: ChunkIndex,
    pub state: State,
    /// Since when it has been wanted.
    pub since: Timestamp,
    /// While it is missing: when it has to be looked at again.
    pub look_at: Timestamp,
    /// Peers that have failed to deliver it.
    pub failed: Failed,
    /// Bytes of the unverified beginning that a late peer has left, for the origin to
    /// complete.
    pub kept: Option<u32>,
    /// While it is on its way from the origin: bytes that were there already.
    pub begun: u32,
}

// What a decision reads of it is one line of the processor's cache.
const _: () = assert!(size_of::<Slot>() <= 64);

/// Some connections; mostly none, which takes little room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failed(
    #[allow(clippy::box_collection, reason = "is seldom there")] Option<Box<Vec<Link>>>,
);

impl Failed {
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|links| links.is_empty())
    }

    pub fn contains(&self, link: &Link) -> bool {
        self.0.as_ref().is_some_and(|links| links.contains(link))
    }

    pub fn push(&mut self, link: Link) {
        self.0.get_or_insert_default().push(link);
    }

    pub fn retain(&mut self, keep: impl FnMut(&Link) -> bool) {
        if let Some(links) = &mut self.0 {
            links.retain(keep);
        }
    }

    pub fn clear(&mut self) {
        self.0 = None;
    }
}

/// Where a wanted chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nowhere: it has to be asked for.
    Missing,
    /// On its way from the store.
    FromStore,
    /// On its way from the origin.
    FromOrigin(OriginRequest),
    /// On its way from a peer; `received` bytes of it have come.
    FromPeer { link: Link, since: Timestamp, received: u32 },
    /// Taken back from a peer, which still has to say how much of it has come.
    Salvaging { link: Link, since: Timestamp },
    /// In memory.
    Ready,
}

impl Slots {
    /// Wants exactly the chunks of `runs`, which are ascending and apart. Returns
    /// what is no longer wanted.
    pub fn want(&mut self, runs: &[Range<u32>], now: Timestamp) -> Vec<Slot> {
        let mut unwanted = Vec::new();
        if let [run] = runs
            && self.is_run_before(run)
        {
            while let Some(slot) = self.0.pop_front_if(|slot| slot.chunk.0 < run.start) {
                unwanted.push(slot);
            }
            let next = self.0.back().map_or(run.start, |slot| slot.chunk.0 + 1);
            self.0.extend((next..run.end).map(|chunk| Slot::new(ChunkIndex(chunk), now)));
            return unwanted;
        }
        let mut old = std::mem::take(&mut self.0).into_iter().peekable();
        for chunk in runs.iter().flat_map(Clone::clone).map(ChunkIndex) {
            while let Some(before) = old.next_if(|slot| slot.chunk < chunk) {
                unwanted.push(before);
            }
            let known = old.next_if(|slot| slot.chunk == chunk);
            self.0.push_back(known.unwrap_or_else(|| Slot::new(chunk, now)));
        }
        unwanted.extend(old);
        unwanted
    }

    /// Whether these are one run that begins and ends no later than `run`: the usual
    /// case of a single reader that reads on.
    fn is_run_before(&self, run: &Range<u32>) -> bool {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else { return false };
        let span = (last.chunk.0 - first.chunk.0) as usize + 1;
        span == self.0.len() && first.chunk.0 <= run.start && last.chunk.0 < run.end
    }

    /// See [`crate::Download::memory`].
    pub fn memory(&self, visit: &mut impl FnMut(*const u8, usize)) {
        let (front, back) = self.0.as_slices();
        for part in [front, back] {
            visit(part.as_ptr().cast(), size_of_val(part));
        }
    }

    pub fn get(&self, chunk: ChunkIndex) -> Option<&Slot> {
        self.0.get(self.place(chunk)?)
    }

    pub fn get_mut(&mut self, chunk: ChunkIndex) -> Option<&mut Slot> {
        let place = self.place(chunk)?;
        self.0.get_mut(place)
    }

    /// The slot at a place of [`Slots::iter`].
    pub fn at(&self, place: usize) -> &Slot {
        &self.0[place]
    }

    /// The same, to change it.
    pub fn at_mut(&mut self, place: usize) -> &mut Slot {
        &mut self.0[place]
    }

    /// The places of those that are in `chunks`.
    pub fn places(&self, chunks: &ChunkSet) -> Places {
        let mut places = Places::default();
        let (Some(first), Some(last)) = (self.0.front(), self.last()) else { return places };
        let bounds = first.chunk.0..last.0 + 1;
        // Of a single run each is where it should be.
        let is_run = (bounds.end - bounds.start) as usize == self.0.len();
        for run in chunks.runs_within(bounds.clone()) {
            places.insert(match is_run {
                true => (run.start - bounds.start) as usize..(run.end - bounds.start) as usize,
                false => self.place_from(run.start)..self.place_from(run.end),
            });
        }
        places
    }

    fn place(&self, chunk: ChunkIndex) -> Option<usize> {
        let place = self.place_from(chunk.0);
        self.0.get(place).is_some_and(|slot| slot.chunk == chunk).then_some(place)
    }

    /// Where the first stands that is not before `chunk`.
    fn place_from(&self, chunk: u32) -> usize {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else { return 0 };
        if chunk > last.chunk.0 {
            return self.0.len();
        }
        let place = chunk.saturating_sub(first.chunk.0) as usize;
        let span = (last.chunk.0 - first.chunk.0) as usize + 1;
        // Of a single run each is where it should be.
        if span == self.0.len() {
            place
        } else {
            self.0.partition_point(|slot| slot.chunk.0 < chunk)
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.0.iter_mut()
    }

    pub fn last(&self) -> Option<ChunkIndex> {
        self.0.back().map(|slot| slot.chunk)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn any_missing(&self) -> bool {
        // What is farthest ahead is missing for longest.
        self.0.iter().rev().any(|slot| slot.state == State::Missing)
    }

    pub fn any_missing_of(&self, chunks: &ChunkSet) -> bool {
        let (Some(first), Some(last)) = (self.0.front(), self.last()) else { return false };
        let is_missing = |slot: &Slot| slot.state == State::Missing;
        chunks.runs_within(first.chunk.0..last.0 + 1).any(|run| {
            let places = self.place_from(run.start)..self.place_from(run.end);
            self.0.range(places).any(is_missing)
        })
    }
}

/// A set of places among the slots: one bit for each. There are seldom more than the
/// first 64.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    first: u64,
    more: Vec<u64>,
}

impl Places {
    pub fn contains(&self, place: usize) -> bool {
        let word = match place.checked_sub(64) {
            None => self.first,
            Some(behind) => self.more.get(behind / 64).copied().unwrap_or(0),
        };
        word >> (place % 64) & 1 == 1
    }

    pub fn union(&mut self, other: &Self) {
        self.first |= other.first;
        if other.more.is_empty() {
            return;
        }
        if self.more.len() < other.more.len() {
            self.more.resize(other.more.len(), 0);
        }
        self.more.iter_mut().zip(&other.more).for_each(|(word, more)| *word |= more);
    }

    fn insert(&mut self, places: Range<usize>) {
        self.first |= bits(&places, 0);
        if places.end <= 64 {
            return;
        }
        let words = places.end.div_ceil(64).saturating_sub(1);
        if self.more.len() < words {
            self.more.resize(words, 0);
        }
        for (n, word) in self.more.iter_mut().enumerate().take(words) {
            *word |= bits(&places, (n + 1) * 64);
        }
    }
}

/// Those of the 64 places from `start` on that are in `places`.
fn bits(places: &Range<usize>, start: usize) -> u64 {
    let below = |place: usize| match place.saturating_sub(start) {
        count @ 0..64 => (1 << count) - 1,
        _ => u64::MAX,
    };
    below(places.end) & !below(places.start)
}

impl Slot {
    fn new(chunk: ChunkIndex, now: Timestamp) -> Self {
        Self {
            chunk,
            state: State::Missing,
            since: now,
            look_at: now,
            failed: Failed::default(),
            kept: None,
            begun: 0,
        }
    }

    /// It will not come from where it was to come from.
    pub fn goes_missing(&mut self) {
        self.state = State::Missing;
        self.look_at = Timestamp::default();
    }

    /// It will not come over `link`, and has to be asked for elsewhere.
    pub fn fails(&mut self, link: Link) {
        self.goes_missing();
        self.failed.push(link);
    }

    /// The connection that it is on its way over.
    pub fn link(&self) -> Option<Link> {
        match self.state {
            State::FromPeer { link, .. } | State::Salvaging { link, .. } => Some(link),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_a_set_however_many() {
        for (from, to) in [(0, 0), (0, 1), (3, 64), (0, 64), (63, 65), (60, 200), (128, 192)] {
            let mut places = Places::default();
            places.insert(from..to);
            let mut all = Places::default();
            all.insert(250..251);
            all.union(&places);
            for place in 0..300 {
                let inside = (from..to).contains(&place);
                assert_eq!(places.contains(place), inside, "{place} of {from}..{to}");
                assert_eq!(all.contains(place), inside || place == 250);
            }
        }
    }
}
