//! Rust values as plain JavaScript objects, and back.
//!
//! By way of JSON text: what the page receives from its peers is JSON already, so
//! this costs the visitor no second set of decoders. Messages are small; chunks
//! never come this way.

use js_sys::JSON;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;

use crate::error::ShimError;

/// A plain object. `None` becomes `null`.
///
/// # Errors
/// If `value` has no JSON form.
pub fn to_object(value: &impl Serialize) -> Result<JsValue, ShimError> {
    Ok(JSON::parse(&serde_json::to_string(value)?)?)
}

/// The value that a plain object describes.
///
/// # Errors
/// If it describes none, or is no plain object.
pub fn from_object<T: DeserializeOwned>(object: &JsValue) -> Result<T, ShimError> {
    let json = JSON::stringify(object)?.as_string().unwrap_or_default();
    Ok(serde_json::from_str(&json)?)
}
