//! What the mesh decides, case by case.

use super::*;

const ME: PeerId = PeerId([5; 16]);
const SMALLER: PeerId = PeerId([1; 16]);
const LARGER: PeerId = PeerId([9; 16]);
const OTHER: PeerId = PeerId([8; 16]);
const CONTENT: ContentId = ContentId([1; 32]);
const CONTENT_2: ContentId = ContentId([2; 32]);

fn drain(mesh: &mut Mesh) -> Vec<Command> {
    std::iter::from_fn(|| mesh.poll()).collect()
}

/// A mesh that is online, in the swarm of `CONTENT`, with nothing left to do.
fn joined(max_peers: u32) -> Mesh {
    let mut mesh = Mesh::new(max_peers);
    mesh.greeting(0.0);
    mesh.welcomed(ME);
    mesh.join(CONTENT, 5, 0.0);
    drain(&mut mesh);
    mesh
}

fn expecting(content: ContentId, peers: u32) -> Command {
    Command::Worker(ToWorker::Expecting { content, peers })
}

fn up(peer: PeerId) -> ToWorker {
    ToWorker::PeerUp { peer, me: ME, expected: Vec::new() }
}

fn join(content: ContentId) -> Command {
    Command::Coord(ToCoord::Join { content, want: 5, have: ChunkSet::new() })
}

/// Named by the server, and nothing expected of them.
fn peers(ids: &[PeerId]) -> Vec<Recommended> {
    ids.iter().copied().map(Recommended::from).collect()
}

fn interested(peer: PeerId, content: ContentId) -> Command {
    Command::Tell(peer, PeerMessage::Interested { content })
}

#[test]
fn joins_asked_before_the_socket_opens_go_out_when_it_does_and_again_after_a_reconnect() {
    let mut mesh = Mesh::new(8);
    mesh.join(CONTENT, 5, 0.0);
    mesh.join(CONTENT_2, 0, 0.0);
    mesh.leave(CONTENT_2);
    assert_eq!(drain(&mut mesh), []);
    let joining = join(CONTENT);

    mesh.greeting(0.0);
    mesh.welcomed(ME);
    assert_eq!(drain(&mut mesh), std::slice::from_ref(&joining));

    mesh.unreachable();
    assert_eq!(drain(&mut mesh), [Command::Worker(ToWorker::NoPeers)]);
    mesh.unreachable();
    assert_eq!(drain(&mut mesh), []);
    mesh.greeting(0.0);
    mesh.welcomed(OTHER);
    assert_eq!(drain(&mut mesh), [joining]);
}

#[test]
fn named_peers_are_called_up_to_the_limit_and_the_worker_hears_how_many() {
    let mut mesh = joined(2);

    mesh.named(CONTENT, peers(&[ME, SMALLER, LARGER, OTHER]), 0.0);

    assert_eq!(
        drain(&mut mesh),
        [Command::Call(SMALLER), Command::Call(LARGER), expecting(CONTENT, 2)]
    );
}

#[test]
fn an_empty_answer_tells_the_worker_that_nobody_is_there() {
    let mut mesh = joined(8);
    mesh.named(CONTENT, peers(&[]), 0.0);
    assert_eq!(drain(&mut mesh), [expecting(CONTENT, 0)]);
}

#[test]
fn an_answer_to_a_seed_says_nothing_of_peers_asked_for_later() {
    let mut mesh = Mesh::new(8);
    mesh.greeting(0.0);
    mesh.welcomed(ME);
    mesh.join(CONTENT, 0, 0.0);
    mesh.join(CONTENT, 5, 0.0);
    drain(&mut mesh);

    mesh.named(CONTENT, peers(&[]), 0.0);
    assert_eq!(drain(&mut mesh), []);
    mesh.named(CONTENT, peers(&[SMALLER]), 0.0);
    assert_eq!(drain(&mut mesh), [Command::Call(SMALLER), expecting(CONTENT, 1)]);
}

#[test]
fn a_refused_swarm_counts_as_empty_until_the_server_answers_otherwise() {
    let mut mesh = joined(8);
    mesh.refused_swarms();
    assert_eq!(drain(&mut mesh), [expecting(CONTENT, 0)]);
    mesh.named(CONTENT, peers(&[SMALLER]), 0.0);
    assert_eq!(drain(&mut mesh), [Command::Call(SMALLER), expecting(CONTENT, 1)]);
}

#[test]
fn a_page_that_went_away_and_comes_back_joins_again_and_calls_again() {
    let mut mesh = joined(8);
    mesh.named(CONTENT, peers(&[SMALLER]), 0.0);
    mesh.opened(SMALLER);
    drain(&mut mesh);

    mesh.hang_up_all();
    assert_eq!(drain(&mut mesh), [Command::HangUp(SMALLER)]);
    mesh.restate();
    assert_eq!(drain(&mut mesh), [], "nothing is known before the socket is open");

    mesh.greeting(0.0);
    mesh.welcomed(OTHER);
    mesh.named(CONTENT, peers(&[SMALLER]), 1.0);
    let joining = join(CONTENT);
    assert_eq!(drain(&mut mesh), [joining, Command::Call(SMALLER), expecting(CONTENT, 1)]);
}

#[test]
fn a_failed_call_makes_room_for_the_next_peer_and_is_not_repeated_within_its_time() {
    let mut mesh = joined(1);
    mesh.named(CONTENT, peers(&[SMALLER, LARGER]), 0.0);
    drain(&mut mesh);

    mesh.closed(SMALLER, 10.0);
    assert_eq!(drain(&mut mesh), [Command::Call(LARGER)]);
    mesh.closed(LARGER, 20.0);
    assert_eq!(drain(&mut mesh), [expecting(CONTENT, 0)]);

    mesh.named(CONTENT, peers(&[SMALLER]), FAILURE_MEMORY_MS);
    assert_eq!(drain(&mut mesh), []);
    mesh.named(CONTENT, peers(&[SMALLER]), 10.0 + FAILURE_MEMORY_MS);
    assert_eq!(drain(&mut mesh), [Command::Call(SMALLER), expecting(CONTENT, 1)]);
    assert_eq!(mesh.counts(), Counts { tried: 3, failed: 2, banned: 0 });
}

#[test]
fn an_opened_channel_says_hello_and_asks_for_every_wanted_content_first() {
    let mut mesh = joined(8);
    mesh.join(CONTENT_2, 0, 0.0);
    mesh.named(CONTENT, peers(&[SMALLER]), 0.0);
    drain(&mut mesh);

    mesh.opened(SMALLER);
    assert_eq!(
        drain(&mut mesh),
        [
            Command::Tell(SMALLER, PeerMessage::Hello { version: VERSION }),
            interested(SMALLER, CONTENT),
            Command::Worker(up(SMALLER)),
        ]
    );

    mesh.join(CONTENT_2, 5, 0.0);
    let joining = join(CONTENT_2);
    assert_eq!(drain(&mut mesh), [joining, interested(SMALLER, CONTENT_2)]);
}

#[test]
fn a_peer_that_called_us_counts_once_it_holds_something_of_ours() {
    let mut mesh = joined(8);
    mesh.named(CONTENT, peers(&[]), 0.0);
    assert_eq!(mesh.offered(SMALLER, 0.0), OfferVerdict::Accept);
    mesh.opened(SMALLER);
    drain(&mut mesh);

    mesh.peer_has(SMALLER, CONTENT, ChunkSet::new(), 0.0);
    let nothing = ToWorker::PeerHas { peer: SMALLER, content: CONTENT, chunks: ChunkSet::new() };
    assert_eq!(drain(&mut mesh), [Command::Worker(nothing)]);

    mesh.peer_has(SMALLER, CONTENT, ChunkSet::full(3), 0.0);
    assert_eq!(drain(&mut mesh).last(), Some(&expecting(CONTENT, 1)));
}

#[test]
fn what_a_peer_holds_of_a_content_that_we_did_not_ask_about_is_ignored() {
    let mut mesh = joined(8);
    mesh.offered(SMALLER, 0.0);
    mesh.opened(SMALLER);
    drain(&mut mesh);
    mesh.peer_has(SMALLER, CONTENT_2, ChunkSet::full(3), 0.0);
    assert_eq!(drain(&mut mesh), []);
}

#[test]
fn of_two_offers_that_cross_the_smaller_ids_stands_on_both_sides() {
    let mut mesh = joined(8);
    mesh.named(CONTENT, peers(&[SMALLER, LARGER]), 0.0);
    drain(&mut mesh);

    assert_eq!(mesh.offered(LARGER, 1.0), OfferVerdict::OursStands);
    assert_eq!(mesh.offered(SMALLER, 1.0), OfferVerdict::Accept);
    assert_eq!(drain(&mut mesh), [], "the number of peers is the same");
}

#[test]
fn an_offer_on_an_open_connection_replaces_it() {
    let mut mesh = joined(8);
    mesh.offered(SMALLER, 0.0);
    mesh.opened(SMALLER);
    drain(&mut mesh);
    assert_eq!(mesh.offered(SMALLER, 1.0), OfferVerdict::Accept);
    assert_eq!(drain(&mut mesh), [Command::Worker(ToWorker::PeerDown { peer: SMALLER })]);
}

#[test]
fn offers_are_answered_up_to_twice_the_limit() {
    let mut mesh = joined(1);
    assert_eq!(mesh.offered(SMALLER, 0.0), OfferVerdict::Accept);
    assert_eq!(mesh.offered(LARGER, 0.0), OfferVerdict::Accept);
    assert_eq!(mesh.offered(OTHER, 0.0), OfferVerdict::Full);
}

#[test]
fn a_banned_peer_is_hung_up_and_neither_called_nor_answered_again() {
    let mut mesh = joined(8);
    mesh.named(CONTENT, peers(&[SMALLER]), 0.0);
    mesh.opened(SMALLER);
    drain(&mut mesh);

    mesh.ban(SMALLER, 1.0);
    assert_eq!(
        drain(&mut mesh),
        [
            Command::HangUp(SMALLER),
            Command::Worker(ToWorker::PeerDown { peer: SMALLER }),
            expecting(CONTENT, 0),
        ]
    );
    assert_eq!(mesh.offered(SMALLER, 1e9), OfferVerdict::Ignore);
    mesh.named(CONTENT, peers(&[SMALLER]), 1e9);
    assert_eq!(drain(&mut mesh), []);
    assert_eq!(mesh.counts().banned, 1);
}

#[test]
fn a_peer_that_the_server_does_not_know_fails_only_if_it_is_not_open() {
    let mut mesh = joined(8);
    mesh.named(CONTENT, peers(&[SMALLER, LARGER]), 0.0);
    mesh.opened(LARGER);
    drain(&mut mesh);

    mesh.unknown(SMALLER, 1.0);
    assert_eq!(drain(&mut mesh), [Command::HangUp(SMALLER), expecting(CONTENT, 1)]);
    mesh.unknown(LARGER, 1.0);
    assert_eq!(mesh.open_count(), 1);
}

/// A mesh in no swarm, with a peer that has asked what it holds of `CONTENT_2`.
fn asked() -> Mesh {
    let mut mesh = joined(8);
    mesh.offered(SMALLER, 0.0);
    mesh.opened(SMALLER);
    mesh.interested(SMALLER, CONTENT_2, 0.0);
    mesh
}

fn have(chunks: ChunkSet) -> Command {
    Command::Tell(SMALLER, PeerMessage::Have { content: CONTENT_2, chunks })
}

#[test]
fn an_interested_peer_hears_at_once_what_we_hold_and_when_it_changes() {
    let mut mesh = asked();
    assert_eq!(drain(&mut mesh).last(), Some(&have(ChunkSet::new())));
    mesh.have(CONTENT_2, ChunkSet::full(2), 250.0);
    assert_eq!(drain(&mut mesh), [have(ChunkSet::full(2))]);
    mesh.have(CONTENT_2, ChunkSet::full(2), 9_000.0);
    assert_eq!(drain(&mut mesh), []);
    mesh.have(CONTENT_2, ChunkSet::full(1), 9_000.0);
    assert_eq!(drain(&mut mesh), [have(ChunkSet::full(1))], "what is gone is news too");
    mesh.interested(SMALLER, CONTENT_2, 9_001.0);
    assert_eq!(drain(&mut mesh), [have(ChunkSet::full(1))], "who asks again is answered again");
}

#[test]
fn what_comes_within_a_quarter_of_a_second_is_told_together() {
    let mut mesh = asked();
    mesh.have(CONTENT_2, ChunkSet::full(1), 1_000.0);
    drain(&mut mesh);
    assert_eq!(mesh.poll_timeout(), None);

    for count in 2..9 {
        mesh.have(CONTENT_2, ChunkSet::full(count), 1_000.0 + f64::from(count));
    }
    assert_eq!(drain(&mut mesh), []);
    assert_eq!(mesh.poll_timeout(), Some(1_250.0));
    mesh.tick(1_250.0);
    assert_eq!(drain(&mut mesh), [have(ChunkSet::full(8))]);
    assert_eq!(mesh.poll_timeout(), None);

    mesh.have(CONTENT_2, ChunkSet::full(9), 1_251.0);
    mesh.closed(SMALLER, 1_252.0);
    drain(&mut mesh);
    mesh.tick(1_501.0);
    assert_eq!(drain(&mut mesh), [], "it is gone");
}

#[test]
fn a_peer_does_not_hear_of_what_it_holds_itself_until_it_has_lost_it() {
    let mut mesh = asked();
    mesh.join(CONTENT_2, 5, 0.0);
    mesh.peer_has(SMALLER, CONTENT_2, ChunkSet::full(8), 1.0);
    drain(&mut mesh);

    mesh.have(CONTENT_2, ChunkSet::full(3), 6_000.0);
    let to_peers = |mesh: &mut Mesh| -> Vec<Command> {
        drain(mesh).into_iter().filter(|it| matches!(it, Command::Tell(..))).collect()
    };
    assert_eq!(to_peers(&mut mesh), []);
    mesh.have(CONTENT_2, ChunkSet::full(9), 7_000.0);
    assert_eq!(to_peers(&mut mesh), [have(ChunkSet::full(9))]);
    mesh.have(CONTENT_2, ChunkSet::full(8), 8_000.0);
    assert_eq!(to_peers(&mut mesh), [have(ChunkSet::full(8))], "the ninth is gone");

    mesh.peer_has(SMALLER, CONTENT_2, ChunkSet::full(20), 9_000.0);
    mesh.have(CONTENT_2, ChunkSet::full(10), 9_000.0);
    assert_eq!(to_peers(&mut mesh), []);
    mesh.peer_has(SMALLER, CONTENT_2, ChunkSet::full(9), 9_001.0);
    assert_eq!(to_peers(&mut mesh), [have(ChunkSet::full(10))]);
}

#[test]
fn a_new_worker_is_told_everything_again() {
    let mut mesh = joined(8);
    mesh.named(CONTENT, peers(&[SMALLER, LARGER]), 0.0);
    mesh.opened(SMALLER);
    mesh.peer_has(SMALLER, CONTENT, ChunkSet::full(3), 0.0);
    drain(&mut mesh);

    mesh.restate();
    let has = ToWorker::PeerHas { peer: SMALLER, content: CONTENT, chunks: ChunkSet::full(3) };
    assert_eq!(
        drain(&mut mesh),
        [Command::Worker(up(SMALLER)), Command::Worker(has), expecting(CONTENT, 2),]
    );

    mesh.unreachable();
    drain(&mut mesh);
    mesh.restate();
    assert!(drain(&mut mesh).contains(&Command::Worker(ToWorker::NoPeers)));
}

#[test]
fn a_connection_keeps_the_id_that_the_page_had_when_it_was_made() {
    let mut mesh = joined(8);
    mesh.offered(SMALLER, 0.0);
    mesh.opened(SMALLER);
    mesh.unreachable();
    mesh.greeting(0.0);
    mesh.welcomed(OTHER);
    mesh.offered(LARGER, 1.0);
    drain(&mut mesh);

    mesh.opened(LARGER);
    let newer = Command::Worker(ToWorker::PeerUp { peer: LARGER, me: OTHER, expected: Vec::new() });
    assert!(drain(&mut mesh).contains(&newer));
    mesh.restate();
    let told = drain(&mut mesh);
    assert!(told.contains(&Command::Worker(up(SMALLER))) && told.contains(&newer));
}

#[test]
fn what_a_named_peer_is_expected_to_hold_is_known_with_its_connection_until_it_says_itself() {
    let mut mesh = joined(8);
    let expected = ChunkSet::full(3);
    let named = |expected| vec![Recommended { peer: SMALLER, expected }];
    mesh.named(CONTENT, named(ChunkSet::full(1)), 0.0);
    mesh.named(CONTENT, named(expected.clone()), 0.0);
    drain(&mut mesh);

    mesh.opened(SMALLER);
    let up = |expected| Command::Worker(ToWorker::PeerUp { peer: SMALLER, me: ME, expected });
    assert!(drain(&mut mesh).contains(&up(vec![(CONTENT, expected.clone())])));
    mesh.restate();
    assert!(drain(&mut mesh).contains(&up(vec![(CONTENT, expected)])));

    mesh.peer_has(SMALLER, CONTENT, ChunkSet::full(2), 0.0);
    mesh.restate();
    let told = drain(&mut mesh);
    assert!(told.contains(&up(vec![])), "{told:?}");
}

#[test]
fn no_more_is_expected_of_a_peer_than_the_protocol_allows() {
    let mut mesh = joined(8);
    let scattered: ChunkSet = (0..500).step_by(2).map(dcdn_protocol::ChunkIndex).collect();
    let expected = scattered.first_runs(MAX_HELD_RUNS);
    mesh.named(CONTENT, vec![Recommended { peer: SMALLER, expected: scattered }], 0.0);
    mesh.opened(SMALLER);
    let expected = vec![(CONTENT, expected)];
    let up = Command::Worker(ToWorker::PeerUp { peer: SMALLER, me: ME, expected });
    assert!(drain(&mut mesh).contains(&up));
}

#[test]
fn the_server_hears_what_we_hold_with_the_join_and_what_comes_at_most_every_five_seconds() {
    let mut mesh = Mesh::new(8);
    mesh.have(CONTENT, ChunkSet::full(1), 0.0);
    mesh.join(CONTENT, 5, 0.0);
    mesh.greeting(100.0);
    mesh.welcomed(ME);
    let have = ChunkSet::full(1);
    let joining = Command::Coord(ToCoord::Join { content: CONTENT, want: 5, have });
    assert_eq!(drain(&mut mesh), [joining]);
    assert_eq!(mesh.poll_timeout(), None);
    let have =
        |count| Command::Coord(ToCoord::Have { content: CONTENT, have: ChunkSet::full(count) });

    mesh.have(CONTENT, ChunkSet::full(2), 200.0);
    mesh.have(CONTENT, ChunkSet::full(3), 300.0);
    assert_eq!(mesh.poll_timeout(), Some(5_100.0));
    mesh.tick(5_099.0);
    assert_eq!(drain(&mut mesh), []);
    mesh.tick(5_100.0);
    assert_eq!(drain(&mut mesh), [have(3)]);
    assert_eq!(mesh.poll_timeout(), None);

    mesh.have(CONTENT, ChunkSet::full(4), 20_000.0);
    assert_eq!(drain(&mut mesh), [have(4)]);
    mesh.have(CONTENT_2, ChunkSet::full(4), 20_000.0);
    assert_eq!(drain(&mut mesh), [], "nobody asked for that swarm");
}

#[test]
fn what_is_no_longer_held_is_offered_neither_to_peers_nor_to_the_server() {
    let mut mesh = joined(8);
    mesh.have(CONTENT, ChunkSet::full(4), 10_000.0);
    mesh.offered(OTHER, 10_000.0);
    mesh.opened(OTHER);
    mesh.interested(OTHER, CONTENT, 10_000.0);
    drain(&mut mesh);
    let none = ChunkSet::new;

    mesh.have(CONTENT, none(), 30_000.0);

    let server = Command::Coord(ToCoord::Have { content: CONTENT, have: none() });
    let peer = Command::Tell(OTHER, PeerMessage::Have { content: CONTENT, chunks: none() });
    assert_eq!(drain(&mut mesh), [server, peer]);
    assert_eq!(mesh.holding(CONTENT), None);
    mesh.have(CONTENT, none(), 60_000.0);
    assert_eq!(drain(&mut mesh), []);
}

#[test]
fn a_scattered_holding_is_cut_for_the_server() {
    let mut mesh = Mesh::new(8);
    mesh.greeting(0.0);
    mesh.welcomed(ME);
    let scattered: ChunkSet = (0..500).step_by(2).map(dcdn_protocol::ChunkIndex).collect();
    mesh.have(CONTENT, scattered.clone(), 0.0);
    mesh.join(CONTENT, 5, 0.0);
    let have = scattered.first_runs(MAX_HELD_RUNS);
    let joining = Command::Coord(ToCoord::Join { content: CONTENT, want: 5, have });
    assert_eq!(drain(&mut mesh), [joining]);
}

#[test]
fn asking_again_calls_only_whom_it_is_not_connected_to_and_who_has_not_just_failed() {
    let mut mesh = joined(8);
    mesh.named(CONTENT, peers(&[SMALLER, LARGER]), 0.0);
    mesh.opened(SMALLER);
    mesh.closed(LARGER, 1.0);
    drain(&mut mesh);

    mesh.join(CONTENT, 8, 2.0);
    let again = ToCoord::Join { content: CONTENT, want: 8, have: ChunkSet::new() };
    assert_eq!(drain(&mut mesh), [Command::Coord(again)], "no peer is asked twice");
    mesh.named(CONTENT, peers(&[LARGER, SMALLER, OTHER]), 3.0);
    assert_eq!(drain(&mut mesh), [Command::Call(OTHER), expecting(CONTENT, 2)]);
}

#[test]
fn asking_again_without_an_answer_of_news_leaves_the_number_of_peers_as_it_was() {
    let mut mesh = joined(8);
    mesh.named(CONTENT, peers(&[SMALLER]), 0.0);
    mesh.opened(SMALLER);
    drain(&mut mesh);

    mesh.join(CONTENT, 8, 1.0);
    drain(&mut mesh);
    mesh.closed(SMALLER, 2.0);
    let down = Command::Worker(ToWorker::PeerDown { peer: SMALLER });
    assert_eq!(drain(&mut mesh), [down], "the answer may name others");
    mesh.named(CONTENT, peers(&[SMALLER]), 3.0);
    assert_eq!(drain(&mut mesh), [expecting(CONTENT, 0)]);
}

#[test]
fn a_content_left_and_joined_again_is_asked_about_again() {
    let mut mesh = joined(8);
    mesh.offered(SMALLER, 0.0);
    mesh.opened(SMALLER);
    mesh.leave(CONTENT);
    drain(&mut mesh);
    mesh.join(CONTENT, 5, 0.0);
    assert!(drain(&mut mesh).contains(&interested(SMALLER, CONTENT)));
}

#[test]
fn a_scattered_holding_still_fits_one_message() {
    let mut mesh = joined(8);
    mesh.offered(SMALLER, 0.0);
    mesh.opened(SMALLER);
    let scattered = (900_000..950_000).step_by(2).map(dcdn_protocol::ChunkIndex).collect();
    mesh.have(CONTENT_2, scattered, 0.0);
    drain(&mut mesh);

    mesh.interested(SMALLER, CONTENT_2, 0.0);
    let Some(Command::Tell(_, have)) = mesh.poll() else { panic!("no answer") };
    let frame = dcdn_protocol::frame::encode_head(&have).expect("it fits a header");
    assert!(frame.len() <= dcdn_protocol::message::peer::MAX_MESSAGE);
}
