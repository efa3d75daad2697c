//! `/dcdn/`: what goes on, for people. The page asks `/dcdn/status.json` for it, which is for
//! those who may see it (see [`access`]):
//!
//! ```json
//! { "up_seconds": 12, "peers": 3, "sockets": 3, "swarms": 2, "origin_bytes": 1000,
//!   "origin_requests": 4, "slow_readers": 0, "redis": null,
//!   "reported": { "bytes_http": 500, "bytes_p2p": 1500, "bytes_cache": 0, "bytes_uploaded": 1500 },
//!   "step_seconds": 10,
//!   "history": [{ "peers": 3, "sent": 1000, "origin": 500, "shared": 1500, "store": 0 }],
//!   "largest": [{ "content": "9f…", "url": "/media/a.jpg", "browsers": 3 }],
//!   "top": [{ "content": "9f…", "url": "/media/a.jpg", "asked": 12 }] }
//! ```
//!
//! `redis` is null without other nodes, otherwise whether they can be reached. `reported` and what
//! is made of it is what pages say, see [`Reported`](crate::metrics::Reported). `history` has a
//! step for every `step_seconds` of the last hour, the current one last. `largest` are the
//! swarms with the most browsers now; `url` is null if nobody has asked for the manifest since
//! the server started. `top` are the contents whose manifests were asked for most often since
//! then. Both have ten lines at the most. All of it is counted anew once a second at the most,
//! however many ask.

pub mod access;
mod history;
mod names;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use dcdn_protocol::ContentId;
use dcdn_protocol::stats::Totals;
use serde::Serialize;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use self::access::Token;
use self::history::{History, STEP, Step};
pub use self::names::Names;
use crate::asker::Asker;
use crate::assets::{self, Assets};
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::signalling::Hub;

/// Swarms and contents that the page names.
const LINES: usize = 10;

/// For how long an answer is good.
const CURRENT: Duration = Duration::from_secs(1);

const PAGE: &str = include_str!("dashboard/page.html");
const SCRIPT: &str = include_str!("dashboard/live.js");
const STYLE: &str = include_str!("dashboard/style.css");

/// The page, its script and its style are our own, and nothing else is loaded.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Knows what goes on.
#[derive(Debug)]
pub struct Dashboard {
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    names: Names,
    has_others: bool,
    token: Option<Token>,
    started: Instant,
    history: Mutex<History>,
    latest: tokio::sync::Mutex<Option<(Instant, Status)>>,
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
    reported: Totals,
    step_seconds: u64,
    history: Vec<Step>,
    largest: Vec<Swarm>,
    top: Vec<Asked>,
}

#[derive(Clone, Debug, Serialize)]
struct Swarm {
    content: ContentId,
    url: Option<String>,
    browsers: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Asked {
    content: ContentId,
    url: String,
    asked: u64,
}

impl Dashboard {
    /// `has_others`: whether there are other nodes.
    pub fn new(
        hub: Arc<Hub>,
        metrics: Arc<Metrics>,
        names: Names,
        has_others: bool,
        token: Option<Token>,
    ) -> Self {
        Self {
            hub,
            metrics,
            names,
            has_others,
            token,
            started: Instant::now(),
            history: Mutex::default(),
            latest: tokio::sync::Mutex::default(),
        }
    }

    /// Writes the history until `stop`.
    pub async fn remember(self: Arc<Self>, stop: CancellationToken) {
        let mut steps = interval(STEP);
        steps.tick().await;
        loop {
            tokio::select! {
                _ = steps.tick() => self.history().note(&self.metrics),
                () = stop.cancelled() => return,
            }
        }
    }

    async fn status(&self) -> Status {
        let mut latest = self.latest.lock().await;
        if let Some((_, status)) = latest.as_ref().filter(|(at, _)| at.elapsed() < CURRENT) {
            return status.clone();
        }
        let mut largest = Vec::new();
        for (content, browsers) in self.hub.largest(LINES) {
            largest.push(Swarm { content, url: self.names.url(content).await, browsers });
        }
        let top = self.names.top(LINES).into_iter();
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
            reported: metrics.reported.totals(),
            step_seconds: STEP.as_secs(),
            history: self.history().steps(metrics),
            largest,
            top: top.map(|(content, url, asked)| Asked { content, url, asked }).collect(),
        };
        *latest = Some((Instant::now(), status.clone()));
        status
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
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
    own("text/javascript; charset=utf-8", SCRIPT)
}

/// `GET /dcdn/dashboard.css`.
pub async fn style() -> Response {
    own("text/css; charset=utf-8", STYLE)
}

fn own(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

/// `GET /dcdn/status.json`.
///
/// # Errors
/// If the asker may not see it.
pub async fn status(
    State(dashboard): State<Arc<Dashboard>>,
    request: Request,
) -> Result<Response, ApiError> {
    access::check(dashboard.token.as_ref(), Asker::of(&request).address, request.headers())?;
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((headers, axum::Json(dashboard.status().await)).into_response())
}
