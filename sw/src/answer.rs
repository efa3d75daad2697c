//! The page's response: status and headers from what is asked and what there is.

use dcdn_protocol::ByteRange;
use web_sys::{Headers, ReadableStream, Response, ResponseInit};

use crate::error::Error;
use crate::origin::{Meta, is_strong};
use crate::range::{RangeSpec, Resolved};

/// Status, headers and bytes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200, 206 or 416.
    pub status: u16,
    /// The bytes of the body.
    pub range: ByteRange,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
}

/// Answers a request for `spec` of the content that `meta` describes. `if_range`
/// is the request's header: a range of another version is answered whole, and of a weak
/// `ETag` nobody knows (RFC 9110 section 13.1.5). `media` caps open-ended ranges.
pub fn answer(spec: RangeSpec, if_range: Option<&str>, meta: &Meta, media: bool) -> Answer {
    let current = if_range.is_none_or(|validator| {
        let ours = [&meta.etag, &meta.last_modified];
        is_strong(validator) && ours.iter().any(|ours| ours.as_deref() == Some(validator))
    });
    let spec = if current { spec } else { RangeSpec::Whole };
    let (status, range) = match spec.resolve(meta.length, media) {
        Resolved::Whole => (200, ByteRange::new(0, meta.length)),
        Resolved::Part(range) => (206, range),
        Resolved::Unsatisfiable => (416, ByteRange::new(0, 0)),
    };
    let mut headers = vec![("Accept-Ranges", "bytes".to_owned())];
    match status {
        206 => headers.push((
            "Content-Range",
            format!("bytes {}-{}/{}", range.start, range.end - 1, meta.length),
        )),
        416 => headers.push(("Content-Range", format!("bytes */{}", meta.length))),
        _ => {}
    }
    headers.push(("Content-Length", range.len().to_string()));
    if !meta.mime.is_empty() {
        headers.push(("Content-Type", meta.mime.clone()));
    }
    headers.extend(meta.etag.clone().map(|etag| ("ETag", etag)));
    headers.extend(meta.last_modified.clone().map(|date| ("Last-Modified", date)));
    headers.extend(meta.cache_control.clone().map(|control| ("Cache-Control", control)));
    Answer { status, range, headers }
}

impl Answer {
    /// The response with `body`.
    ///
    /// # Errors
    /// If a header from the origin cannot be set.
    pub fn response(&self, body: Option<&ReadableStream>) -> Result<Response, Error> {
        let headers = Headers::new()?;
        for (name, value) in &self.headers {
            headers.set(name, value)?;
        }
        let init = ResponseInit::new();
        init.set_status(self.status);
        init.set_headers(&headers);
        Ok(Response::new_with_opt_readable_stream_and_init(body, &init)?)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta {
            length: 100,
            mime: "video/mp4".to_owned(),
            etag: Some("\"v1\"".to_owned()),
            last_modified: Some("monday".to_owned()),
            cache_control: Some("max-age=60".to_owned()),
        }
    }

    fn header(answer: &Answer, name: &str) -> Option<String> {
        answer.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn the_whole_is_a_200_with_length_and_validators() {
        let answer = answer(RangeSpec::Whole, None, &meta(), false);
        assert_eq!((answer.status, answer.range), (200, ByteRange::new(0, 100)));
        assert_eq!(header(&answer, "Content-Length").as_deref(), Some("100"));
        assert_eq!(header(&answer, "ETag").as_deref(), Some("\"v1\""));
        assert_eq!(header(&answer, "Cache-Control").as_deref(), Some("max-age=60"));
        assert_eq!(header(&answer, "Content-Range"), None);
    }

    #[test]
    fn a_range_is_a_206_with_a_known_total() {
        let answer = answer(RangeSpec::Closed(0, 1), None, &meta(), true);
        assert_eq!(answer.status, 206);
        assert_eq!(header(&answer, "Content-Range").as_deref(), Some("bytes 0-1/100"));
        assert_eq!(header(&answer, "Content-Length").as_deref(), Some("2"));
    }

    #[test]
    fn what_cannot_be_satisfied_is_a_416_that_tells_the_length() {
        let answer = answer(RangeSpec::From(100), None, &meta(), true);
        assert_eq!(answer.status, 416);
        assert_eq!(header(&answer, "Content-Range").as_deref(), Some("bytes */100"));
    }

    #[test]
    fn a_range_of_another_version_is_answered_whole() {
        let range = RangeSpec::Closed(5, 9);
        assert_eq!(answer(range, Some("\"v1\""), &meta(), false).status, 206);
        assert_eq!(answer(range, Some("monday"), &meta(), false).status, 206);
        assert_eq!(answer(range, Some("\"v0\""), &meta(), false).status, 200);
    }

    #[test]
    fn a_weak_etag_does_not_allow_a_range() {
        let weak = Meta { etag: Some("W/\"v1\"".to_owned()), ..meta() };
        let range = RangeSpec::Closed(5, 9);
        assert_eq!(answer(range, Some("W/\"v1\""), &weak, false).status, 200);
        assert_eq!(answer(range, Some("\"v1\""), &weak, false).status, 200);
        assert_eq!(answer(range, Some("monday"), &weak, false).status, 206);
    }
}
