//! Errors as the HTTP endpoints under `/dcdn/` say them:
//! `{"error":{"code":"not_found","message":"…"}}`.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

/// An answer other than the one asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// For programs; stable.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// When it may be worth asking again.
    pub retry_after: Option<Duration>,
}

/// Extension of an answer that is an [`ApiError`]: its code, for who counts them.
#[derive(Clone, Copy, Debug)]
pub struct ErrorKind(pub &'static str);

impl ApiError {
    /// An error from its parts.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// The same error, which is over after this time.
    #[must_use]
    pub fn retry_after(self, time: Duration) -> Self {
        Self { retry_after: Some(time), ..self }
    }

    /// The same answer with status 200: a browser writes every failed fetch to
    /// the page's console, and a file that has no manifest is nothing to report.
    pub fn into_soft_response(self) -> Response {
        let mut response = self.into_response();
        *response.status_mut() = StatusCode::OK;
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let uncached = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let kind = Extension(ErrorKind(self.code));
        let mut response = (self.status, [uncached], kind, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 15.5.2: it says how.
            let how = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
        }
        if let Some(time) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, time.as_secs().into());
        }
        response
    }
}
