//! Frames, read and written with the browser's own JSON.

use dcdn_protocol::frame;
use dcdn_protocol::plain::{Read, Write};

use crate::error::ShimError;

/// A frame without a body, or the beginning of one that has a body.
///
/// # Errors
/// If the message does not fit.
pub fn head(message: &impl Write) -> Result<Vec<u8>, ShimError> {
    Ok(frame::head(&dcdn_plain::to_json(message)?)?)
}

/// The message in a frame whose body is not looked at.
///
/// # Errors
/// If it is cut short, or no message of this version.
pub fn message<T: Read>(bytes: &[u8]) -> Result<T, ShimError> {
    let (header, _) = frame::split(bytes)?;
    Ok(dcdn_plain::from_json(header)?)
}
