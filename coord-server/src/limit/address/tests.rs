#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::time::Duration;

use dcdn_protocol::{ChunkSet, ContentId};

use super::*;

const NO_MORE: Rate = Rate { capacity: 2, per_second: 1 };

fn guard(most_sockets: usize, limits: AddressLimits) -> Guard {
    Guard::new(10, most_sockets, limits, AddressRefusals::default())
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn join(bytes: usize) -> Event {
    let content = ContentId([1; 32]);
    Event::Received(ToCoord::Join { content, want: 0, have: ChunkSet::new() }, bytes)
}

#[test]
fn an_address_gets_its_sockets_and_gives_them_back() {
    let now = Instant::now();
    let guard = guard(10, AddressLimits { sockets: 2, ..AddressLimits::default() });
    let purse = guard.purse(address("192.0.2.1"), now);

    let first = purse.socket(now).unwrap();
    let _second = purse.socket(now).unwrap();
    assert_eq!(purse.socket(now).unwrap_err(), NoSocket::Address(Excess::Sockets));
    let _other = guard.purse(address("192.0.2.2"), now).socket(now).unwrap();
    drop(first);
    let _third = guard.purse(address("192.0.2.1"), now).socket(now).unwrap();
}

#[test]
fn addresses_of_one_household_share_and_unknown_ones_have_no_bounds_but_the_servers() {
    let now = Instant::now();
    let guard = guard(4, AddressLimits { sockets: 1, ..AddressLimits::default() });
    let _one = guard.purse(address("2001:db8::1"), now).socket(now).unwrap();
    let same = guard.purse(address("2001:db8::2"), now).socket(now);
    assert_eq!(same.unwrap_err(), NoSocket::Address(Excess::Sockets));

    let _unknown: Vec<_> = (0..3).map(|_| guard.purse(None, now).socket(now).unwrap()).collect();
    let full = guard.purse(address("192.0.2.7"), now).socket(now);
    assert_eq!(full.unwrap_err(), NoSocket::Full);
}

#[test]
fn a_question_opens_no_socket_and_costs_none() {
    let now = Instant::now();
    let limits = AddressLimits { connects: NO_MORE, ..AddressLimits::default() };
    let purse = guard(10, limits).purse(address("192.0.2.1"), now);

    for _ in 0..3 {
        purse.check_socket(now).unwrap();
    }
    for _ in 0..2 {
        drop(purse.socket(now).unwrap());
    }
    let refused = Err(NoSocket::Address(Excess::Connects));
    assert_eq!(purse.check_socket(now), refused);
    assert_eq!(purse.check_socket(now + Duration::from_secs(1)), Ok(()));
}

#[test]
fn the_sockets_of_an_address_share_what_it_may_send() {
    let now = Instant::now();
    let events = [
        (AddressLimits { joins: NO_MORE, ..AddressLimits::default() }, 9, Excess::Joins),
        (AddressLimits { messages: NO_MORE, ..AddressLimits::default() }, 9, Excess::Messages),
        (AddressLimits { bytes: NO_MORE, ..AddressLimits::default() }, 1, Excess::Bytes),
    ];
    for (limits, bytes, excess) in events {
        let guard = guard(10, limits);
        let socket = || guard.purse(address("192.0.2.1"), now).socket(now).unwrap();
        let (one, other) = (socket(), socket());
        one.hear(&join(bytes), now).unwrap();
        other.hear(&join(bytes), now).unwrap();
        assert_eq!(one.hear(&join(bytes), now), Err(excess));
        one.hear(&join(bytes), now + Duration::from_secs(2)).unwrap();
    }
}

#[test]
fn a_large_file_is_hashed_and_the_next_when_it_is_paid_off() {
    let now = Instant::now();
    let limits = AddressLimits { hashing: NO_MORE, ..AddressLimits::default() };
    let purse = guard(10, limits).purse(address("192.0.2.1"), now);

    purse.hash(512 << 10, now).unwrap();
    assert_eq!(purse.hash(1, now + Duration::from_secs(510)), Err(Excess::Hashing));
    purse.hash(1, now + Duration::from_secs(511)).unwrap();
    // A small one costs as much as a chunk.
    assert_eq!(purse.hash(1, now + Duration::from_secs(600)), Err(Excess::Hashing));
}

#[test]
fn an_address_has_so_many_connections_and_gives_them_back() {
    let now = Instant::now();
    let limits = AddressLimits { connections: 2, ..AddressLimits::default() };
    let guard = guard(10, limits);
    let purse = guard.purse(address("192.0.2.1"), now);
    let _first = purse.connection().unwrap();
    let second = purse.connection().unwrap();

    assert_eq!(purse.connection().unwrap_err(), Excess::Connections);
    let _other = guard.purse(address("192.0.2.2"), now).connection().unwrap();
    let _of_a_proxy = guard.purse(None, now).connection().unwrap();
    drop(second);
    let _again = purse.connection().unwrap();
}

#[test]
fn however_many_addresses_come_so_many_are_remembered_and_open_sockets_among_them() {
    let now = Instant::now();
    let guard = guard(10, AddressLimits { sockets: 1, ..AddressLimits::default() });
    let purse = guard.purse(address("2001:db8::1"), now);
    let _open = purse.socket(now).unwrap();
    drop(purse);

    for number in 0..3 * u32::try_from(MOST_ACCOUNTS).unwrap() {
        let stranger = guard.purse(Some(Ipv4Addr::from(number).into()), now);
        stranger.hash(1 << 20, now).unwrap();
    }

    assert!(guard.lock().accounts.len() <= MOST_ACCOUNTS);
    let again = guard.purse(address("2001:db8::1"), now).socket(now);
    assert_eq!(again.unwrap_err(), NoSocket::Address(Excess::Sockets));
}

#[test]
fn an_address_is_forgotten_when_nothing_of_it_is_open_and_it_has_paid_off_what_it_took() {
    let now = Instant::now();
    let guard = guard(10, AddressLimits { connects: NO_MORE, ..AddressLimits::default() });
    let (busy, gone) = (address("192.0.2.1"), address("192.0.2.2"));
    let connection = guard.purse(busy, now).connection().unwrap();
    drop(guard.purse(gone, now).socket(now).unwrap());
    let known = || guard.lock().accounts.keys().copied().collect::<Vec<_>>();

    guard.sweep(now);
    assert_eq!(known().len(), 2, "one socket of two is not paid off");
    guard.sweep(now + Duration::from_secs(1));
    assert_eq!(known(), [busy.unwrap()]);
    guard.sweep(now + Duration::from_secs(3600));
    assert_eq!(known(), [busy.unwrap()]);
    drop(connection);
    guard.sweep(now + Duration::from_secs(3600));
    assert!(known().is_empty());
}
