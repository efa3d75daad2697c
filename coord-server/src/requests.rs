//! What is said of every request: its id, in the log and in the answer, and how it was answered.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tokio::task::JoinHandle;
use tower_http::request_id::{
    MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::error::ErrorKind;
use crate::metrics::Metrics;

/// Header of a request's id: that of a proxy in front, or a new one.
const REQUEST_ID: &str = "x-request-id";

/// Bytes of an id that is accepted at the most.
const MAX_ID: usize = 128;

/// `router` with an id, a span and a count of every request. Answers themselves are logged at
/// the level `debug`: there are many, and they tell who has asked for what.
pub fn watched(router: Router, metrics: Arc<Metrics>) -> Router {
    let trace = TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(
        move |response: &Response, latency: Duration, _: &Span| {
            metrics.responses.of(response.status()).inc();
            if let Some(ErrorKind(code)) = response.extensions().get() {
                metrics.error(code);
            }
            let (status, ms) = (response.status().as_u16(), latency.as_secs_f64() * 1000.0);
            tracing::debug!(status, ms, "answered");
        },
    );
    router
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(trace)
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(from_fn(forget_odd_id))
}

/// Work that waits for files. What it has to say is said of the request that it is for.
pub fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

/// Without the query, which may have secrets.
fn span(request: &Request) -> Span {
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    tracing::error_span!("request", id, method = %request.method(), path = request.uri().path())
}

/// What somebody sends as an id goes into logs and to the origin, so it has to look like one.
async fn forget_odd_id(mut request: Request, next: Next) -> Response {
    if request.headers().get(REQUEST_ID).is_some_and(|id| !is_id(id)) {
        request.headers_mut().remove(REQUEST_ID);
    }
    next.run(request).await
}

fn is_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    (1..=MAX_ID).contains(&bytes.len()) && bytes.iter().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_has_nothing_that_a_log_could_stumble_over() {
        let is = |text: &'static str| is_id(&HeaderValue::from_static(text));
        assert!(is("7f9c24e8-3b12-4fef-91e0-6f2d5b1a0c44"));
        assert!(is("Root=1-67891233-abcdef012345678912345678"));
        assert!(!is(""));
        assert!(!is("a b") && !is("\"}") && !is("a;b"));
        assert!(!is_id(
            &HeaderValue::try_from("a".repeat(MAX_ID + 1)).unwrap_or(HeaderValue::from_static(""))
        ));
    }
}
