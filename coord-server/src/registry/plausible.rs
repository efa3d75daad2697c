//! What pages say of themselves is hearsay: anybody can say anything. It is believed as far
//! as a line could have carried it.

use std::time::Duration;

use dcdn_protocol::stats::Totals;

/// Bytes per second of the fastest line that is believed in: 1 Gbit/s.
const LINE: u64 = 125_000_000;

/// Time before its socket opened that a page's first report may be about: the socket opens
/// after the page, and opens again after one that broke.
pub(super) const BEFORE: Duration = Duration::from_secs(10);

/// As much of a report as can be true if it is about the last `elapsed`. More reports do not
/// add up to more.
pub(super) fn plausible(bytes: Totals, elapsed: Duration) -> Totals {
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let most = ms.saturating_mul(LINE / 1000);
    // What was received shares one line, whatever its name.
    let bytes_http = bytes.bytes_http.min(most);
    let bytes_p2p = bytes.bytes_p2p.min(most - bytes_http);
    Totals {
        bytes_http,
        bytes_p2p,
        bytes_cache: bytes.bytes_cache.min(most),
        bytes_uploaded: bytes.bytes_uploaded.min(most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_as_far_as_a_line_could_have_carried_it() {
        let said = Totals {
            bytes_http: 1_000,
            bytes_p2p: u64::MAX,
            bytes_cache: u64::MAX,
            bytes_uploaded: 5,
        };

        let believed = plausible(said, Duration::from_secs(30));

        let most = 30 * LINE;
        let expected = Totals {
            bytes_http: 1_000,
            bytes_p2p: most - 1_000,
            bytes_cache: most,
            bytes_uploaded: 5,
        };
        assert_eq!(believed, expected);
    }
}
