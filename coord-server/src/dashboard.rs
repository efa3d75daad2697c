//! `/dcdn/`: what goes on, for people. The page asks `/dcdn/status.json` for it:
//!
//! ```json
//! { "up_seconds": 12, "peers": 3, "sockets": 3, "swarms": 2, "origin_bytes": 1000,
//!   "origin_requests": 4, "slow_readers": 0, "redis": null,
//!   "largest": [{ "content": "9f…", "url": "/media/a.jpg", "browsers": 3 }] }
//! ```
//!
//! `redis` is null without other nodes, otherwise whether they can be reached. `largest` has the
//! [`LARGEST`] swarms with the most browsers; `url` is null if nobody has asked for the manifest
//! since the server started. Counted anew once a second at the most, however many ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use dcdn_protocol::ContentId;
use moka::future::Cache;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::assets::{self, Assets};
use crate::metrics::Metrics;
use crate::signalling::Hub;

/// Swarms that the page names.
const LARGEST: usize = 20;

/// Contents whose URL is remembered.
const MAX_NAMES: u64 = 10_000;

/// For how long an answer is good.
const CURRENT: Duration = Duration::from_secs(1);

const PAGE: &str = include_str!("dashboard/page.html");
const SCRIPT: &str = include_str!("dashboard/live.js");

/// The page and its script are our own, and nothing else is loaded.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; \
     img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The URL under which each content was last asked for.
#[derive(Clone, Debug)]
pub struct Names(Cache<ContentId, Arc<str>>);

impl Default for Names {
    fn default() -> Self {
        Self(Cache::new(MAX_NAMES))
    }
}

impl Names {
    /// `content` is what `url` is.
    pub async fn note(&self, content: ContentId, url: &str) {
        if self.0.get(&content).await.is_none_or(|known| *known != *url) {
            self.0.insert(content, url.into()).await;
        }
    }
}

/// Knows what goes on.
#[derive(Debug)]
pub struct Dashboard {
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    names: Names,
    has_others: bool,
    started: Instant,
    latest: Mutex<Option<(Instant, Status)>>,
}

#[derive(Clone, Debug, Serialize)]
struct Status {
    up_seconds: u64,
    peers: i64,
    sockets: i64,
    swarms: i64,
    origin_bytes: u64,
    origin_requests: u64,
    slow_readers: u64,
    redis: Option<bool>,
    largest: Vec<Line>,
}

#[derive(Clone, Debug, Serialize)]
struct Line {
    content: ContentId,
    url: Option<String>,
    browsers: usize,
}

impl Dashboard {
    /// `has_others`: whether there are other nodes.
    pub fn new(hub: Arc<Hub>, metrics: Arc<Metrics>, names: Names, has_others: bool) -> Self {
        let latest = Mutex::default();
        Self { hub, metrics, names, has_others, started: Instant::now(), latest }
    }

    async fn status(&self) -> Status {
        let mut latest = self.latest.lock().await;
        if let Some((_, status)) = latest.as_ref().filter(|(at, _)| at.elapsed() < CURRENT) {
            return status.clone();
        }
        let mut largest = Vec::new();
        for (content, browsers) in self.hub.largest(LARGEST) {
            let url = self.names.0.get(&content).await.map(|url| url.to_string());
            largest.push(Line { content, url, browsers });
        }
        let metrics = &self.metrics;
        let status = Status {
            up_seconds: self.started.elapsed().as_secs(),
            peers: metrics.peers.get(),
            sockets: metrics.sockets.get(),
            swarms: metrics.swarms.get(),
            origin_bytes: metrics.origin_bytes.get(),
            origin_requests: metrics.origin_requests.get(),
            slow_readers: metrics.slow_readers.get(),
            redis: self.has_others.then(|| metrics.redis_up.get() == 1),
            largest,
        };
        *latest = Some((Instant::now(), status.clone()));
        status
    }
}

/// `GET /dcdn/`.
pub async fn page(State(assets): State<Assets>) -> Response {
    let missing = if assets.lacks_worker() { assets::HOW_TO_BUILD } else { "" };
    let policy = HeaderValue::from_static(POLICY);
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Html(PAGE.replace("{{missing}}", missing))).into_response()
}

/// `GET /dcdn/dashboard.js`.
pub async fn script() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, SCRIPT).into_response()
}

/// `GET /dcdn/status.json`.
pub async fn status(State(dashboard): State<Arc<Dashboard>>) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (headers, axum::Json(dashboard.status().await)).into_response()
}
