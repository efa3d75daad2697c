//! What each page was served: every byte counted once, by its first delivery.

use dcdn_protocol::stats::{Source, Stats, Totals, UrlStats};
use dcdn_protocol::{ByteRange, PolicyName};
use rangemap::RangeSet;
use vecmap::VecMap;

/// The tally of one page.
#[derive(Debug, Default)]
pub struct Tally {
    urls: Vec<Line>,
    by_url: VecMap<String, usize>,
}

#[derive(Debug)]
struct Line {
    stats: UrlStats,
    delivered: RangeSet<u64>,
}

/// What a delivery has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Bytes of the resource that the page has been given so far.
    pub loaded: u64,
    /// Bytes among those just delivered that it had not been given before.
    pub new: u64,
    /// Whether these were the last that were missing.
    pub completed: bool,
}

impl Tally {
    /// The page has asked for `url`. Times here are in milliseconds since the epoch.
    pub fn requested(&mut self, url: &str, policy: PolicyName, now_ms: f64) {
        if self.by_url.contains_key(url) {
            return;
        }
        self.by_url.insert(url.to_owned(), self.urls.len());
        self.urls.push(Line {
            stats: UrlStats {
                url: url.to_owned(),
                policy,
                length: None,
                bytes_http: 0,
                bytes_p2p: 0,
                bytes_cache: 0,
                requested_ms: now_ms,
                ttfb_ms: None,
                ttlb_ms: None,
            },
            delivered: RangeSet::new(),
        });
    }

    /// The page has been given `range` of `url`, a content of `length` bytes.
    pub fn delivered(
        &mut self,
        url: &str,
        range: ByteRange,
        length: u64,
        source: Source,
        now_ms: f64,
    ) -> Delivered {
        let Some(line) = self.by_url.get(url).map(|at| &mut self.urls[*at]) else {
            return Delivered { loaded: 0, new: 0, completed: false };
        };
        let span = range.start..range.end;
        let new = match range.is_empty() {
            true => 0,
            false => line.delivered.gaps(&span).map(|gap| gap.end - gap.start).sum(),
        };
        if !range.is_empty() {
            line.delivered.insert(span);
        }
        let stats = &mut line.stats;
        stats.length = Some(length);
        stats.ttfb_ms.get_or_insert(now_ms);
        *match source {
            Source::Http => &mut stats.bytes_http,
            Source::P2p => &mut stats.bytes_p2p,
            Source::Cache => &mut stats.bytes_cache,
        } += new;
        let loaded = stats.bytes_http + stats.bytes_p2p + stats.bytes_cache;
        let completed = loaded >= length && stats.ttlb_ms.is_none();
        if completed {
            stats.ttlb_ms = Some(now_ms);
        }
        Delivered { loaded, new, completed }
    }

    /// The statistics, with times from the page's navigationStart.
    pub fn report(&self, time_origin: f64) -> Stats {
        let urls: Vec<UrlStats> = self
            .urls
            .iter()
            .map(|line| {
                let mut stats = line.stats.clone();
                stats.requested_ms -= time_origin;
                stats.ttfb_ms = stats.ttfb_ms.map(|ms| ms - time_origin);
                stats.ttlb_ms = stats.ttlb_ms.map(|ms| ms - time_origin);
                stats
            })
            .collect();
        let mut totals = Totals::default();
        for stats in &urls {
            totals.bytes_http += stats.bytes_http;
            totals.bytes_p2p += stats.bytes_p2p;
            totals.bytes_cache += stats.bytes_cache;
        }
        Stats { urls, totals }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[test]
    fn a_byte_delivered_again_is_counted_once() {
        let mut tally = Tally::default();
        tally.requested("/v.mp4", PolicyName::HeadStart, 10.0);

        let first = tally.delivered("/v.mp4", ByteRange::new(0, 60), 100, Source::P2p, 20.0);
        let again = tally.delivered("/v.mp4", ByteRange::new(40, 100), 100, Source::Cache, 30.0);

        assert_eq!(first, Delivered { loaded: 60, new: 60, completed: false });
        assert_eq!(again, Delivered { loaded: 100, new: 40, completed: true });
        let report = tally.report(5.0);
        assert_eq!((report.totals.bytes_p2p, report.totals.bytes_cache), (60, 40));
        assert_eq!(report.urls[0].ttfb_ms, Some(15.0));
        assert_eq!(report.urls[0].ttlb_ms, Some(25.0));
    }

    #[test]
    fn an_empty_resource_is_complete_at_once() {
        let mut tally = Tally::default();
        tally.requested("/empty", PolicyName::Basic, 1.0);
        let done = tally.delivered("/empty", ByteRange::new(0, 0), 0, Source::Http, 2.0);
        assert!(done.completed);
    }
}
