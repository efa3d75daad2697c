//! The frame: `u16` little-endian header length, JSON header, binary body.
//!
//! It is the thesis's wire format (section 3.3) with the byte order fixed. It
//! carries the data channel's and the signalling socket's messages and the
//! manifest. The body's length is what remains of the message.

use serde::{Serialize, de::DeserializeOwned};

/// Bytes before the header.
pub const PREFIX: usize = 2;

/// Most bytes that a header may have.
pub const MAX_HEADER: usize = u16::MAX as usize;

/// Bytes that most frames fit in before their body.
const USUAL: usize = 1024;

/// A frame that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Shorter than its own length field says, or than the field itself.
    #[error("frame of {actual} bytes ends before its header ({needed} bytes needed)")]
    Truncated {
        /// Bytes needed to hold prefix and header.
        needed: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// A header over [`MAX_HEADER`] bytes.
    #[error("header of {0} bytes is over the limit of {MAX_HEADER}")]
    HeaderTooLong(usize),
    /// A header that is not the JSON of the message expected.
    #[error("header is not a known message: {0}")]
    Header(String),
}

impl From<serde_json::Error> for FrameError {
    fn from(error: serde_json::Error) -> Self {
        Self::Header(error.to_string())
    }
}

/// Prefix and header, from the header's JSON.
///
/// # Errors
/// If it is over [`MAX_HEADER`].
pub fn head(json: &str) -> Result<Vec<u8>, FrameError> {
    let length = u16::try_from(json.len()).map_err(|_| FrameError::HeaderTooLong(json.len()))?;
    Ok([&length.to_le_bytes(), json.as_bytes()].concat())
}

/// Prefix and header without a body, for callers that append the body
/// themselves (in the browser it never enters wasm memory).
///
/// # Errors
/// If the header does not serialise or is over [`MAX_HEADER`].
pub fn encode_head<H: Serialize>(header: &H) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::with_capacity(USUAL);
    bytes.resize(PREFIX, 0);
    serde_json::to_writer(&mut bytes, header)?;
    let header_len = bytes.len() - PREFIX;
    let length = u16::try_from(header_len).map_err(|_| FrameError::HeaderTooLong(header_len))?;
    bytes[..PREFIX].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// A whole frame.
///
/// # Errors
/// As [`encode_head`].
pub fn encode<H: Serialize>(header: &H, body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut bytes = encode_head(header)?;
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// Where the body starts, from the message's first bytes and its whole length.
/// Lets a caller read just the head of a message that it holds elsewhere.
///
/// # Errors
/// [`FrameError::Truncated`] if the header does not end within `total` bytes.
pub fn body_offset(start: &[u8], total: usize) -> Result<usize, FrameError> {
    let truncated = |needed| FrameError::Truncated { needed, actual: total };
    let prefix = start.first_chunk::<PREFIX>().ok_or(truncated(PREFIX))?;
    let offset = PREFIX + usize::from(u16::from_le_bytes(*prefix));
    if offset > total {
        return Err(truncated(offset));
    }
    Ok(offset)
}

/// The header's JSON, and the body.
///
/// # Errors
/// If the frame is cut short or its header is not text.
pub fn split(bytes: &[u8]) -> Result<(&str, &[u8]), FrameError> {
    let offset = body_offset(bytes, bytes.len())?;
    let header = str::from_utf8(&bytes[PREFIX..offset])
        .map_err(|_| FrameError::Header("it is not UTF-8".to_owned()))?;
    Ok((header, &bytes[offset..]))
}

/// Reads a frame: the header as `H`, and the body.
///
/// # Errors
/// If the frame is cut short or its header is not an `H`.
pub fn decode<H: DeserializeOwned>(bytes: &[u8]) -> Result<(H, &[u8]), FrameError> {
    let (header, body) = split(bytes)?;
    Ok((serde_json::from_str(header)?, body))
}
