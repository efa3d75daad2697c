//! Requests to the site's server: Range requests for content, and manifests.

use std::rc::Rc;

use dcdn_protocol::caching::{CacheControl, varies_by_visitor};
use dcdn_protocol::manifest::REFUSALS;
use dcdn_protocol::{ByteRange, Manifest, record};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, Headers, Request, RequestCache, RequestCredentials, RequestInit,
    RequestMode, Response,
};

use crate::error::Error;
use crate::js::{body_of, epoch_ms, scope};
use crate::range::parse_content_range;
use crate::store::Known;
use crate::wire;

/// What identifies a version of a content, and what a response says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Bytes of the whole content.
    pub length: u64,
    /// `Content-Type`.
    pub mime: String,
    /// `ETag`, verbatim.
    pub etag: Option<String>,
    /// `Last-Modified`, verbatim.
    pub last_modified: Option<String>,
    /// `Cache-Control`, verbatim.
    pub cache_control: Option<String>,
}

impl Meta {
    /// As the manifest has it.
    pub fn of_manifest(manifest: &Manifest) -> Self {
        Self {
            length: manifest.layout.length(),
            mime: manifest.mime.clone(),
            etag: manifest.etag.clone(),
            last_modified: manifest.last_modified.clone(),
            cache_control: manifest.cache_control.clone(),
        }
    }

    /// Whether both certainly describe the same version: same length, and a validator that
    /// both have says so.
    pub fn same_version(&self, other: &Self) -> bool {
        self.may_be(other) && self.agrees(other) == Some(true)
    }

    /// Whether nothing says that they describe different versions.
    pub fn may_be(&self, other: &Self) -> bool {
        self.length == other.length && self.agrees(other) != Some(false)
    }

    /// What the validators say that both have, if anything. The same weak `ETag` says nothing
    /// of bytes.
    fn agrees(&self, other: &Self) -> Option<bool> {
        match (&self.etag, &other.etag) {
            (Some(a), Some(b)) if a != b => return Some(false),
            (Some(a), Some(_)) if is_strong(a) => return Some(true),
            _ => {}
        }
        let (a, b) = self.last_modified.as_ref().zip(other.last_modified.as_ref())?;
        Some(a == b)
    }

    /// Whether a request for a range can say that it is to be of this version and no other.
    pub fn can_be_named(&self) -> bool {
        self.if_range().is_some()
    }

    /// The validator for `If-Range`: a strong `ETag`, or the date.
    fn if_range(&self) -> Option<&str> {
        match &self.etag {
            Some(etag) if is_strong(etag) => Some(etag),
            _ => self.last_modified.as_deref(),
        }
    }
}

/// Whether an `ETag` tells any two bodies apart (RFC 9110 section 8.8.1).
pub fn is_strong(etag: &str) -> bool {
    !etag.starts_with("W/")
}

/// The origin's answer to a Range request.
#[derive(Debug)]
pub enum Answer {
    /// Bytes of a content of known length; the body is still to be read.
    Content {
        /// The bytes that the body has.
        range: ByteRange,
        /// Whether they are what was asked for: 206. If not, 200 and all of them:
        /// the origin does not know ranges, or the content is another than before.
        ranges: bool,
        /// What they are of.
        meta: Meta,
        /// Whether other visitors may have it: RFC 9111, and what is said to vary.
        shared: bool,
        /// The response.
        response: Response,
    },
    /// Anything else: for the page as it is, if nothing has been delivered yet.
    Other(Response),
}

/// Asks for `range` of `url`. With `version` the origin answers 200 instead of
/// 206 if the content is no longer that version.
///
/// # Errors
/// If the network fails or `signal` aborts.
pub async fn fetch_range(
    url: &str,
    range: ByteRange,
    version: Option<&Meta>,
    signal: &AbortSignal,
) -> Result<Answer, Error> {
    let headers = Headers::new()?;
    headers.set("Range", &format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))?;
    if let Some(validator) = version.and_then(Meta::if_range) {
        headers.set("If-Range", validator)?;
    }
    let init = RequestInit::new();
    init.set_headers(&headers);
    init.set_mode(RequestMode::SameOrigin);
    init.set_credentials(RequestCredentials::SameOrigin);
    // The store keeps it; a second copy in the HTTP cache would be waste.
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(signal));
    let response = send(&Request::new_with_str_and_init(url, &init)?).await?;

    let header = |name: &str| response.headers().get(name).ok().flatten();
    let sent = match response.status() {
        206 => header("Content-Range")
            .and_then(|text| parse_content_range(&text))
            .filter(|(got, _)| got.start == range.start),
        200 => header("Content-Length")
            .and_then(|text| text.parse().ok())
            .map(|length| (ByteRange::new(0, length), length)),
        _ => None,
    };
    let encoded = header("Content-Encoding").is_some_and(|coding| coding != "identity");
    let Some((got, length)) = sent.filter(|_| !encoded) else {
        return Ok(Answer::Other(response));
    };
    let meta = Meta {
        length,
        mime: header("Content-Type").unwrap_or_default(),
        etag: header("ETag"),
        last_modified: header("Last-Modified"),
        cache_control: header("Cache-Control"),
    };
    let shared = CacheControl::parse(meta.cache_control.as_deref()).may_be_shared()
        && !varies_by_visitor(header("Vary").as_deref());
    let ranges = response.status() == 206;
    Ok(Answer::Content { range: got, ranges, meta, shared, response })
}

/// Asks the origin for a byte of `url`, to hear whether it still is the version that `known`
/// describes. Returns whether other visitors may have it.
///
/// # Errors
/// [`Error::Changed`] if the origin has something else now; otherwise it does not say.
pub async fn check(url: &str, known: &Meta) -> Result<bool, Error> {
    let abort = AbortController::new()?;
    let answer = fetch_range(url, ByteRange::new(0, 1), None, &abort.signal()).await;
    // All that is wanted is in the head.
    abort.abort();
    match answer? {
        Answer::Content { meta, shared, .. } if meta.same_version(known) => Ok(shared),
        Answer::Other(response) if response.status() == 429 || response.status() >= 500 => {
            Err(Error::Status { status: response.status() })
        }
        Answer::Content { .. } | Answer::Other(_) => Err(Error::Changed),
    }
}

/// What the coordination server says about a resource.
#[derive(Debug)]
pub enum Described {
    /// The content is still the one asked about.
    Unchanged,
    /// Its manifest.
    Manifest(Known),
}

/// Asks the coordination server at `coord` (empty: our own origin) for the
/// manifest of `url`, unless it is still the one with the validator `etag`.
///
/// # Errors
/// [`Error::NotShared`] with the server's reason if it will share no such resource;
/// otherwise it cannot tell at present, is out of reach or does not speak our protocol.
pub async fn fetch_manifest(
    coord: &str,
    url: &str,
    etag: Option<&str>,
) -> Result<Described, Error> {
    let headers = Headers::new()?;
    if let Some(etag) = etag {
        headers.set("If-None-Match", etag)?;
    }
    let init = RequestInit::new();
    init.set_headers(&headers);
    init.set_cache(RequestCache::NoStore);
    init.set_credentials(RequestCredentials::Omit);
    let url: String = js_sys::encode_uri_component(url).into();
    // `soft`: a refusal is an expected answer here, not an error for the console.
    let request = format!("{coord}/dcdn/manifest?url={url}&soft=1");
    let response = send(&Request::new_with_str_and_init(&request, &init)?).await?;
    if response.status() == 304 {
        return Ok(Described::Unchanged);
    }
    if !response.ok() {
        return Err(Error::Status { status: response.status() });
    }
    let is_json = response
        .headers()
        .get("Content-Type")?
        .is_some_and(|mime| mime.starts_with("application/json"));
    let body = body_of(&response).await?.to_vec();
    if is_json {
        return Err(why_no_manifest(&String::from_utf8_lossy(&body)));
    }
    let etag = response.headers().get("ETag")?;
    let manifest = Rc::new(wire::manifest(&body)?);
    Ok(Described::Manifest(Known { manifest, etag, checked_ms: epoch_ms() }))
}

/// The coordination server's words: `{"error": {"code", "message"}}`.
fn why_no_manifest(json: &str) -> Error {
    match dcdn_plain::from_json(json) {
        Ok(Refusal { error: Why { code, message } }) if REFUSALS.contains(&code.as_str()) => {
            Error::NotShared(message)
        }
        Ok(Refusal { error: Why { message, .. } }) => Error::NoManifest(message),
        Err(error) => error.into(),
    }
}

struct Refusal {
    error: Why,
}

record!(Refusal { error });

struct Why {
    code: String,
    message: String,
}

record!(Why { code, message });

/// Whether the coordination server answers.
pub async fn probe(coord: &str) -> bool {
    let init = RequestInit::new();
    init.set_cache(RequestCache::NoStore);
    init.set_credentials(RequestCredentials::Omit);
    let Ok(request) = Request::new_with_str_and_init(&format!("{coord}/dcdn/ws?probe=1"), &init)
    else {
        return false;
    };
    send(&request).await.is_ok_and(|response| response.ok())
}

/// `fetch`.
///
/// # Errors
/// If the network fails.
pub async fn send(request: &Request) -> Result<Response, Error> {
    Ok(JsFuture::from(scope().fetch_with_request(request)).await?.unchecked_into())
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    fn meta(etag: Option<&str>, modified: Option<&str>) -> Meta {
        Meta {
            length: 10,
            mime: "image/jpeg".to_owned(),
            etag: etag.map(str::to_owned),
            last_modified: modified.map(str::to_owned),
            cache_control: None,
        }
    }

    #[test]
    fn versions_differ_by_length_or_by_a_validator_that_both_have() {
        let a = meta(Some("\"1\""), Some("monday"));
        assert!(a.same_version(&a));
        assert!(!a.same_version(&Meta { length: 11, ..a.clone() }));
        assert!(!a.same_version(&meta(Some("\"2\""), Some("monday"))));
        assert!(a.same_version(&meta(Some("\"1\""), Some("tuesday"))));
        assert!(!meta(None, Some("monday")).same_version(&meta(None, Some("tuesday"))));
        assert!(a.same_version(&meta(None, Some("monday"))));
    }

    #[test]
    fn without_a_strong_validator_that_both_have_nothing_says_that_a_version_is_the_same() {
        let (none, weak) = (meta(None, None), meta(Some("W/\"1\""), None));
        assert!(!none.same_version(&none) && !weak.same_version(&weak));
        assert!(none.may_be(&weak) && weak.may_be(&weak));
        assert!(!weak.may_be(&meta(Some("W/\"2\""), None)));
        let dated = meta(Some("W/\"1\""), Some("monday"));
        assert!(dated.same_version(&dated) && !weak.same_version(&dated));
        assert!(!dated.may_be(&meta(Some("W/\"1\""), Some("tuesday"))));
        assert!(!none.can_be_named() && !weak.can_be_named() && dated.can_be_named());
    }

    #[test]
    fn a_weak_etag_is_no_validator_for_a_range() {
        assert_eq!(meta(Some("\"1\""), Some("monday")).if_range(), Some("\"1\""));
        assert_eq!(meta(Some("W/\"1\""), Some("monday")).if_range(), Some("monday"));
        assert_eq!(meta(None, None).if_range(), None);
    }
}
