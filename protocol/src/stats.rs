//! What a page was served and from where: the thesis's built-in statistics (section 4.1).

use serde::{Deserialize, Serialize};

use crate::{names, record};

/// Where delivered bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The site's server.
    Http,
    /// Another visitor.
    P2p,
    /// This browser's own store.
    Cache,
}

names!(Source { Http = "http", P2p = "p2p", Cache = "cache" });

/// The worker's part of `dcdn.stats()`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Each resource that the page asked for, in the order of its first request.
    pub urls: Vec<UrlStats>,
    /// Sums over the resources.
    pub totals: Totals,
}

record!(Stats { urls, totals });

/// One resource as one page saw it. Each byte is counted once, by its first
/// delivery, however often the page asks for it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UrlStats {
    /// Path and query.
    pub url: String,
    /// The policy that served it.
    pub policy: crate::PolicyName,
    /// Bytes of the whole resource, once known.
    pub length: Option<u64>,
    /// Bytes from the site's server.
    pub bytes_http: u64,
    /// Bytes from other visitors.
    pub bytes_p2p: u64,
    /// Bytes from this browser's store.
    pub bytes_cache: u64,
    /// First request, in milliseconds from the page's navigationStart.
    pub requested_ms: f64,
    /// First byte delivered, in milliseconds from the page's navigationStart.
    pub ttfb_ms: Option<f64>,
    /// Last byte of the resource delivered, in milliseconds from the page's navigationStart.
    pub ttlb_ms: Option<f64>,
    /// Which bytes were delivered, `start..end`, and where each first came from; ascending.
    #[serde(default)]
    pub spans: Vec<(u64, u64, Source)>,
}

record!(UrlStats {
    url,
    policy,
    length or_null,
    bytes_http,
    bytes_p2p,
    bytes_cache,
    requested_ms,
    ttfb_ms or_null,
    ttlb_ms or_null,
    spans or_empty,
});

/// Sums, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// From the site's server.
    pub bytes_http: u64,
    /// From other visitors.
    pub bytes_p2p: u64,
    /// From this browser's store.
    pub bytes_cache: u64,
    /// To other visitors, by this page.
    pub bytes_uploaded: u64,
}

record!(Totals { bytes_http, bytes_p2p, bytes_cache, bytes_uploaded });

impl Totals {
    /// What has been added to `earlier`. Sums that went down began anew, as those of a worker
    /// do that was stopped meanwhile.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let grown = |now: u64, then: u64| now.checked_sub(then).unwrap_or(now);
        Self {
            bytes_http: grown(self.bytes_http, earlier.bytes_http),
            bytes_p2p: grown(self.bytes_p2p, earlier.bytes_p2p),
            bytes_cache: grown(self.bytes_cache, earlier.bytes_cache),
            bytes_uploaded: grown(self.bytes_uploaded, earlier.bytes_uploaded),
        }
    }
}
