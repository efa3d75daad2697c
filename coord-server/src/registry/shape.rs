//! What a signal must look like to be passed on: a stranger's browser is going to parse it.

use dcdn_protocol::message::coord::{MAX_CANDIDATE, MAX_SDP, Signal};

use super::scrub::MIN_PARTS;

/// Most bytes of the name of a media section in a candidate.
const MAX_SDP_MID: usize = 256;

/// What is wrong with a signal, for people.
pub(super) fn fault_of(signal: &Signal) -> Option<&'static str> {
    match signal {
        // An empty answer declines.
        Signal::Answer { sdp } if sdp.is_empty() => None,
        Signal::Offer { sdp } | Signal::Answer { sdp } => fault_of_description(sdp),
        Signal::Candidate { candidate, sdp_mid, .. } => {
            let mid = sdp_mid.as_deref().unwrap_or_default();
            if candidate.len() > MAX_CANDIDATE || mid.len() > MAX_SDP_MID {
                Some("the candidate is too long")
            } else if has_control(candidate) || has_control(mid) {
                Some("a candidate is one line")
            } else if !(candidate.is_empty() || candidate.starts_with("candidate:")) {
                Some("a candidate starts with candidate:")
            } else if !candidate.is_empty()
                && candidate.split_ascii_whitespace().count() < MIN_PARTS
            {
                Some("a candidate has an address, a port and a type")
            } else {
                None
            }
        }
    }
}

/// A session description (RFC 8866, section 5) of data channels alone: lines of a letter, an
/// equals sign and a text.
fn fault_of_description(sdp: &str) -> Option<&'static str> {
    if sdp.len() > MAX_SDP {
        return Some("the session description is too long");
    }
    if sdp.lines().next() != Some("v=0") {
        return Some("a session description starts with v=0");
    }
    let is_line =
        |line: &str| matches!(line.as_bytes(), [b'a'..=b'z', b'=', ..]) && !has_control(line);
    if !sdp.lines().all(is_line) {
        return Some("a line of the session description is none");
    }
    let mut media = sdp.lines().filter(|line| line.starts_with("m="));
    let are_data = media.all(|line| line.starts_with("m=application "));
    (!are_data).then_some("only data channels are described here")
}

/// Whether there is a control character. Every signal is looked through, so that of ASCII, which
/// all are as a rule, no byte waits for the one before.
fn has_control(text: &str) -> bool {
    match text.is_ascii() {
        true => text.bytes().fold(false, |found, byte| found | byte.is_ascii_control()),
        false => text.chars().any(char::is_control),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_offer(sdp: &str) -> Option<&'static str> {
        fault_of(&Signal::Offer { sdp: sdp.to_owned() })
    }

    fn of_candidate(candidate: &str, mid: &str) -> Option<&'static str> {
        fault_of(&Signal::Candidate {
            candidate: candidate.to_owned(),
            sdp_mid: Some(mid.to_owned()),
            sdp_m_line_index: Some(0),
        })
    }

    #[test]
    fn what_browsers_say_passes() {
        let data = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
                    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n";
        assert_eq!(of_offer(data), None);
        assert_eq!(fault_of(&Signal::Answer { sdp: String::new() }), None);
        let host = "candidate:1 1 udp 2113937151 0f7e4c9a.local 54321 typ host";
        assert_eq!(of_candidate(host, "0"), None);
        assert_eq!(of_candidate("", "0"), None);
    }

    #[test]
    fn what_has_another_shape_does_not() {
        let long = format!("v=0\r\ns={}", "s".repeat(MAX_SDP));
        for sdp in ["", "s=-\r\nv=0", "v=0\r\n\r\n", "v=0\r\nhello", "v=0\r\ns=a\0b", &long] {
            assert!(of_offer(sdp).is_some(), "{sdp:?}");
        }
        assert!(of_offer("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n").is_some());
        let long = format!("candidate:{}", "c".repeat(MAX_CANDIDATE));
        for candidate in ["javascript:1", "candidate:1", "candidate:1\r\na=b", &long] {
            assert!(of_candidate(candidate, "0").is_some(), "{candidate:?}");
        }
        assert!(of_candidate("", &"m".repeat(300)).is_some());
        assert!(of_candidate("", "0\n").is_some());
        // A control character outside ASCII.
        assert!(of_offer("v=0\r\ns=é\u{85}").is_some());
        assert_eq!(of_offer("v=0\r\ns=é"), None);
    }
}
