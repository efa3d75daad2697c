//! The head of an origin's answer -> whether and how visitors may put the content
//! together. Pure.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use dcdn_protocol::caching::{CacheControl, varies_by_visitor};
use dcdn_protocol::manifest::ManifestError as InvalidManifest;
use dcdn_protocol::{ChunkHash, Layout, Manifest};

use crate::manifest::error::ManifestError;

/// A content that visitors may give to each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Described {
    /// How it is cut.
    pub layout: Layout,
    /// `Cache-Control`, verbatim.
    pub cache_control: Option<String>,
    mime: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Described {
    /// Reads the answer to a GET of nobody in particular.
    ///
    /// # Errors
    /// If it is no content, not for everybody, or cannot be told from another version.
    pub fn read(
        status: StatusCode,
        headers: &HeaderMap,
        min_bytes: u64,
    ) -> Result<Self, ManifestError> {
        use ManifestError::{Personal, TooSmall, Unsuited};
        if status != StatusCode::OK {
            return Err(ManifestError::Status(status));
        }
        let cache_control = check_shared(headers)?;
        if headers.contains_key(header::SET_COOKIE) {
            return Err(Personal("the origin sets a cookie with it"));
        }
        if text(headers, header::CONTENT_ENCODING).is_some_and(|it| it != "identity") {
            return Err(Unsuited("sends it encoded, though it was not asked to"));
        }
        let length = text(headers, header::CONTENT_LENGTH)
            .and_then(|it| it.parse::<u64>().ok())
            .ok_or(Unsuited("does not say how long it is (Content-Length)"))?;
        if length < min_bytes {
            return Err(TooSmall(min_bytes));
        }
        let etag = text(headers, header::ETAG);
        let last_modified = text(headers, header::LAST_MODIFIED);
        if !etag.as_deref().is_some_and(is_strong) && last_modified.is_none() {
            let why = "does not say which version it is (a strong ETag, or Last-Modified)";
            return Err(Unsuited(why));
        }
        let layout = Layout::of_length(length).map_err(ManifestError::TooLarge)?;
        let mime = text(headers, header::CONTENT_TYPE).unwrap_or_default();
        Ok(Self { layout, cache_control, mime, etag, last_modified })
    }

    /// Whether the content is certainly the one that the manifest has: the origin has only
    /// sent it once more.
    pub fn is_version_of(&self, manifest: &Manifest) -> bool {
        self.etag.as_deref().is_some_and(is_strong)
            && self.etag == manifest.etag
            && self.last_modified == manifest.last_modified
            && self.layout == manifest.layout
            && self.mime == manifest.mime
    }

    /// With its hashes it is a manifest.
    ///
    /// # Errors
    /// If there are not as many as chunks.
    pub fn manifest(self, url: &str, hashes: Vec<ChunkHash>) -> Result<Manifest, InvalidManifest> {
        let Self { layout, mime, etag, last_modified, cache_control } = self;
        Manifest::new(url.to_owned(), layout, mime, etag, last_modified, hashes)
            .map(|manifest| manifest.with_cache_control(cache_control))
    }
}

/// The `Cache-Control` of a manifest of which the origin says that nothing has changed
/// (RFC 9111 section 4.3.4).
///
/// # Errors
/// If it is not for everybody any more.
pub fn still_shared(
    headers: &HeaderMap,
    manifest: &Manifest,
) -> Result<Option<String>, ManifestError> {
    Ok(check_shared(headers)?.or_else(|| manifest.cache_control.clone()))
}

/// Whether an `ETag` tells any two bodies apart (RFC 9110 section 8.8.1).
fn is_strong(etag: &str) -> bool {
    !etag.starts_with("W/")
}

/// How long the answer has been in caches on its way (RFC 9111 section 5.1).
pub fn age(headers: &HeaderMap) -> Duration {
    let seconds = text(headers, header::AGE).and_then(|it| it.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

/// The `Cache-Control` of what is for everybody.
fn check_shared(headers: &HeaderMap) -> Result<Option<String>, ManifestError> {
    let control = text(headers, header::CACHE_CONTROL);
    if !CacheControl::parse(control.as_deref()).may_be_shared() {
        return Err(ManifestError::Personal("its Cache-Control says so"));
    }
    if varies_by_visitor(text(headers, header::VARY).as_deref()) {
        return Err(ManifestError::Personal("it may be another one for the next (Vary)"));
    }
    Ok(control)
}

/// A header as pages get to see it: of several lines one.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|it| it.to_str().ok()).collect::<Option<_>>()?;
    (!lines.is_empty()).then(|| lines.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::error::ApiError;

    const FILM: [(HeaderName, &str); 5] = [
        (header::CONTENT_LENGTH, "300000"),
        (header::CONTENT_TYPE, "video/mp4"),
        (header::ETAG, "\"1\""),
        (header::LAST_MODIFIED, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (header::CACHE_CONTROL, "max-age=60"),
    ];

    /// A header to add, or to take away.
    type Change<'a> = (HeaderName, Option<&'a str>);

    fn film_with(changes: &[Change]) -> HeaderMap {
        let mut headers: HeaderMap =
            FILM.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
        for (name, value) in changes {
            match value {
                Some(value) => drop(headers.append(name.clone(), value.parse().unwrap())),
                None => drop(headers.remove(name)),
            }
        }
        headers
    }

    fn refusal(status: u16, changes: &[Change]) -> (&'static str, u16) {
        let status = StatusCode::from_u16(status).unwrap();
        let refused = Described::read(status, &film_with(changes), 1000).unwrap_err();
        let error = ApiError::from(refused);
        (error.code, error.status.as_u16())
    }

    #[test]
    fn what_everybody_may_have_is_described() {
        let described = Described::read(StatusCode::OK, &film_with(&[]), 300_000).unwrap();

        assert_eq!(described.layout.length(), 300_000);
        assert_eq!(described.cache_control.as_deref(), Some("max-age=60"));
        let weak = [(header::ETAG, None), (header::ETAG, Some("W/\"1\""))];
        assert!(Described::read(StatusCode::OK, &film_with(&weak), 0).is_ok());
    }

    #[test]
    fn what_is_for_one_visitor_or_cannot_be_put_together_is_refused() {
        let weak: [Change; 3] =
            [(header::ETAG, None), (header::ETAG, Some("W/\"1\"")), (header::LAST_MODIFIED, None)];
        let cases: [(&[Change], _); 11] = [
            (&weak, ("unsuited", 422)),
            (&[(header::CACHE_CONTROL, Some("private"))], ("personal", 403)),
            (&[(header::CACHE_CONTROL, Some("no-store"))], ("personal", 403)),
            (
                &[(header::VARY, Some("Accept-Encoding")), (header::VARY, Some("Cookie"))],
                ("personal", 403),
            ),
            (&[(header::SET_COOKIE, Some("a=b"))], ("personal", 403)),
            (&[(header::CONTENT_ENCODING, Some("gzip"))], ("unsuited", 422)),
            (&[(header::CONTENT_LENGTH, None)], ("unsuited", 422)),
            (&[(header::ETAG, None), (header::LAST_MODIFIED, None)], ("unsuited", 422)),
            (
                &[(header::CONTENT_LENGTH, None), (header::CONTENT_LENGTH, Some("999"))],
                ("too_small", 422),
            ),
            (
                &[(header::CONTENT_LENGTH, None), (header::CONTENT_LENGTH, Some("17592186044417"))],
                ("too_large", 422),
            ),
            (
                &[(header::CONTENT_LENGTH, None), (header::CONTENT_LENGTH, Some("-1"))],
                ("unsuited", 422),
            ),
        ];
        for (changes, expected) in cases {
            assert_eq!(refusal(200, changes), expected, "{changes:?}");
        }
    }

    #[test]
    fn the_origins_refusals_are_told_apart() {
        let cases = [
            (404, ("not_found", 404)),
            (410, ("not_found", 404)),
            (401, ("personal", 403)),
            (403, ("personal", 403)),
            (206, ("unsuited", 422)),
            (302, ("unsuited", 422)),
            (304, ("unsuited", 422)),
            (500, ("origin", 502)),
            (503, ("origin", 502)),
        ];
        for (status, expected) in cases {
            assert_eq!(refusal(status, &[]), expected, "{status}");
        }
    }

    #[test]
    fn the_same_strong_validator_is_the_same_content() {
        let read = |headers: &HeaderMap| Described::read(StatusCode::OK, headers, 0).unwrap();
        let hashes = || vec![ChunkHash([0; 32]); 2];
        let known = read(&film_with(&[])).manifest("/a", hashes()).unwrap();

        assert!(read(&film_with(&[])).is_version_of(&known));
        let other = [(header::ETAG, None), (header::ETAG, Some("\"2\""))];
        assert!(!read(&film_with(&other)).is_version_of(&known));
        let weak = film_with(&[(header::ETAG, None), (header::ETAG, Some("W/\"1\""))]);
        let known = read(&weak).manifest("/a", hashes()).unwrap();
        assert!(!read(&weak).is_version_of(&known));
    }

    #[test]
    fn what_becomes_private_is_shared_no_longer() {
        let known = Described::read(StatusCode::OK, &film_with(&[]), 0).unwrap();
        let known = known.manifest("/a", vec![ChunkHash([0; 32]); 2]).unwrap();
        let said = |control: &str| {
            HeaderMap::from_iter([(header::CACHE_CONTROL, control.parse().unwrap())])
        };

        assert!(still_shared(&said("private"), &known).is_err());
        assert_eq!(still_shared(&said("no-cache"), &known).unwrap().as_deref(), Some("no-cache"));
        assert_eq!(still_shared(&HeaderMap::new(), &known).unwrap().as_deref(), Some("max-age=60"));
    }
}
