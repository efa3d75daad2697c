//! The worker's errors. A JS exception becomes one of these once, at the
//! boundary, and is told apart by its `name`, never by its message.

use dcdn_protocol::manifest::ManifestError;
use wasm_bindgen::{JsCast, JsValue};

/// What can go wrong in the worker.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A browser API threw or rejected.
    #[error("{name}: {message}")]
    Js {
        /// `Error.name`, `QuotaExceededError` for one.
        name: String,
        /// `Error.message`.
        message: String,
    },
    /// The origin answered something that is of no use here.
    #[error("the origin answered {status}")]
    Status {
        /// HTTP status code.
        status: u16,
    },
    /// The body ended before the range that was promised.
    #[error("the origin's answer is cut short")]
    Short,
    /// The origin now serves another version than the one under way.
    #[error("the content changed on the origin while it was being delivered")]
    Changed,
    /// Neither the origin nor a peer can deliver.
    #[error("neither the site's server nor a peer can deliver the content")]
    Unavailable,
    /// The manifest endpoint answered with a reason: the resource is not shared.
    #[error("not shared: {0}")]
    NotShared(String),
    /// The manifest endpoint answered with a reason that says nothing of the resource.
    #[error("no manifest at present: {0}")]
    NoManifest(String),
    /// A manifest that cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Stored or received data that is not what it should be.
    #[error("malformed data: {0}")]
    Malformed(String),
}

impl Error {
    /// Whether the store is full.
    pub fn is_quota(&self) -> bool {
        matches!(self, Self::Js { name, .. } if name == "QuotaExceededError")
    }
}

impl From<JsValue> for Error {
    fn from(value: JsValue) -> Self {
        if let Some(exception) = value.dyn_ref::<web_sys::DomException>() {
            return Self::Js { name: exception.name(), message: exception.message() };
        }
        if let Some(error) = value.dyn_ref::<js_sys::Error>() {
            return Self::Js { name: error.name().into(), message: error.message().into() };
        }
        Self::Js { name: "unknown".to_owned(), message: format!("{value:?}") }
    }
}

impl From<dcdn_plain::Unexpected> for Error {
    fn from(error: dcdn_plain::Unexpected) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<&Error> for JsValue {
    fn from(error: &Error) -> Self {
        js_sys::Error::new(&error.to_string()).into()
    }
}
