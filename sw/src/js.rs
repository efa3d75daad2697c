//! The worker's surroundings in the browser.

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Response, ServiceWorkerGlobalScope};

use dcdn_protocol::ChunkHash;
use dcdn_protocol::manifest::HASH_LEN;
use dcdn_swarm::Timestamp;

use crate::error::Error;

/// `self`.
pub fn scope() -> ServiceWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Milliseconds since the Unix epoch on the monotonic clock, comparable with a
/// page's `performance.timeOrigin`.
pub fn epoch_ms() -> f64 {
    scope().performance().map_or_else(js_sys::Date::now, |clock| clock.time_origin() + clock.now())
}

/// The moment, for the core.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn now() -> Timestamp {
    Timestamp(scope().performance().map_or_else(js_sys::Date::now, |clock| clock.now()) as u64)
}

/// A seed for the core.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn seed() -> u64 {
    (js_sys::Math::random() * 9_007_199_254_740_991.0) as u64
}

/// SHA-256 of bytes that stay in JS memory.
///
/// # Errors
/// If the browser refuses, which it does outside secure contexts.
pub async fn sha256(bytes: &Uint8Array) -> Result<ChunkHash, Error> {
    let subtle = scope().crypto()?.subtle();
    let digest =
        JsFuture::from(subtle.digest_with_str_and_buffer_source("SHA-256", bytes)?).await?;
    let mut hash = [0; HASH_LEN];
    let digest = Uint8Array::new(&digest);
    if digest.length() as usize != HASH_LEN {
        return Err(Error::Malformed("a digest of another length".to_owned()));
    }
    digest.copy_to(&mut hash);
    Ok(ChunkHash(hash))
}

/// The body of a response, in JS memory.
///
/// # Errors
/// If it cannot be read to its end.
pub async fn body_of(response: &Response) -> Result<Uint8Array, Error> {
    Ok(Uint8Array::new(&JsFuture::from(response.array_buffer()?).await?))
}

/// A property of a JS object, `undefined` if there is none.
pub fn property(object: &JsValue, name: &str) -> JsValue {
    js_sys::Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

/// Says something in the worker's console that a site owner should know.
pub fn warn(message: &str) {
    let console = property(&js_sys::global(), "console");
    if let Ok(warn) = property(&console, "warn").dyn_into::<js_sys::Function>() {
        let _ = warn.call1(&console, &JsValue::from_str(&format!("DCDN: {message}")));
    }
}
