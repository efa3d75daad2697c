//! Why there is no manifest, and how that is said.

use std::io;
use std::time::Duration;

use axum::http::StatusCode;
use dcdn_protocol::chunk::{InvalidLayout, MAX_CHUNKS};

use super::hashing::HashError;
use crate::error::ApiError;
use crate::limit::address::Excess;
use crate::origin::OriginError;
use crate::site::path::PathError;
use crate::site::root::OpenError;

/// When somebody for whom too much was hashed may ask again.
const PAID_OFF_AFTER: Duration = Duration::from_secs(60);

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The URL names nothing of the site.
    #[error(transparent)]
    Path(PathError),
    /// The file cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// It is not for other visitors: why.
    #[error("visitors may not give it to each other: {0}")]
    Personal(&'static str),
    /// Below the site's minimum, in bytes.
    #[error("it has fewer than {0} bytes, the site's minimum for peers")]
    TooSmall(u64),
    /// More than [`MAX_CHUNKS`] of the largest chunks.
    #[error("it is too large: {0} (there may be {MAX_CHUNKS})")]
    TooLarge(#[source] InvalidLayout),
    /// The file cannot be hashed.
    #[error(transparent)]
    Hash(HashError),
    /// The file changed during every attempt.
    #[error("the file keeps changing; ask again later")]
    Changing,
    /// The origin answered with this status.
    #[error("the origin answers {0}")]
    Status(StatusCode),
    /// The origin's answer is not one that visitors can put together from parts: why.
    #[error("the origin {0}")]
    Unsuited(&'static str),
    /// The origin gives no answer.
    #[error(transparent)]
    Origin(OriginError),
    /// The origin's answer breaks off.
    #[error("the origin's answer broke off")]
    Broken(#[source] io::Error),
    /// Too much had to be hashed for the visitor's address.
    #[error(transparent)]
    Excess(Excess),
    /// Too many are being made.
    #[error("too many manifests are being made; ask again later")]
    Busy,
    /// The hashes make no manifest.
    #[error(transparent)]
    Manifest(dcdn_protocol::manifest::ManifestError),
    /// The manifest makes no frame.
    #[error(transparent)]
    Frame(dcdn_protocol::frame::FrameError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
}

impl From<ManifestError> for ApiError {
    fn from(error: ManifestError) -> Self {
        let (status, code) = kind(&error);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot make a manifest");
        } else if status == StatusCode::BAD_GATEWAY {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot make a manifest");
        }
        let said = Self::new(status, code, error.to_string());
        if status == StatusCode::TOO_MANY_REQUESTS {
            said.retry_after(PAID_OFF_AFTER)
        } else {
            said
        }
    }
}

fn kind(error: &ManifestError) -> (StatusCode, &'static str) {
    use ManifestError as E;
    match error {
        E::Path(PathError::Malformed(_)) | E::Origin(OriginError::Target) => {
            (StatusCode::BAD_REQUEST, "bad_url")
        }
        E::Path(PathError::Outside) | E::Open(OpenError::Outside) => {
            (StatusCode::FORBIDDEN, "outside_root")
        }
        E::Path(PathError::Hidden) | E::Open(OpenError::NotPublic(_) | OpenError::Directory) => {
            (StatusCode::FORBIDDEN, "not_public")
        }
        E::Personal(_) => (StatusCode::FORBIDDEN, "personal"),
        E::Open(OpenError::NotFound) => (StatusCode::NOT_FOUND, "not_found"),
        E::TooSmall(_) => (StatusCode::UNPROCESSABLE_ENTITY, "too_small"),
        E::TooLarge(_) | E::Hash(HashError::TooLarge(_)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "too_large")
        }
        E::Unsuited(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unsuited"),
        E::Status(status) => kind_of_status(*status),
        E::Origin(_) | E::Broken(_) => (StatusCode::BAD_GATEWAY, "origin"),
        E::Changing | E::Hash(HashError::Changed) => (StatusCode::SERVICE_UNAVAILABLE, "changing"),
        E::Excess(_) | E::Hash(HashError::Excess(_)) => {
            (StatusCode::TOO_MANY_REQUESTS, "address_limit")
        }
        E::Busy | E::Hash(HashError::Busy) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        E::Open(OpenError::Io(_))
        | E::Hash(HashError::Io(_) | HashError::Stopped)
        | E::Manifest(_)
        | E::Frame(_)
        | E::Stopped => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

/// What the origin's refusal of a request without cookies says of the resource.
fn kind_of_status(status: StatusCode) -> (StatusCode, &'static str) {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => (StatusCode::NOT_FOUND, "not_found"),
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::PROXY_AUTHENTICATION_REQUIRED => (StatusCode::FORBIDDEN, "personal"),
        // These say nothing of the resource either.
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            (StatusCode::BAD_GATEWAY, "origin")
        }
        status if status.is_server_error() => (StatusCode::BAD_GATEWAY, "origin"),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "unsuited"),
    }
}

#[cfg(test)]
mod tests {
    use dcdn_protocol::manifest::REFUSALS;

    use super::*;

    #[test]
    fn only_what_is_said_of_the_resource_is_a_refusal() {
        use ManifestError as E;
        let refused = [
            E::Path(PathError::Malformed("")),
            E::Path(PathError::Outside),
            E::Open(OpenError::Directory),
            E::Open(OpenError::NotFound),
            E::Personal(""),
            E::TooSmall(1),
            E::Unsuited(""),
            E::Status(StatusCode::GONE),
        ];
        let of_the_moment = [
            E::Changing,
            E::Busy,
            E::Stopped,
            E::Broken(io::ErrorKind::UnexpectedEof.into()),
            E::Status(StatusCode::TOO_MANY_REQUESTS),
            E::Status(StatusCode::SERVICE_UNAVAILABLE),
            E::Open(OpenError::Io(io::ErrorKind::Other.into())),
        ];
        for error in refused {
            let (status, code) = kind(&error);
            assert!(status.is_client_error() && REFUSALS.contains(&code), "{error}");
        }
        for error in of_the_moment {
            assert!(!REFUSALS.contains(&kind(&error).1), "{error}");
        }
    }
}
