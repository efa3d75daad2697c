//! The catalogue against what there is.

use dcdn_protocol::ChunkIndex;

use super::*;

const CHUNK: u32 = 1024;

fn id(number: u8) -> ContentId {
    ContentId([number; 32])
}

fn chunk(number: u8, index: u32) -> Entry {
    Entry::Chunk(id(number), ChunkIndex(index))
}

fn manifest(url: &str) -> Entry {
    Entry::Manifest(url.to_owned())
}

/// `/a` is content 1 of four chunks, the last of them half, of which the first two are there.
fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    let layout = Layout::new(u64::from(CHUNK) * 7 / 2, CHUNK).expect("a layout");
    catalogue.describe("/a", id(1), layout, 5.0);
    catalogue.contents.entry(id(1)).or_default().chunks.insert_run(0..2);
    catalogue
}

#[test]
fn bytes_are_those_of_the_chunks_that_are_there_the_short_last_one_too() {
    let mut catalogue = catalogue();
    assert_eq!(catalogue.bytes(), 2048);
    catalogue.contents.entry(id(1)).or_default().chunks.insert(ChunkIndex(3));
    assert_eq!(catalogue.bytes(), 2560);
}

#[test]
fn what_was_written_and_not_noted_is_held_if_its_content_is_known_and_goes_if_not() {
    let mut catalogue = catalogue();
    let there =
        vec![chunk(1, 0), chunk(1, 2), chunk(1, 4), chunk(2, 0), manifest("/a"), manifest("/b")];

    let lost = catalogue.reconcile(there);

    assert_eq!(lost, [chunk(1, 4), chunk(2, 0), manifest("/b")]);
    let held: Vec<u32> = catalogue.chunks(id(1)).iter().map(|it| it.0).collect();
    assert_eq!(held, [0, 2], "1 was noted and is gone, 2 was not noted and is there");
}

#[test]
fn a_content_of_which_nothing_is_left_is_forgotten_unless_a_url_refers_to_it() {
    let mut catalogue = catalogue();
    let layout = Layout::new(10, CHUNK).expect("a layout");
    catalogue.describe("/a", id(2), layout, 6.0);

    assert_eq!(catalogue.reconcile(vec![manifest("/a")]), []);

    assert_eq!(catalogue.contents.keys().copied().collect::<Vec<_>>(), [id(2)]);
}

#[test]
fn forgetting_a_content_names_its_chunks_and_the_manifests_of_all_its_urls() {
    let mut catalogue = catalogue();
    let layout = Layout::new(u64::from(CHUNK) * 7 / 2, CHUNK).expect("a layout");
    catalogue.describe("/b?x", id(1), layout, 6.0);
    catalogue.describe("/c", id(3), layout, 6.0);

    let gone = catalogue.forget(id(1));

    assert_eq!(gone, [chunk(1, 0), chunk(1, 1), manifest("/a"), manifest("/b?x")]);
    assert_eq!(catalogue.urls.keys().collect::<Vec<_>>(), ["/c"]);
    assert_eq!(catalogue.forget(id(9)), []);
}

#[test]
fn what_no_url_refers_to_is_known_as_such() {
    let mut catalogue = catalogue();
    let layout = Layout::new(10, CHUNK).expect("a layout");
    catalogue.describe("/a", id(2), layout, 6.0);

    let shelves = catalogue.shelves(|content| content == id(2), |_| 7);

    let seen: Vec<_> = shelves
        .iter()
        .map(|it| (it.content, it.referenced, it.in_use, it.bytes, it.being_written))
        .collect();
    assert_eq!(seen, [(id(1), false, false, 2048, 7), (id(2), true, true, 0, 7)]);
}

#[test]
fn it_survives_being_written_down() {
    let catalogue = Catalogue { settled: true, ..catalogue() };
    let written: serde_json::Value = catalogue.write();
    assert_eq!(Catalogue::read(&written), Some(catalogue));
    assert_eq!(Catalogue::read(&serde_json::json!({})), Some(Catalogue::default()));
}
