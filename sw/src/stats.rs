//! What each page was served: every byte counted once, by its first delivery.

use dcdn_protocol::stats::{Source, Stats, Totals, UrlStats};
use dcdn_protocol::{ByteRange, PolicyName};
use vecmap::VecMap;

use crate::spans::Spans;

/// The tally of one page.
#[derive(Debug, Default)]
pub struct Tally {
    urls: Vec<Line>,
    by_url: VecMap<String, usize>,
}

#[derive(Debug)]
struct Line {
    stats: UrlStats,
    delivered: Spans,
    /// When the page last heard of progress, and from where the bytes were.
    told: Option<(f64, Source)>,
}

/// Milliseconds between two events of progress of one resource, unless another source
/// takes over or it is the last. A fast transfer has a thousand pieces a second.
const PROGRESS_INTERVAL_MS: f64 = 100.0;

/// What a delivery has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Bytes of the resource that the page has been given so far.
    pub loaded: u64,
    /// Whether that is worth an event of progress.
    pub is_news: bool,
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
                spans: Vec::new(),
            },
            delivered: Spans::default(),
            told: None,
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
            return Delivered { loaded: 0, is_news: false, completed: false };
        };
        let new = line.delivered.insert(range, source);
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
        let is_due = line.told.is_none_or(|(at, last)| {
            last != source || now_ms - at >= PROGRESS_INTERVAL_MS || completed
        });
        let is_news = new > 0 && is_due;
        if is_news {
            line.told = Some((now_ms, source));
        }
        Delivered { loaded, is_news, completed }
    }

    /// Sums over the resources.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for Line { stats, .. } in &self.urls {
            totals.bytes_http += stats.bytes_http;
            totals.bytes_p2p += stats.bytes_p2p;
            totals.bytes_cache += stats.bytes_cache;
        }
        totals
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
                let spans = line.delivered.iter();
                stats.spans = spans.map(|it| (it.range.start, it.range.end, it.source)).collect();
                stats
            })
            .collect();
        Stats { urls, totals: self.totals() }
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

        assert_eq!(first, Delivered { loaded: 60, is_news: true, completed: false });
        assert_eq!(again, Delivered { loaded: 100, is_news: true, completed: true });
        let report = tally.report(5.0);
        assert_eq!((report.totals.bytes_p2p, report.totals.bytes_cache), (60, 40));
        assert_eq!(report.urls[0].spans, [(0, 60, Source::P2p), (60, 100, Source::Cache)]);
        assert_eq!(report.urls[0].ttfb_ms, Some(15.0));
        assert_eq!(report.urls[0].ttlb_ms, Some(25.0));
    }

    #[test]
    fn progress_is_told_now_and_then_at_every_change_of_source_and_at_the_end() {
        let mut tally = Tally::default();
        tally.requested("/v.mp4", PolicyName::Adaptive, 0.0);
        let mut told = |start, source, now_ms| {
            let range = ByteRange::new(start, start + 10);
            tally.delivered("/v.mp4", range, 60, source, now_ms).is_news
        };

        assert!(told(0, Source::Http, 0.0));
        assert!(!told(10, Source::Http, 1.0));
        assert!(told(20, Source::P2p, 2.0));
        assert!(!told(20, Source::Http, 500.0), "nothing new");
        assert!(told(30, Source::P2p, 102.0));
        assert!(!told(40, Source::P2p, 103.0));
        assert!(told(50, Source::P2p, 104.0));
    }

    #[test]
    fn an_empty_resource_is_complete_at_once() {
        let mut tally = Tally::default();
        tally.requested("/empty", PolicyName::Basic, 1.0);
        let done = tally.delivered("/empty", ByteRange::new(0, 0), 0, Source::Http, 2.0);
        assert!(done.completed);
    }
}
