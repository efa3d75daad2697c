//! What the coordination server hears of what the page was served: how much came from whom,
//! never what it was.
//!
//! Pure: times are milliseconds of one monotonic clock and are passed in.

use dcdn_protocol::stats::Totals;

/// Milliseconds in which what comes together is reported together.
const GATHERED_MS: f64 = 1_000.0;

/// What has been reported, and what has not.
#[derive(Debug, Default)]
pub struct Reports {
    /// How often the server wants them at the most; `None` if it wants none.
    every_ms: Option<f64>,
    known: Totals,
    reported: Totals,
    reported_at: Option<f64>,
}

impl Reports {
    /// What the server wants that we are connected to now.
    pub fn wanted(&mut self, every_ms: Option<u32>) {
        self.every_ms = every_ms.map(f64::from);
    }

    /// What the page was served until now, as its worker says.
    pub fn learn(&mut self, totals: Totals) {
        self.known = Totals { bytes_uploaded: self.known.bytes_uploaded, ..totals };
    }

    /// Milliseconds until a report is due; `None` if there is nothing to say, or nobody to
    /// say it to.
    pub fn due_in(&self, now: f64) -> Option<f64> {
        let every = self.every_ms.filter(|_| self.known != self.reported)?;
        let rest = self.reported_at.map_or(0.0, |at| at + every - now);
        Some(rest.max(GATHERED_MS))
    }

    /// What to report now, if there is anything; `uploaded` are the bytes that the page has
    /// sent to others until now.
    pub fn take(&mut self, uploaded: u64, now: f64) -> Option<Totals> {
        self.every_ms?;
        self.known.bytes_uploaded = uploaded;
        let news = self.known.since(&self.reported);
        if news == Totals::default() {
            return None;
        }
        self.reported = self.known;
        self.reported_at = Some(now);
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(bytes_http: u64, bytes_p2p: u64) -> Totals {
        Totals { bytes_http, bytes_p2p, ..Totals::default() }
    }

    #[test]
    fn the_first_report_is_soon_and_the_next_as_late_as_the_server_wants() {
        let mut reports = Reports::default();
        reports.wanted(Some(30_000));
        assert_eq!(reports.due_in(0.0), None);

        reports.learn(served(10, 20));
        assert_eq!(reports.due_in(5_000.0), Some(GATHERED_MS));
        assert_eq!(reports.take(7, 6_000.0), Some(Totals { bytes_uploaded: 7, ..served(10, 20) }));
        assert_eq!(reports.due_in(6_000.0), None);

        reports.learn(served(15, 20));
        assert_eq!(reports.due_in(10_000.0), Some(26_000.0));
        assert_eq!(reports.take(7, 36_000.0), Some(served(5, 0)));
    }

    #[test]
    fn a_server_that_does_not_ask_hears_nothing() {
        let mut reports = Reports::default();
        reports.learn(served(10, 20));
        assert_eq!((reports.due_in(0.0), reports.take(7, 0.0)), (None, None));

        reports.wanted(Some(1));
        assert_eq!(reports.take(0, 0.0), Some(served(10, 20)));
    }

    #[test]
    fn a_worker_that_was_stopped_meanwhile_begins_anew() {
        let mut reports = Reports::default();
        reports.wanted(Some(1));
        reports.learn(served(10, 20));
        reports.take(0, 0.0);

        reports.learn(served(3, 4));

        assert_eq!(reports.take(0, 1.0), Some(served(3, 4)));
    }
}
