//! A visitor's request -> the origin -> its answer -> the visitor. Bodies stream both
//! ways; what one side does not take, the other is not asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, sleep_until};

use super::forward::{is_loop, to_origin, to_visitor, wants_upgrade};
use super::{Origin, OriginError, upgrade};
use crate::asker::Asker;
use crate::metrics::Metrics;
use crate::server::Lifetime;

/// Shows the origin as the site.
#[derive(Debug)]
pub struct Proxy {
    origin: Origin,
    metrics: Arc<Metrics>,
    life: Lifetime,
}

impl Proxy {
    /// What is no longer HTTP belongs to `life`.
    pub fn new(origin: Origin, metrics: Arc<Metrics>, life: Lifetime) -> Self {
        Self { origin, metrics, life }
    }

    async fn pass(&self, mut request: Request) -> Result<Response, Failure> {
        let via = &self.origin.via;
        if is_loop(request.headers(), via) {
            return Err(Failure::Loop);
        }
        let target = request.uri().path_and_query().filter(|it| it.as_str().starts_with('/'));
        let target = target.cloned().ok_or(Failure::Target)?;
        self.metrics.origin_requests.inc();
        let asker = Asker::of(&request);
        let upgrade = wants_upgrade(request.headers())
            .then(|| request.extensions_mut().remove::<OnUpgrade>())
            .flatten();
        let (parts, body) = request.into_parts();
        let headers = to_origin(parts.headers, asker, &self.origin.host, via);
        let mut answer = self.send(&parts.method, &target, headers, body).await?;

        let switches = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switches {
            let visitor = upgrade.ok_or(Failure::Protocol)?;
            let tasks = &self.life.tasks;
            let origin = hyper::upgrade::on(&mut answer);
            tasks.spawn(upgrade::join(visitor, origin, self.life.stop.clone()));
        }
        let (head, body) = answer.into_parts();
        let headers = to_visitor(head.headers, &self.origin.url, via);
        let body = if switches { Body::empty() } else { self.counted(body) };
        Ok((head.status, headers, body).into_response())
    }

    /// As [`Origin::send`], for as long as the body goes on and the origin's patience after
    /// that. What may be repeated without harm is.
    async fn send(
        &self,
        method: &Method,
        target: &PathAndQuery,
        headers: HeaderMap,
        body: Body,
    ) -> Result<hyper::Response<Incoming>, OriginError> {
        let alive = Pulse::default();
        let repeatable = body.is_end_stream() && [Method::GET, Method::HEAD].contains(method);
        let body = if body.is_end_stream() { Body::empty() } else { alive.felt_in(body) };
        let once = |headers, body| self.origin.send(method.clone(), target.clone(), headers, body);
        let answer = async {
            if !repeatable {
                return once(headers, body).await;
            }
            match once(headers.clone(), body).await {
                Err(error) if error.is_worth_another_try() => once(headers, Body::empty()).await,
                answer => answer,
            }
        };
        tokio::select! {
            answer = answer => answer,
            () = alive.stops(self.origin.patience) => Err(OriginError::Late),
        }
    }

    fn counted(&self, body: Incoming) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        let counter = self.metrics.origin_bytes.clone();
        Body::from_stream(Body::new(body).into_data_stream().inspect_ok(move |piece| {
            counter.inc_by(piece.len() as u64);
        }))
    }
}

/// Answers every URL that is not the server's own.
pub async fn serve(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    proxy.pass(request).await.unwrap_or_else(Failure::into_response)
}

/// When a body has last gone on.
#[derive(Clone, Debug)]
struct Pulse(Arc<Mutex<Instant>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Pulse {
    fn felt_in(&self, body: Body) -> Body {
        let pulse = self.clone();
        Body::from_stream(body.into_data_stream().inspect_ok(move |_| {
            *pulse.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }))
    }

    /// Ends when there has been none for so long.
    async fn stops(&self, patience: Duration) {
        loop {
            let end = *self.0.lock().unwrap_or_else(PoisonError::into_inner) + patience;
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }
}

/// A request that gets no answer of the origin's.
#[derive(Debug)]
enum Failure {
    Loop,
    Target,
    Protocol,
    Origin(OriginError),
}

impl From<OriginError> for Failure {
    fn from(error: OriginError) -> Self {
        Self::Origin(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Loop => {
                tracing::error!("--origin leads back to this server");
                (StatusCode::LOOP_DETECTED, "the origin is this server itself\n")
            }
            Self::Target | Self::Origin(OriginError::Target) => {
                (StatusCode::BAD_REQUEST, "not a path of this site\n")
            }
            Self::Protocol => {
                (StatusCode::BAD_GATEWAY, "the origin changed the protocol unasked\n")
            }
            Self::Origin(error @ OriginError::Late) => {
                tracing::warn!("{error}");
                (StatusCode::GATEWAY_TIMEOUT, "the site takes too long to answer\n")
            }
            Self::Origin(error @ OriginError::Unreachable(_)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot pass a request on"
                );
                (StatusCode::BAD_GATEWAY, "the site does not answer\n")
            }
        };
        (status, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], text)
            .into_response()
    }
}
