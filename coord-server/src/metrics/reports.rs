//! What pages say that they were served.

use dcdn_protocol::stats::Totals;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// Bytes by where they came from, as pages report them: hearsay, believed as far as it is
/// plausible. Nothing may depend on them.
#[derive(Debug)]
pub struct Reported {
    origin: Counter,
    peers: Counter,
    store: Counter,
    uploaded: Counter,
}

/// Where a page had bytes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SourceLabels {
    source: &'static str,
}

impl Reported {
    pub(super) fn new(family: &Family<SourceLabels, Counter>, uploaded: Counter) -> Self {
        let of = |source| family.get_or_create_owned(&SourceLabels { source });
        Self { origin: of("origin"), peers: of("peers"), store: of("store"), uploaded }
    }

    /// A page has reported.
    pub fn add(&self, bytes: &Totals) {
        self.origin.inc_by(bytes.bytes_http);
        self.peers.inc_by(bytes.bytes_p2p);
        self.store.inc_by(bytes.bytes_cache);
        self.uploaded.inc_by(bytes.bytes_uploaded);
    }

    /// Sums of all reports.
    pub fn totals(&self) -> Totals {
        Totals {
            bytes_http: self.origin.get(),
            bytes_p2p: self.peers.get(),
            bytes_cache: self.store.get(),
            bytes_uploaded: self.uploaded.get(),
        }
    }
}
