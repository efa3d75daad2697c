//! Which bytes of a resource a page has been given, and from where each first came.

use dcdn_protocol::ByteRange;
use dcdn_protocol::stats::Source;

/// Bytes that lie together and first came from one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which.
    pub range: ByteRange,
    /// From where.
    pub source: Source,
}

/// All of them; memory follows how often the source changes.
#[derive(Debug, Default)]
pub struct Spans(
    /// Not empty, ascending and apart.
    Vec<Span>,
);

impl Spans {
    /// `range` has been delivered. Returns how many of its bytes are new; those that are
    /// not stay with their first source.
    pub fn insert(&mut self, range: ByteRange, source: Source) -> u64 {
        let mut next = self.0.partition_point(|it| it.range.end <= range.start);
        let (mut position, mut new) = (range.start, 0);
        while position < range.end {
            let known = self.0.get(next).map(|it| it.range);
            let gap =
                ByteRange::new(position, known.map_or(range.end, |it| it.start.min(range.end)));
            new += gap.len();
            match next.checked_sub(1).and_then(|before| self.0.get_mut(before)) {
                _ if gap.is_empty() => {}
                Some(before) if before.range.end == gap.start && before.source == source => {
                    before.range.end = gap.end;
                }
                _ => {
                    self.0.insert(next, Span { range: gap, source });
                    next += 1;
                }
            }
            position = known.map_or(range.end, |it| it.end);
            next += 1;
        }
        new
    }

    /// The spans, ascending and apart.
    pub fn iter(&self) -> impl Iterator<Item = Span> {
        self.0.iter().copied()
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    proptest! {
        #[test]
        fn each_byte_is_counted_once_and_stays_with_its_first_source(
            deliveries in vec(
                (0..60u64, 0..20u64, select(vec![Source::Http, Source::P2p, Source::Cache])),
                0..30,
            )
        ) {
            let (mut spans, mut model) = (Spans::default(), BTreeMap::new());
            for (start, len, source) in deliveries {
                let before = model.len();
                for byte in start..start + len {
                    model.entry(byte).or_insert(source);
                }
                let new = spans.insert(ByteRange::new(start, start + len), source);
                prop_assert_eq!(new, (model.len() - before) as u64);

                let told = spans.iter().flat_map(|it| {
                    (it.range.start..it.range.end).map(move |byte| (byte, it.source))
                });
                prop_assert_eq!(told.collect::<Vec<_>>(), model.clone().into_iter().collect::<Vec<_>>());
                prop_assert!(spans.iter().all(|it| !it.range.is_empty()));
            }
        }
    }

    #[test]
    fn what_comes_in_order_from_one_source_is_one_span() {
        let mut spans = Spans::default();
        for start in [0, 10, 20] {
            spans.insert(ByteRange::new(start, start + 10), Source::P2p);
        }
        let whole = Span { range: ByteRange::new(0, 30), source: Source::P2p };
        assert_eq!(spans.iter().collect::<Vec<_>>(), [whole]);
    }
}
