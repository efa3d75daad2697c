//! What can go wrong at the boundary to the browser, as one type.

use dcdn_protocol::frame::FrameError;
use wasm_bindgen::{JsCast, JsValue};

/// A failure that this crate handles itself; pages never see one.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The browser threw, or rejected a promise. Holds the exception's name, which
    /// is stable, and not its message, which differs between browsers.
    #[error("the browser says {0}")]
    Browser(String),
    /// A message is no frame of this protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message is not binary, or larger than the protocol allows.
    #[error("not a binary message of at most {0} bytes")]
    NotAMessage(usize),
    /// A frame whose header is no message that this version knows.
    #[error("unknown message")]
    UnknownMessage,
    /// No worker controls the page.
    #[error("no service worker controls this page")]
    NoWorker,
    /// The other side does not want one more connection.
    #[error("the peer has no room for one more connection")]
    Refused,
}

impl From<JsValue> for ShimError {
    fn from(thrown: JsValue) -> Self {
        let name = thrown
            .dyn_ref::<js_sys::Error>()
            .map_or_else(|| "something that is not an error".to_owned(), |e| e.name().into());
        Self::Browser(name)
    }
}

impl From<dcdn_plain::Unexpected> for ShimError {
    fn from(_: dcdn_plain::Unexpected) -> Self {
        Self::UnknownMessage
    }
}
