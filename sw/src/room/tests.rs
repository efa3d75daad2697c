//! What goes, in random stores.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn id(number: u8) -> ContentId {
    ContentId([number; 32])
}

fn shelf(number: u8, bytes: u64, used_ms: f64) -> Shelf {
    Shelf { content: id(number), bytes, being_written: 0, used_ms, referenced: true, in_use: false }
}

fn wanted(number: u8, bytes: u64, whole: u64) -> Option<Wanted> {
    Some(Wanted { content: id(number), bytes, whole })
}

#[test]
fn what_was_used_longest_ago_goes_first_and_no_more_than_must() {
    let shelves = [shelf(1, 40, 3.0), shelf(2, 40, 1.0), shelf(3, 20, 2.0)];

    assert_eq!(make_room(&shelves, wanted(9, 10, 10), 100).out, [id(2)]);
    assert_eq!(make_room(&shelves, wanted(9, 50, 50), 100).out, [id(2), id(3)]);
    assert_eq!(make_room(&shelves, wanted(9, 10, 10), 110).out, []);
}

#[test]
fn what_no_url_refers_to_goes_before_anything_older() {
    let orphan = Shelf { referenced: false, ..shelf(2, 50, 9.0) };
    let shelves = [shelf(1, 50, 1.0), orphan];

    assert_eq!(make_room(&shelves, wanted(9, 10, 10), 100).out, [id(2)]);
}

#[test]
fn what_is_read_stays_and_what_has_no_room_beside_it_is_not_stored() {
    let read = Shelf { in_use: true, ..shelf(1, 95, 1.0) };
    let shelves = [read, shelf(2, 5, 2.0)];

    let plan = make_room(&shelves, wanted(9, 10, 10), 100);

    assert_eq!(plan, Plan::default(), "nothing goes in vain");
}

#[test]
fn a_budget_that_has_shrunk_is_kept_to_even_if_nothing_is_stored() {
    let shelves =
        [shelf(1, 40, 1.0), shelf(2, 40, 2.0), Shelf { in_use: true, ..shelf(3, 40, 0.0) }];

    assert_eq!(make_room(&shelves, None, 100).out, [id(1)]);
    assert_eq!(make_room(&shelves, None, 10).out, [id(1), id(2)]);
    assert_eq!(make_room(&shelves, wanted(9, 10, 10), 0).out, [id(1), id(2)]);
}

#[test]
fn a_content_longer_than_the_budget_has_half_of_it_and_keeps_what_is_near() {
    let layout = Layout::new(1024 * 1000, 1024).expect("a layout");
    let kib = |chunks: u64| chunks * 1024;
    let shelves = [shelf(1, kib(50), 1.0), shelf(2, kib(50), 2.0)];
    let film = wanted(2, kib(1), layout.length());

    let plan = make_room(&shelves, film, kib(100));
    assert_eq!(plan, Plan { out: vec![], own: kib(1), fits: true });

    let coming = Shelf { bytes: 0, being_written: kib(50), in_use: true, ..shelves[1] };
    let plan_beside = make_room(&[shelves[0], coming], film, kib(100));
    assert!(!plan_beside.fits, "nothing of it is there to be given up yet");

    let held = ChunkSet::full(50);
    let gone = |near| farthest(&held, layout, ChunkIndex(near), plan.own);
    assert_eq!(gone(50).iter().collect::<Vec<_>>(), [ChunkIndex(0)]);
    assert_eq!(gone(2).iter().collect::<Vec<_>>(), [ChunkIndex(49)]);
    assert_eq!(farthest(&held, layout, ChunkIndex(0), kib(1000)), held);
}

prop_compose! {
    fn any_shelf()(
        bytes in 0..1000u64,
        coming in prop_oneof![Just(0), 1..500u64],
        used in 0..5u8,
        referenced: bool,
        read: bool,
    ) -> Shelf {
        let (being_written, in_use) = (coming, read || coming > 0);
        Shelf { content: id(0), bytes, being_written, used_ms: used.into(), referenced, in_use }
    }
}

fn any_store() -> impl Strategy<Value = Vec<Shelf>> {
    vec(any_shelf(), 0..20).prop_map(|shelves| {
        (1..).zip(shelves).map(|(number, it)| Shelf { content: id(number), ..it }).collect()
    })
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    (1..30u8, 0..500u64, 0..20_000u64).prop_map(|(number, bytes, more)| Wanted {
        content: id(number),
        bytes,
        whole: bytes + more,
    })
}

fn bytes_of(shelves: &[Shelf], of: impl Fn(&Shelf) -> bool) -> u64 {
    let bytes = |shelf: &Shelf| shelf.bytes + shelf.being_written;
    shelves.iter().filter(|shelf| of(shelf)).map(bytes).sum()
}

proptest! {
    #[test]
    fn the_store_is_within_its_budget_afterwards(
        shelves in any_store(), wanted in any_wanted(), budget in 0..10_000u64,
    ) {
        let plan = make_room(&shelves, Some(wanted), budget);
        let stays = bytes_of(&shelves, |it| !plan.out.contains(&it.content)) - plan.own;

        if plan.fits {
            prop_assert!(stays + wanted.bytes <= budget);
        } else {
            // Only what may not go can be more.
            let fixed = |it: &Shelf| it.in_use || it.content == wanted.content;
            prop_assert!(stays <= budget || stays == bytes_of(&shelves, fixed));
        }
    }

    #[test]
    fn nothing_goes_that_is_in_use_or_wanted_or_not_there(
        shelves in any_store(), wanted in any_wanted(), budget in 0..10_000u64,
    ) {
        let plan = make_room(&shelves, Some(wanted), budget);

        for out in &plan.out {
            let shelf = shelves.iter().find(|it| it.content == *out);
            prop_assert!(shelf.is_some_and(|it| !it.in_use && it.bytes > 0));
            prop_assert!(*out != wanted.content);
        }
        let own = shelves.iter().find(|it| it.content == wanted.content).map_or(0, |it| it.bytes);
        prop_assert!(plan.own <= own && (plan.own == 0 || wanted.whole > budget));
    }

    #[test]
    fn what_goes_is_less_useful_than_what_stays_and_no_more_than_must(
        shelves in any_store(), wanted in any_wanted(), budget in 0..10_000u64,
    ) {
        let plan = make_room(&shelves, Some(wanted), budget);
        let is_out = |it: &&Shelf| plan.out.contains(&it.content);
        let may_go = |it: &&Shelf| !it.in_use && it.bytes > 0 && it.content != wanted.content;

        for gone in shelves.iter().filter(is_out) {
            for stays in shelves.iter().filter(may_go).filter(|it| !is_out(it)) {
                let use_of = |it: &Shelf| (it.referenced, it.used_ms);
                prop_assert!(use_of(gone) <= use_of(stays), "{gone:?} instead of {stays:?}");
            }
        }
        if let Some((last, _)) = plan.out.split_last() {
            let last = bytes_of(&shelves, |it| it.content == *last);
            let stays = bytes_of(&shelves, |it| !plan.out.contains(&it.content)) - plan.own;
            let new = if plan.fits { wanted.bytes } else { 0 };
            prop_assert!(stays + last + new > budget, "the last went in vain");
        }
    }

    #[test]
    fn with_nothing_in_use_whatever_is_within_the_budget_finds_room(
        shelves in any_store(), wanted in any_wanted(), budget in 0..10_000u64,
    ) {
        let free: Vec<Shelf> = shelves
            .iter()
            .map(|it| Shelf { in_use: false, being_written: 0, ..*it })
            .filter(|it| it.content != wanted.content)
            .collect();
        let plan = make_room(&free, Some(wanted), budget);

        prop_assert_eq!(plan.fits, wanted.bytes <= if wanted.whole <= budget { budget } else { budget / 2 });
    }

    #[test]
    fn the_farthest_are_no_nearer_than_what_stays(
        held in vec((0..300u32, 1..20u32), 0..10), near in 0..320u32, bytes in 0..400_000u64,
    ) {
        let layout = Layout::new(320 * 1024, 1024).expect("a layout");
        let mut chunks = ChunkSet::new();
        held.iter().for_each(|(start, count)| chunks.insert_run(*start..start + count));

        let gone = farthest(&chunks, layout, ChunkIndex(near), bytes);
        let stays = chunks.without(&gone);

        prop_assert!(gone.without(&chunks).is_empty());
        prop_assert!(u64::from(gone.count()) * 1024 >= bytes || stays.is_empty());
        prop_assert!(bytes > 0 || gone.is_empty());
        let nearest = gone.iter().map(|it| it.0.abs_diff(near)).min();
        let farthest = stays.iter().map(|it| it.0.abs_diff(near)).max();
        prop_assert!(nearest >= farthest || nearest.is_none());
    }
}
