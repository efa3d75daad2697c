//! Request headers and a file's version -> what to send. Pure.
//! RFC 9110 sections 13 (conditional requests) and 14 (range requests).

use axum::http::{HeaderMap, Method, header};
use dcdn_protocol::ByteRange;
use headers::{ETag, HeaderMapExt, IfMatch, IfModifiedSince, IfNoneMatch, IfUnmodifiedSince};
use http_range_header::{RangeUnsatisfiableError, parse_range_header};

use super::root::FileVersion;

/// What a request for a file is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200.
    Whole,
    /// 206; never empty.
    Part(ByteRange),
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    Unsatisfiable,
}

/// Decides in the order of RFC 9110 section 13.2.2.
pub fn answer(method: &Method, headers: &HeaderMap, version: &FileVersion) -> Answer {
    if !unchanged_as_required(headers, version) {
        return Answer::PreconditionFailed;
    }
    if is_held(headers, version) {
        return Answer::NotModified;
    }
    // Ranges are defined for GET alone (section 14.2).
    if method != Method::GET || !range_applies(headers, version) {
        return Answer::Whole;
    }
    range(headers, version.length)
}

/// `If-Match` and `If-Unmodified-Since`.
fn unchanged_as_required(headers: &HeaderMap, version: &FileVersion) -> bool {
    if let Some(wanted) = headers.typed_get::<IfMatch>() {
        return etag(version).is_none_or(|etag| wanted.precondition_passes(&etag));
    }
    match (headers.typed_get::<IfUnmodifiedSince>(), version.modified_date()) {
        (Some(since), Some(modified)) => since.precondition_passes(modified),
        _ => true,
    }
}

/// `If-None-Match` and `If-Modified-Since`: whether the client has this version.
fn is_held(headers: &HeaderMap, version: &FileVersion) -> bool {
    if let Some(held) = headers.typed_get::<IfNoneMatch>() {
        return etag(version).is_some_and(|etag| !held.precondition_passes(&etag));
    }
    match (headers.typed_get::<IfModifiedSince>(), version.modified_date()) {
        (Some(since), Some(modified)) => !since.is_modified(modified),
        _ => false,
    }
}

/// `If-Range`: a part is only sent to who has the rest of this very version.
/// A validator that is not ours to the byte is another version (section 13.1.5).
fn range_applies(headers: &HeaderMap, version: &FileVersion) -> bool {
    let Some(held) = headers.get(header::IF_RANGE) else { return true };
    held == version.etag().as_str()
        || version.last_modified().is_some_and(|modified| held == modified.as_str())
}

/// `Range`. What is no range, and several at once, are answered with everything.
fn range(headers: &HeaderMap, length: u64) -> Answer {
    let Some(wanted) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Answer::Whole;
    };
    match parse_range_header(wanted).and_then(|ranges| ranges.validate(length)).as_deref() {
        Ok([one]) => Answer::Part(ByteRange::new(*one.start(), one.end() + 1)),
        Err(RangeUnsatisfiableError::Unsatisfiable) => Answer::Unsatisfiable,
        Ok(_) | Err(_) => Answer::Whole,
    }
}

fn etag(version: &FileVersion) -> Option<ETag> {
    version.etag().parse().ok()
}
