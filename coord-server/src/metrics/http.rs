//! Counters of answers to HTTP requests.

use axum::http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// Answers by class of their status.
#[derive(Debug)]
pub struct Responses([Counter; CLASSES.len()]);

/// How requests were answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResponseLabels {
    status: &'static str,
}

/// What an error of ours was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ErrorLabels {
    pub code: &'static str,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Responses {
    pub(super) fn new(family: &Family<ResponseLabels, Counter>) -> Self {
        Self(CLASSES.map(|status| family.get_or_create_owned(&ResponseLabels { status })))
    }

    /// The counter of such answers.
    pub fn of(&self, status: StatusCode) -> &Counter {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len());
        &self.0[class - 1]
    }
}
