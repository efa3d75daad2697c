//! Rust values as plain JavaScript objects and as JSON text, and back.
//!
//! What the browser downloads is to be small, and it has a JSON parser already. So text goes
//! through `JSON.parse` and `JSON.stringify`, objects are written by `serde-wasm-bindgen`,
//! and read by `read`, whose errors say nothing: the explanations of all other readers
//! bring the printing of floating-point numbers with them, 20 KB that nobody reads.

mod read;

use js_sys::JSON;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;

/// Something that has no such form, or is not of the type that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not what was expected")]
pub struct Unexpected;

/// A plain object. `None` becomes `null`, integers of 64 bits become numbers.
///
/// # Errors
/// If `value` has no such form.
pub fn to_object(value: &impl Serialize) -> Result<JsValue, Unexpected> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&serializer).map_err(|_| Unexpected)
}

/// The value that a plain object describes. Properties that nobody asks for are ignored.
///
/// # Errors
/// If it describes none.
pub fn from_object<T: DeserializeOwned>(object: &JsValue) -> Result<T, Unexpected> {
    T::deserialize(read::Reader(object.clone()))
}

/// JSON text.
///
/// # Errors
/// As [`to_object`].
pub fn to_json(value: &impl Serialize) -> Result<String, Unexpected> {
    let text = JSON::stringify(&to_object(value)?).map_err(|_| Unexpected)?;
    text.as_string().ok_or(Unexpected)
}

/// The value that JSON text describes.
///
/// # Errors
/// If it describes none, or is not JSON.
pub fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, Unexpected> {
    from_object(&JSON::parse(json).map_err(|_| Unexpected)?)
}
