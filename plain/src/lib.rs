//! Rust values as plain JavaScript objects and as JSON text, and back.
//!
//! What the browser downloads is to be small, and it has a JSON parser already. So text goes
//! through `JSON.parse` and `JSON.stringify`, and what there is between those and Rust's types
//! is in [`dcdn_protocol::plain`]: errors say nothing, since all explanations together
//! are 20 KB that nobody reads.

mod tree;

use dcdn_protocol::plain::{Read, Write};
use js_sys::JSON;
use wasm_bindgen::JsValue;

use tree::Value;

/// Something that has no such form, or is not of the type that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not what was expected")]
pub struct Unexpected;

/// A plain object. `None` becomes `null`, integers of 64 bits become numbers.
#[inline(never)]
pub fn to_object(value: &impl Write) -> JsValue {
    value.write::<Value>().0
}

/// The value that a plain object describes. Properties that nobody asks for are ignored.
///
/// # Errors
/// If it describes none.
#[inline(never)]
pub fn from_object<T: Read>(object: &JsValue) -> Result<T, Unexpected> {
    T::read(&Value(object.clone())).ok_or(Unexpected)
}

/// JSON text.
///
/// # Errors
/// If the browser cannot write it: it is too long.
pub fn to_json(value: &impl Write) -> Result<String, Unexpected> {
    stringify(&to_object(value))
}

/// The value that JSON text describes.
///
/// # Errors
/// If it describes none, or is not JSON.
pub fn from_json<T: Read>(json: &str) -> Result<T, Unexpected> {
    from_object(&parse(json)?)
}

fn stringify(object: &JsValue) -> Result<String, Unexpected> {
    let text = JSON::stringify(object).map_err(|_| Unexpected)?;
    text.as_string().ok_or(Unexpected)
}

fn parse(json: &str) -> Result<JsValue, Unexpected> {
    JSON::parse(json).map_err(|_| Unexpected)
}
