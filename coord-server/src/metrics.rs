//! Numbers for whoever runs the server: `/metrics`, OpenMetrics text.

mod addresses;
mod http;
mod reports;
mod signalling;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub use self::addresses::AddressRefusals;
use self::http::ErrorLabels;
pub use self::http::Responses;
pub use self::reports::Reported;
pub use self::signalling::{Ends, Messages, Refusals, name_of_code};
use crate::asker::Asker;
use crate::dashboard::access::{self, Token};

/// Upper bounds: from what an answer takes to what a crowd that asks at once waits.
const RECOMMEND_SECONDS: [f64; 10] =
    [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 1e-4, 5e-4, 2.5e-3, 1e-2, 1e-1];

/// The server's numbers. Counters have `_total` added to their names.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// `dcdn_origin_bytes`: body bytes that the static site handed to connections; one
    /// that breaks may have taken some 100 KiB more than went out.
    pub origin_bytes: Counter,
    /// `dcdn_origin_requests`: requests to the static site, whatever the answer.
    pub origin_requests: Counter,
    /// `dcdn_manifests_hashed`: files that were read through to hash them.
    pub manifests_hashed: Counter,
    /// `dcdn_connections`: TCP connections that are open, whatever is spoken on them.
    pub connections: Gauge,
    /// `dcdn_connections_refused`: connections closed at once since there were as many as there
    /// may be; those of one address are among its refusals.
    pub connections_refused: Counter,
    /// `dcdn_sockets`: signalling sockets that are open.
    pub sockets: Gauge,
    /// `dcdn_peers`: sockets that have said hello.
    pub peers: Gauge,
    /// `dcdn_swarms`: contents that somebody is in the swarm of.
    pub swarms: Gauge,
    /// `dcdn_messages{type}`: signalling messages from pages.
    pub messages: Messages,
    /// `dcdn_refusals{code}`: signalling errors sent to pages.
    pub refusals: Refusals,
    /// `dcdn_address_refusals{kind}`: what was refused because one address had had enough.
    pub address_refusals: AddressRefusals,
    /// `dcdn_sockets_ended{how}`: signalling sockets that are closed.
    pub ends: Ends,
    /// `dcdn_recommend_seconds`: time from a page's question for peers until the answer is
    /// known, waiting for the registry included.
    pub recommend: Histogram,
    /// `dcdn_reported_bytes{source}` and `dcdn_reported_uploaded_bytes`: what pages say that
    /// they were served.
    pub reported: Reported,
    /// `dcdn_responses{status}`: answers to HTTP requests.
    pub responses: Responses,
    errors: Family<ErrorLabels, Counter>,
    /// `dcdn_slow_readers`: sockets cut because they did not take their messages.
    pub slow_readers: Counter,
    /// `dcdn_redis_up`: 1 while this node is in touch with others.
    pub redis_up: Gauge,
    /// `dcdn_redis_connections`: times that Redis was reached.
    pub redis_connections: Counter,
    /// `dcdn_forwarded`: letters sent to other nodes.
    pub forwarded: Counter,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("dcdn");
        let mut new = Maker(&mut registry);
        Self {
            origin_bytes: new.metric("origin_bytes", "Body bytes that the static site sent"),
            origin_requests: new.metric("origin_requests", "Requests to the static site"),
            manifests_hashed: new.metric("manifests_hashed", "Files read through to hash them"),
            connections: new.metric("connections", "Connections that are open"),
            connections_refused: new
                .metric("connections_refused", "Connections for which there was no room"),
            sockets: new.metric("sockets", "Signalling sockets that are open"),
            peers: new.metric("peers", "Signalling sockets that have said hello"),
            swarms: new.metric("swarms", "Contents that somebody is in the swarm of"),
            messages: Messages::new(&new.metric("messages", "Signalling messages from pages")),
            refusals: Refusals::new(&new.metric("refusals", "Signalling errors sent to pages")),
            address_refusals: AddressRefusals::new(
                new.metric("address_refusals", "What one address was refused, having had enough"),
            ),
            ends: Ends::new(&new.metric("sockets_ended", "Signalling sockets that are closed")),
            recommend: new.histogram(
                "recommend_seconds",
                "Time from a page's question for peers to its answer",
                RECOMMEND_SECONDS,
            ),
            reported: Reported::new(
                &new.metric("reported_bytes", "Bytes that pages say they got, by source"),
                new.metric("reported_uploaded_bytes", "Bytes that pages say they gave to others"),
            ),
            responses: Responses::new(&new.metric("responses", "Answers to HTTP requests")),
            errors: new.metric("errors", "HTTP requests that the server refused, by reason"),
            slow_readers: new.metric("slow_readers", "Sockets cut for not reading"),
            redis_up: new.metric("redis_up", "Whether other nodes can be reached"),
            redis_connections: new.metric("redis_connections", "Times that Redis was reached"),
            forwarded: new.metric("forwarded", "Letters sent to other nodes"),
            registry,
        }
    }

    /// `dcdn_errors{code}`: a request was refused, with this code of an
    /// [`ApiError`](crate::error::ApiError).
    pub fn error(&self, code: &'static str) {
        self.errors.get_or_create(&ErrorLabels { code }).inc();
    }

    /// The numbers as text.
    ///
    /// # Errors
    /// If a metric cannot be written, which none of these does.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes a metric and registers it.
struct Maker<'a>(&'a mut Registry);

impl Maker<'_> {
    fn metric<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    fn histogram(&mut self, name: &str, help: &str, bounds: [f64; 10]) -> Histogram {
        let histogram = Histogram::new(bounds);
        self.0.register(name, help, histogram.clone());
        histogram
    }
}

/// What [`show`] has.
#[derive(Debug)]
pub struct Shown {
    /// The numbers.
    pub metrics: Arc<Metrics>,
    /// What has to be shown to see them; without it everybody may.
    pub token: Option<Token>,
}

/// `GET /metrics`.
pub async fn show(State(shown): State<Arc<Shown>>, request: Request) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let Shown { metrics, token } = &*shown;
    if let Some(token) = token
        && let Err(error) =
            access::check(Some(token), Asker::of(&request).address, request.headers())
    {
        return error.into_response();
    }
    match metrics.encode() {
        Ok(text) => {
            ([(header::CONTENT_TYPE, OPEN_METRICS), (header::CACHE_CONTROL, "no-store")], text)
                .into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
