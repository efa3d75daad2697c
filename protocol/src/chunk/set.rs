//! Sets of chunks.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use smallvec::SmallVec;

use super::{ChunkIndex, MAX_CHUNKS};

/// A set of chunks, kept and written as runs: `[[0,12],[20,21]]` in JSON, half-open.
/// Memory follows the number of runs, so a hostile message costs what it weighs.
///
/// Whoever schedules asks it thousands of times a second. Most sets have one run or
/// two, for which there is room in place; more are found sooner in a vector than in
/// a tree.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ChunkSet(
    /// Not empty, ascending and apart: each ends before the next starts.
    SmallVec<[Range<u32>; 2]>,
);

impl ChunkSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chunks `0..count`.
    pub fn full(count: u32) -> Self {
        let mut set = Self::new();
        set.insert_run(0..count);
        set
    }

    /// Whether `chunk` is in the set.
    #[inline]
    pub fn contains(&self, chunk: ChunkIndex) -> bool {
        self.0.get(self.first_behind(chunk.0)).is_some_and(|run| run.start <= chunk.0)
    }

    /// Adds a chunk.
    pub fn insert(&mut self, chunk: ChunkIndex) {
        self.insert_run(chunk.0..chunk.0.saturating_add(1));
    }

    /// Adds a run of chunks.
    pub fn insert_run(&mut self, run: Range<u32>) {
        if run.is_empty() {
            return;
        }
        // Those that overlap or touch it become one with it.
        let from = self.0.partition_point(|it| it.end < run.start);
        let touching = self.0[from..].iter().take_while(|it| it.start <= run.end).count();
        let to = from + touching;
        match &mut self.0[from..to] {
            [] => self.0.insert(from, run),
            [only] => *only = only.start.min(run.start)..only.end.max(run.end),
            [first, .., last] => {
                *first = first.start.min(run.start)..last.end.max(run.end);
                drop(self.0.drain(from + 1..to));
            }
        }
    }

    /// Takes a chunk out.
    pub fn remove(&mut self, chunk: ChunkIndex) {
        self.remove_run(chunk.0..chunk.0.saturating_add(1));
    }

    /// Number of chunks.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|run| run.end - run.start).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it holds all of `0..count`.
    pub fn is_full(&self, count: u32) -> bool {
        count == 0 || self.0.first().is_some_and(|run| run.start == 0 && run.end >= count)
    }

    /// The chunks of `start..end` runs in any order; the error is a run that is none.
    pub(crate) fn from_runs(mut runs: Vec<(u32, u32)>) -> Result<Self, (u32, u32)> {
        // In order each goes to the end; in any other, thousands of runs would move
        // thousands each.
        runs.sort_unstable();
        let mut set = Self::new();
        for (start, end) in runs {
            if start >= end || end > MAX_CHUNKS {
                return Err((start, end));
            }
            set.insert_run(start..end);
        }
        Ok(set)
    }

    /// Its first `max` runs.
    pub fn first_runs(&self, max: usize) -> Self {
        Self(self.0.iter().take(max).cloned().collect())
    }

    /// What it holds and `other` does not.
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        other.runs().for_each(|run| rest.remove_run(run));
        rest
    }

    /// The runs, ascending and apart.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = Range<u32>> {
        self.0.iter().cloned()
    }

    /// The runs that have something in `bounds`, cut off there.
    pub fn runs_within(&self, bounds: Range<u32>) -> impl Iterator<Item = Range<u32>> {
        let from = self.first_behind(bounds.start);
        let near = self.0[from..].iter().take_while(move |run| run.start < bounds.end);
        near.map(move |run| run.start.max(bounds.start)..run.end.min(bounds.end))
    }

    /// The chunks, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ChunkIndex> {
        self.0.iter().flat_map(|run| run.clone().map(ChunkIndex))
    }

    fn remove_run(&mut self, run: Range<u32>) {
        if run.is_empty() {
            return;
        }
        let from = self.first_behind(run.start);
        let overlapping = self.0[from..].iter().take_while(|it| it.start < run.end).count();
        let to = from + overlapping;
        let (Some(first), Some(last)) =
            (self.0[from..to].first().cloned(), self.0[from..to].last().cloned())
        else {
            return;
        };
        let left = [first.start..run.start.max(first.start), run.end.min(last.end)..last.end];
        drop(self.0.drain(from..to));
        self.0.insert_many(from, left.into_iter().filter(|it| !it.is_empty()));
    }

    /// Place of the first run that ends behind `chunk`.
    fn first_behind(&self, chunk: u32) -> usize {
        self.0.partition_point(|run| run.end <= chunk)
    }
}

impl fmt::Debug for ChunkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter()).finish()
    }
}

impl FromIterator<ChunkIndex> for ChunkSet {
    fn from_iter<I: IntoIterator<Item = ChunkIndex>>(chunks: I) -> Self {
        let mut set = Self::new();
        for chunk in chunks {
            set.insert(chunk);
        }
        set
    }
}

impl Serialize for ChunkSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|run| (run.start, run.end)))
    }
}

impl<'de> Deserialize<'de> for ChunkSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_runs(Vec::deserialize(deserializer)?).map_err(|(start, end)| {
            D::Error::custom(format_args!(
                "not a run of chunks below {MAX_CHUNKS}: [{start},{end}]"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// What a set of chunks is, without the runs.
    fn model(set: &ChunkSet) -> BTreeSet<u32> {
        set.iter().map(|chunk| chunk.0).collect()
    }

    proptest! {
        #[test]
        fn whatever_is_put_in_and_taken_out_it_is_a_set(
            steps in vec((any::<bool>(), 0..40u32, 0..12u32), 0..40)
        ) {
            let (mut set, mut expected) = (ChunkSet::new(), BTreeSet::new());
            for (insert, start, len) in steps {
                if insert {
                    set.insert_run(start..start + len);
                    expected.extend(start..start + len);
                } else {
                    set.remove_run(start..start + len);
                    expected.retain(|chunk| !(start..start + len).contains(chunk));
                }
                prop_assert_eq!(&model(&set), &expected);
                prop_assert_eq!(set.count() as usize, expected.len());
                for chunk in 0..60 {
                    prop_assert_eq!(set.contains(ChunkIndex(chunk)), expected.contains(&chunk));
                }
                let runs: Vec<_> = set.runs().collect();
                prop_assert!(runs.iter().all(|run| !run.is_empty()));
                prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }

        #[test]
        fn what_is_without_another_is_the_difference(
            one in vec((0..40u32, 1..12u32), 0..8), other in vec((0..40u32, 1..12u32), 0..8)
        ) {
            let set = |runs: Vec<(u32, u32)>| {
                let mut set = ChunkSet::new();
                runs.into_iter().for_each(|(start, len)| set.insert_run(start..start + len));
                set
            };
            let (one, other) = (set(one), set(other));
            let difference: BTreeSet<u32> =
                model(&one).difference(&model(&other)).copied().collect();
            prop_assert_eq!(model(&one.without(&other)), difference);
        }
    }

    #[test]
    fn the_last_chunk_that_can_be_counted_is_in_no_set() {
        let mut set = ChunkSet::new();
        set.insert(ChunkIndex(u32::MAX));
        assert!(set.is_empty());
        set.remove(ChunkIndex(u32::MAX));
        assert!(!set.contains(ChunkIndex(u32::MAX)));
    }
}
