//! The site's configuration: `GET /dcdn/config.json`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{names, record};

/// Largest [`SiteConfig::slack_percent`].
pub const MAX_SLACK_PERCENT: u32 = 1000;

/// Largest [`SiteConfig::mixed_http_percent`].
pub const MAX_MIXED_HTTP_PERCENT: u8 = 100;

/// Largest budget of the store on a site that sets none, in bytes: 2 GiB.
pub const MAX_DEFAULT_STORE_BYTES: u64 = 2 << 30;

/// What the site owner sets. Unknown fields are ignored, missing ones have the
/// defaults below; a page's `data-*` attributes go on top.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SiteConfig {
    /// The off switch: `false` makes pages plain HTTP and removes the worker.
    pub enabled: bool,
    /// How chunks are divided between origin and peers.
    pub policy: PolicyName,
    /// How much later than over plain HTTP a reader may get its bytes, in
    /// milliseconds: the price of sparing the origin. 0 for never later.
    pub slack_ms: u32,
    /// The same in percent of the time that plain HTTP takes, at most
    /// [`MAX_SLACK_PERCENT`]; both add up.
    pub slack_percent: u32,
    /// With `mixed`, the percentage of chunks that come over HTTP, at most
    /// [`MAX_MIXED_HTTP_PERCENT`]; `None` makes HTTP one of the peers, with an equal
    /// share.
    pub mixed_http_percent: Option<u8>,
    /// Resources below this many bytes are not worth a peer.
    pub min_bytes: u64,
    /// STUN servers for `RTCPeerConnection`, `stun:host:port`. No TURN: who
    /// cannot be reached is not used (thesis section 3.3).
    pub stun: Vec<String>,
    /// Peers that one page calls at the most. It answers those that call it until it is
    /// connected to twice as many.
    pub max_peers: u32,
    /// Bytes per second that one page uploads at the most; `None` is no limit.
    pub upload_bytes_per_second: Option<u32>,
    /// Bytes after which one page, while it is open, begins to upload no other chunk; `None`
    /// is no limit.
    pub upload_bytes: Option<u64>,
    /// Whether pages upload on cellular lines, where the browser tells.
    pub upload_on_cellular: bool,
    /// Charge in percent below which a device that runs on its battery does not upload,
    /// where the browser tells.
    pub min_battery_percent: u8,
    /// Seconds that a page in the background goes on uploading.
    pub background_seconds: u32,
    /// Browsers that must be interested in a content before any hears of the others: below
    /// that nobody's address is shown to anybody.
    pub min_viewers: u32,
    /// Whether there are no peers before the page has said `dcdn.consent(true)`.
    pub require_consent: bool,
    /// Base URL of the coordination server, without a trailing slash; empty for
    /// the page's own origin.
    pub coord: String,
    /// Keep the page itself (HTML, scripts, styles) for when the server is out of
    /// reach. Only for sites whose pages are the same for everybody.
    pub offline_pages: bool,
    /// Bytes that the browser's store may hold; `None` is a tenth of what the browser
    /// grants the site, at most [`MAX_DEFAULT_STORE_BYTES`]. With 0 nothing is kept, and
    /// nothing can be passed on to other visitors.
    pub store_bytes: Option<u64>,
    /// Ask the browser not to clear the store when it runs short of room. Some browsers
    /// ask the visitor then.
    pub persist_store: bool,
}

impl Default for SiteConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            policy: PolicyName::Adaptive,
            slack_ms: 3000,
            slack_percent: 0,
            mixed_http_percent: None,
            min_bytes: 64 * 1024,
            stun: Vec::new(),
            max_peers: 8,
            upload_bytes_per_second: None,
            upload_bytes: None,
            upload_on_cellular: false,
            min_battery_percent: 20,
            background_seconds: 300,
            min_viewers: 0,
            require_consent: false,
            coord: String::new(),
            offline_pages: false,
            store_bytes: None,
            persist_store: false,
        }
    }
}

record!(SiteConfig or default {
    enabled, policy, slack_ms, slack_percent, mixed_http_percent, min_bytes, stun, max_peers,
    upload_bytes_per_second, upload_bytes, upload_on_cellular, min_battery_percent,
    background_seconds, min_viewers, require_consent, coord, offline_pages, store_bytes,
    persist_store,
});

impl SiteConfig {
    /// This configuration with a page's settings laid over it, each within its bounds.
    #[must_use]
    pub fn with(mut self, settings: &PageSettings) -> Self {
        self.policy = settings.policy.unwrap_or(self.policy);
        self.slack_ms = settings.slack_ms.unwrap_or(self.slack_ms);
        self.slack_percent =
            settings.slack_percent.unwrap_or(self.slack_percent).min(MAX_SLACK_PERCENT);
        self.mixed_http_percent = settings
            .mixed_http_percent
            .or(self.mixed_http_percent)
            .map(|percent| percent.min(MAX_MIXED_HTTP_PERCENT));
        if let Some(coord) = &settings.coord {
            coord.trim_end_matches('/').clone_into(&mut self.coord);
        }
        self
    }
}

/// What a page's script tag sets: `data-policy`, `data-slack-ms`, `data-slack-percent`,
/// `data-mixed-http-percent`, `data-coord`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PageSettings {
    /// See [`SiteConfig::policy`].
    pub policy: Option<PolicyName>,
    /// See [`SiteConfig::slack_ms`].
    pub slack_ms: Option<u32>,
    /// See [`SiteConfig::slack_percent`].
    pub slack_percent: Option<u32>,
    /// See [`SiteConfig::mixed_http_percent`].
    pub mixed_http_percent: Option<u8>,
    /// See [`SiteConfig::coord`].
    pub coord: Option<String>,
}

record!(PageSettings or default {
    policy, slack_ms, slack_percent, mixed_http_percent, coord,
});

/// How chunks are divided between origin and peers: the download configurations of
/// thesis section 3.4, our own, and a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyName {
    /// Pass through: the worker does nothing. The control.
    Http,
    /// Peers when there are any, HTTP when not.
    Basic,
    /// The first fifth over HTTP, the rest as `basic`.
    Prefetch,
    /// First bytes over HTTP before metadata or socket, the rest as `basic`.
    HeadStart,
    /// HTTP is one more peer.
    Mixed,
    /// A deadline for each chunk; inside it peers, and the origin for what they
    /// would miss.
    Adaptive,
}

names!(PolicyName {
    Http = "http",
    Basic = "basic",
    Prefetch = "prefetch",
    HeadStart = "head-start",
    Mixed = "mixed",
    Adaptive = "adaptive",
});

impl PolicyName {
    /// Every policy, the control first.
    pub const ALL: [Self; 6] =
        [Self::Http, Self::Basic, Self::Prefetch, Self::HeadStart, Self::Mixed, Self::Adaptive];

    /// The name as configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Basic => "basic",
            Self::Prefetch => "prefetch",
            Self::HeadStart => "head-start",
            Self::Mixed => "mixed",
            Self::Adaptive => "adaptive",
        }
    }
}

impl FromStr for PolicyName {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        let found = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        found.ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

/// A policy name that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown policy {0:?}; there are {names}", names = PolicyName::ALL.map(PolicyName::as_str).join(", "))]
pub struct UnknownPolicy(pub String);
