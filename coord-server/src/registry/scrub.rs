//! Takes out of a signal what its receiver need not learn of who sends it. Pure.
//!
//! Browsers hide the addresses of a visitor's own network behind names (mDNS), but not on
//! sites that may use the camera, in some embedded browsers, or where that is switched
//! off. To a stranger such an address is of no use: it only connects two on the same network.
//! Nor has a page to look for machines in a stranger's network by naming them.

use std::net::IpAddr;

use dcdn_protocol::message::coord::Signal;
use smallvec::SmallVec;

use crate::origin::address::is_public;

/// Part of a candidate (RFC 8839, section 5.1), counted from `candidate:`.
const ADDRESS: usize = 4;
const TYPE: usize = 7;

/// Fewest parts that a candidate has.
pub(super) const MIN_PARTS: usize = 8;

/// `signal` as its receiver gets it, or `None` if nothing is left of it. With `are_neighbours`
/// the two may be on the same network.
pub(super) fn scrub(signal: Signal, are_neighbours: bool) -> Option<Signal> {
    Some(match signal {
        Signal::Offer { sdp } => Signal::Offer { sdp: scrub_description(sdp, are_neighbours) },
        Signal::Answer { sdp } => Signal::Answer { sdp: scrub_description(sdp, are_neighbours) },
        Signal::Candidate { candidate, sdp_mid, sdp_m_line_index } => {
            let candidate = match scrub_candidate(&candidate, are_neighbours) {
                Kept::Whole => candidate,
                Kept::As(candidate) => candidate,
                Kept::Nothing => return None,
            };
            Signal::Candidate { candidate, sdp_mid, sdp_m_line_index }
        }
    })
}

/// What is left of a line.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    Whole,
    As(String),
    Nothing,
}

fn scrub_description(sdp: String, are_neighbours: bool) -> String {
    // As a rule there is nothing to take out, and then no memory is needed to find that.
    if sdp.lines().all(|line| scrub_line(line, are_neighbours) == Kept::Whole) {
        return sdp;
    }
    let mut scrubbed = String::with_capacity(sdp.len());
    for line in sdp.lines() {
        match scrub_line(line, are_neighbours) {
            Kept::Whole => scrubbed.push_str(line),
            Kept::As(line) => scrubbed.push_str(&line),
            Kept::Nothing => continue,
        }
        scrubbed.push_str("\r\n");
    }
    scrubbed
}

/// A line of a session description (RFC 8866): names, texts and addresses of a person's
/// session have no place among browsers, who write `-` and `0.0.0.0` (RFC 8829, section 5.2.1).
fn scrub_line(line: &str, are_neighbours: bool) -> Kept {
    let (kind, value) = line.split_at_checked(2).unwrap_or((line, ""));
    match kind {
        "o=" => {
            let parts: SmallVec<[&str; 6]> = value.split_ascii_whitespace().collect();
            match parts[..] {
                ["-", _, _, "IN", "IP4", "0.0.0.0" | "127.0.0.1"] => Kept::Whole,
                [_, id, version, ..] => Kept::As(format!("o=- {id} {version} IN IP4 0.0.0.0")),
                _ => Kept::Nothing,
            }
        }
        "s=" => instead(line, "s=-"),
        "c=" => instead(line, "c=IN IP4 0.0.0.0"),
        "i=" | "u=" | "e=" | "p=" => Kept::Nothing,
        "a=" if value.starts_with("tool:") => Kept::Nothing,
        "a=" if value.starts_with("candidate:") => match scrub_candidate(value, are_neighbours) {
            Kept::As(candidate) => Kept::As(format!("a={candidate}")),
            kept => kept,
        },
        _ => Kept::Whole,
    }
}

fn instead(line: &str, other: &str) -> Kept {
    if line == other { Kept::Whole } else { Kept::As(other.to_owned()) }
}

fn scrub_candidate(candidate: &str, are_neighbours: bool) -> Kept {
    if candidate.is_empty() {
        return Kept::Whole;
    }
    let mut parts: SmallVec<[&str; 24]> = candidate.split_ascii_whitespace().collect();
    let (Some(address), Some(kind)) = (parts.get(ADDRESS), parts.get(TYPE)) else {
        return Kept::Nothing;
    };
    let may_be_seen = match address.parse::<IpAddr>() {
        Ok(address) => is_public(address) || are_neighbours,
        // A name that a browser has drawn by lot. Any other it would have to look up.
        Err(_) => *kind == "host" && address.ends_with(".local"),
    };
    if !may_be_seen {
        return Kept::Nothing;
    }
    // Where in the visitor's own network a public address leads to.
    let mut is_scrubbed = false;
    for name in ["raddr", "rport"] {
        let value = parts.iter().position(|part| *part == name).map(|place| place + 1);
        if let Some(value) = value.and_then(|place| parts.get_mut(place)) {
            let none = match name {
                "rport" => "0",
                _ if value.contains(':') => "::",
                _ => "0.0.0.0",
            };
            is_scrubbed |= *value != none;
            *value = none;
        }
    }
    if is_scrubbed { Kept::As(parts.join(" ")) } else { Kept::Whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(line: &str, are_neighbours: bool) -> Option<String> {
        let signal = Signal::Candidate {
            candidate: line.to_owned(),
            sdp_mid: Some("0".to_owned()),
            sdp_m_line_index: Some(0),
        };
        match scrub(signal, are_neighbours) {
            Some(Signal::Candidate { candidate, .. }) => Some(candidate),
            _ => None,
        }
    }

    fn at(address: &str, kind: &str) -> String {
        format!("candidate:1 1 udp 2113937151 {address} 54321 typ {kind} generation 0 ufrag a/b+")
    }

    #[test]
    fn addresses_of_a_visitors_own_network_are_for_neighbours() {
        for address in
            ["192.168.1.7", "10.0.0.1", "172.17.0.1", "169.254.1.1", "fd00::1", "fe80::1"]
        {
            assert_eq!(candidate(&at(address, "host"), false), None, "{address}");
            let line = at(address, "host");
            assert_eq!(candidate(&line, true).as_ref(), Some(&line), "{address}");
        }
    }

    #[test]
    fn what_connects_strangers_passes() {
        let own_name = "1b8f3a52-6b1f-4b0e-9a51-6b0b3c1f8d2e.local";
        for (address, kind) in [(own_name, "host"), ("8.8.4.4", "srflx"), ("2606:4700::1", "host")]
        {
            let line = at(address, kind);
            assert_eq!(candidate(&line, false), Some(line));
        }
        assert_eq!(candidate("", false).as_deref(), Some(""), "the end of them");
    }

    #[test]
    fn a_name_that_would_have_to_be_looked_up_does_not() {
        for (address, kind) in
            [("router.example", "host"), ("a.local.example", "host"), ("a.local", "srflx")]
        {
            assert_eq!(candidate(&at(address, kind), true), None, "{address}");
        }
    }

    #[test]
    fn where_a_public_address_leads_to_is_not_told() {
        let line = |rest| format!("candidate:1 1 udp 1677729535 8.8.4.4 61111 typ srflx {rest}");
        for (told, heard) in [
            ("raddr 192.168.1.7 rport 54321 generation 0", "raddr 0.0.0.0 rport 0 generation 0"),
            ("raddr fd00::7 rport 54321", "raddr :: rport 0"),
            ("raddr 0.0.0.0 rport 0", "raddr 0.0.0.0 rport 0"),
            ("raddr", "raddr"),
        ] {
            assert_eq!(candidate(&line(told), false), Some(line(heard)));
        }
    }

    #[test]
    fn a_description_says_nothing_of_who_wrote_it() {
        let told = "v=0\r\no=alice 12 3 IN IP4 192.168.1.7\r\ns=Alice's desk\r\ni=about\r\n\
                    e=alice@example.com\r\nt=0 0\r\na=tool:kit 1.2\r\na=ice-options:trickle\r\n\
                    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 192.168.1.7\r\n\
                    a=candidate:1 1 udp 1 192.168.1.7 5 typ host\r\n\
                    a=candidate:2 1 udp 1 8.8.4.4 5 typ srflx raddr 192.168.1.7 rport 5\r\n\
                    a=mid:0\r\n";
        let heard = "v=0\r\no=- 12 3 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-options:trickle\r\n\
                     m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
                     a=candidate:2 1 udp 1 8.8.4.4 5 typ srflx raddr 0.0.0.0 rport 0\r\na=mid:0\r\n";
        let offer = |sdp: &str| Signal::Offer { sdp: sdp.to_owned() };
        assert_eq!(scrub(offer(told), false), Some(offer(heard)));
        assert_eq!(scrub(offer(heard), false), Some(offer(heard)), "nothing more to take");
        let declined = Signal::Answer { sdp: String::new() };
        assert_eq!(scrub(declined.clone(), false), Some(declined));
    }
}
