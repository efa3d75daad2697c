//! Buffers in the browser's memory: what is readable when.
#![allow(clippy::unwrap_used)]

use wasm_bindgen_test::*;

use super::*;

wasm_bindgen_test_configure!(run_in_service_worker);

const LINK: Link = Link(7);
const FIRST: ChunkIndex = ChunkIndex(0);
/// Bytes in a chunk.
const SIZE: u32 = 1024;

/// Two chunks and a half.
fn layout() -> Layout {
    Layout::new(2560, SIZE).unwrap()
}

fn piece(value: u8, length: u32) -> Uint8Array {
    Uint8Array::new_with_length(length).fill(value, 0, length)
}

/// Length, first byte and source of what a reader at `offset` would get.
fn read(chunks: &Chunks, offset: u64) -> Option<(u32, u8, Source)> {
    let (view, source) = chunks.read(layout(), offset, u64::MAX)?;
    Some((view.length(), view.get_index(0), source))
}

#[wasm_bindgen_test]
fn what_the_origin_sends_is_read_as_it_comes() {
    let mut chunks = Chunks::default();
    assert_eq!(chunks.fill(layout(), 0, &piece(1, 1000)), []);
    assert_eq!(read(&chunks, 10), Some((990, 1, Source::Http)));
    assert_eq!(
        chunks.fill(layout(), 1000, &piece(2, 1560)),
        [Complete::Whole(FIRST), Complete::Whole(ChunkIndex(1)), Complete::Whole(ChunkIndex(2)),]
    );
    assert_eq!(read(&chunks, 2048), Some((512, 2, Source::Http)));
}

#[wasm_bindgen_test]
fn who_begins_in_the_middle_of_a_chunk_gets_its_end_and_nobody_takes_that_for_the_whole() {
    let mut chunks = Chunks::default();
    chunks.begin_at(layout(), 1024 + 600);
    assert_eq!(chunks.fill(layout(), 1624, &piece(1, 100)), []);
    assert_eq!(read(&chunks, 1624), Some((100, 1, Source::Http)));
    assert_eq!(read(&chunks, 1623), None);

    let second = ChunkIndex(1);
    assert_eq!(
        chunks.fill(layout(), 1724, &piece(2, 836)),
        [Complete::Tail(second), Complete::Whole(ChunkIndex(2))]
    );
    assert_eq!(read(&chunks, 1800), Some((248, 2, Source::Http)));
    assert!(chunks.whole(second).is_none());
    assert_eq!(chunks.unverified(), [ChunkIndex(2)]);
    let tail = chunks.tail(second).unwrap();
    assert_eq!((tail.missing, tail.bytes.length(), tail.bytes.get_index(700)), (600, SIZE, 2));

    let mut completed = Chunks::default();
    completed.begin_at(layout(), 1624);
    completed.fill(layout(), 1624, &piece(2, 424));
    assert!(!completed.complete(&tail), "the tail of another buffer");
    let tail = completed.tail(second).unwrap();
    assert!(completed.complete(&tail));
    assert!(completed.whole(second).is_some() && completed.unverified().is_empty());

    // Somebody else wants it from its start.
    assert_eq!(chunks.fill(layout(), 1024, &piece(3, 500)), []);
    assert_eq!(read(&chunks, 1024), Some((500, 3, Source::Http)));
    assert!(chunks.tail(second).is_none());
    assert_eq!(chunks.fill(layout(), 1524, &piece(3, 524)), [Complete::Whole(second)]);
}

#[wasm_bindgen_test]
fn where_a_chunk_begins_or_something_is_there_nothing_is_begun_in_the_middle() {
    let mut chunks = Chunks::default();
    chunks.begin_at(layout(), 1024);
    assert!(!chunks.has(ChunkIndex(1)));

    chunks.fill(layout(), 0, &piece(1, 300));
    chunks.begin_at(layout(), 200);
    assert_eq!(read(&chunks, 0), Some((300, 1, Source::Http)));
    assert_eq!(chunks.fill(layout(), 200, &piece(2, 824)), [Complete::Whole(FIRST)]);
}

#[wasm_bindgen_test]
fn a_mixed_chunk_is_nothing_to_readers_until_it_is_cleared_and_then_has_two_sources() {
    let mut chunks = Chunks::default();
    assert!(chunks.begin(layout(), FIRST, &piece(1, 100), LINK));
    assert_eq!(read(&chunks, 0), None);
    assert!(chunks.suspect(FIRST).is_none(), "it is not complete");

    assert_eq!(chunks.fill(layout(), 100, &piece(2, 924)), [Complete::Mixed(FIRST)]);
    assert_eq!(read(&chunks, 0), None);
    assert_eq!(read(&chunks, 500), None, "not even what the origin sent");
    assert!(chunks.whole(FIRST).is_none() && chunks.unverified().is_empty());
    let (link, bytes) = chunks.suspect(FIRST).unwrap();
    assert_eq!((link, bytes.length()), (LINK, SIZE));

    chunks.clear(FIRST);
    assert_eq!(read(&chunks, 0), Some((100, 1, Source::P2p)));
    assert_eq!(read(&chunks, 99), Some((1, 1, Source::P2p)));
    assert_eq!(read(&chunks, 100), Some((924, 2, Source::Http)));
    assert!(chunks.suspect(FIRST).is_none() && chunks.whole(FIRST).is_some());
}

#[wasm_bindgen_test]
fn where_the_origin_starts_earlier_its_bytes_take_the_place_of_the_peers() {
    for (start, sources) in [(0, (1000, 2, Source::Http)), (40, (40, 1, Source::P2p))] {
        let mut chunks = Chunks::default();
        assert!(chunks.begin(layout(), FIRST, &piece(1, 100), LINK));

        chunks.fill(layout(), start, &piece(2, 10));
        let partly = (start == 0).then_some((10, 2, Source::Http));
        assert_eq!(read(&chunks, 0), partly, "the peer's bytes behind it do not count");
        chunks.fill(layout(), start + 10, &piece(2, 990 - u32::try_from(start).unwrap()));
        chunks.fill(layout(), 1000, &piece(3, 24));

        chunks.clear(FIRST);
        let (length, value, source) = read(&chunks, 0).unwrap();
        let length = length.min(1000);
        assert_eq!((length, value, source), sources);
    }
}

#[wasm_bindgen_test]
fn a_beginning_is_kept_only_where_there_is_nothing_and_only_if_it_is_one() {
    let mut chunks = Chunks::default();
    for length in [0, SIZE, SIZE + 1] {
        assert!(!chunks.begin(layout(), FIRST, &piece(1, length), LINK), "{length}");
    }
    chunks.fill(layout(), 0, &piece(2, 10));
    assert!(!chunks.begin(layout(), FIRST, &piece(1, 100), LINK));
    assert_eq!(read(&chunks, 0), Some((10, 2, Source::Http)));
}

#[wasm_bindgen_test]
fn a_chunk_that_comes_whole_takes_the_place_of_a_mixed_one() {
    let mut chunks = Chunks::default();
    assert!(chunks.begin(layout(), FIRST, &piece(1, 100), LINK));
    chunks.put(FIRST, piece(3, SIZE), Source::P2p.into());
    assert_eq!(chunks.fill(layout(), 100, &piece(2, 924)), []);
    assert_eq!(read(&chunks, 0), Some((SIZE, 3, Source::P2p)));
}

#[wasm_bindgen_test]
fn without_a_beginning_what_the_origin_sends_from_the_middle_is_of_no_use() {
    let mut chunks = Chunks::default();
    assert_eq!(chunks.fill(layout(), 100, &piece(2, 924)), []);
    assert_eq!(read(&chunks, 100), None);
}

#[wasm_bindgen_test]
fn what_cannot_be_verified_any_more_goes() {
    let mut chunks = Chunks::default();
    assert!(chunks.begin(layout(), FIRST, &piece(1, 100), LINK));
    chunks.fill(layout(), 1024, &piece(2, 1024));
    chunks.cannot_be_verified();
    assert!(chunks.fill(layout(), 100, &piece(2, 924)).is_empty());
    assert_eq!(read(&chunks, 1024), Some((1024, 2, Source::Http)), "the origin is believed");
}
