//! `GET /dcdn/manifest?url=/media/a.jpg`: what a resource of the site is, and the
//! hash of each of its chunks. [`Files`] makes those of a directory, [`Remote`] those of
//! what the site's own server sends.
//!
//! With `&soft=1` an error is answered with status 200 and the same JSON, because
//! browsers write every failed fetch to the page's console.
//!
//! | code | status | |
//! |---|---|---|
//! | `bad_url` | 400 | not the path and query of a URL of this site |
//! | `not_public` | 403 | hidden, a directory, not a regular file, or the server's own URL |
//! | `personal` | 403 | not for other visitors: `Cache-Control`, `Vary`, a cookie, a login |
//! | `outside_root` | 403 | the path or a symlink on it leads out of the site |
//! | `not_found` | 404 | no such resource |
//! | `too_small` | 422 | below the site's `min_bytes` |
//! | `too_large` | 422 | over 16 TiB |
//! | `unsuited` | 422 | the origin redirects, or does not say length or version |
//! | `address_limit` | 429 | too much had to be hashed for one network address |
//! | `internal` | 500 | the file could not be read |
//! | `origin` | 502 | the origin does not answer, or with an error |
//! | `busy` | 503 | too many manifests are being made |
//! | `changing` | 503 | the file changed each time that it was hashed |

pub mod ahead;
mod error;
mod files;
mod flights;
mod hashing;
mod record;
mod remote;
pub mod store;
mod streamed;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{RawQuery, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dcdn_protocol::Manifest;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

pub use self::error::ManifestError;
pub use self::files::Files;
pub use self::remote::Remote;
use crate::asker::Asker;
use crate::assets::{header_of, is_held};
use crate::dashboard::Names;
use crate::error::ApiError;
use crate::limit::address::{Guard, Purse};
use crate::origin::OriginError;
use crate::site::path::{PathError, SitePath};
use crate::site::root::OpenError;

/// Most bytes of a `url`, so that it fits a frame's header several times.
const MAX_URL: usize = 8 * 1024;

/// Makes manifests of what the site has.
#[derive(Debug)]
pub enum Manifests {
    /// Of a directory's files.
    Files(Files),
    /// Of what the site's own server sends.
    Remote(Remote),
}

impl Manifests {
    /// The manifest of what `url` (path and query) is on this site. `scheme` is how the
    /// visitor asks, `http` or `https`; what has to be hashed is at the cost of `purse`.
    ///
    /// # Errors
    /// See the [module](self).
    pub async fn describe(
        &self,
        url: &str,
        scheme: HeaderValue,
        purse: &Purse,
    ) -> Result<Arc<Manifest>, ApiError> {
        let path = parse_url(url)?;
        match self {
            Self::Files(files) => Ok(Arc::new(files.describe(url, path, purse).await?)),
            Self::Remote(_) if path.is_reserved() => {
                let error = OpenError::NotPublic("this path belongs to the server");
                Err(ManifestError::Open(error).into())
            }
            Self::Remote(remote) => {
                let target = PathAndQuery::try_from(url)
                    .map_err(|_| ManifestError::Origin(OriginError::Target))?;
                remote.describe(url, target, scheme, purse).await
            }
        }
    }
}

/// Path and query as a page of this site sees them -> the path.
fn parse_url(url: &str) -> Result<SitePath, ManifestError> {
    let bad = |why| Err(ManifestError::Path(PathError::Malformed(why)));
    if url.len() > MAX_URL {
        return bad("it is too long");
    }
    if !url.starts_with('/') || url.starts_with("//") {
        return bad("it must start with one /");
    }
    if url.contains(|c: char| c == '#' || c == '\\' || c.is_control() || c.is_whitespace()) {
        return bad("it has a character that no URL's path and query have");
    }
    let path = url.split_once('?').map_or(url, |(path, _)| path);
    SitePath::parse(path).map_err(ManifestError::Path)
}

/// What [`show`] has.
#[derive(Debug)]
pub struct Shown {
    /// Makes them.
    pub manifests: Manifests,
    /// Hears of what is asked for.
    pub names: Names,
    /// Keeps account of who asks.
    pub guard: Guard,
}

/// Answers `GET /dcdn/manifest`.
pub async fn show(
    State(shown): State<Arc<Shown>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let query = Query::parse(query.as_deref().unwrap_or_default());
    let asker = Asker::of(&request);
    let scheme = asker.scheme(request.headers());
    let purse = shown.guard.purse(asker.visitor, Instant::now());
    match answer(&shown, &query, request.headers().clone(), scheme, &purse).await {
        Ok(response) => response,
        Err(error) if query.soft => error.into_soft_response(),
        Err(error) => error.into_response(),
    }
}

async fn answer(
    shown: &Shown,
    query: &Query,
    request: HeaderMap,
    scheme: HeaderValue,
    purse: &Purse,
) -> Result<Response, ApiError> {
    let url = query.url.as_deref().ok_or_else(|| {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_url", "say which: ?url=/path/of/a/file")
    })?;
    let manifest = shown.manifests.describe(url, scheme, purse).await?;
    shown.names.note(manifest.content_id(), url).await;
    let frame = manifest.encode().map_err(|error| ApiError::from(ManifestError::Frame(error)))?;
    // The content id alone would not do: a file that was only touched has other
    // validators in its manifest, and who compares the old ones would never again
    // take the origin's bytes for this content.
    let digest = hex::encode(&Sha256::digest(&frame)[..8]);
    let etag = format!("\"{}-{digest}\"", manifest.content_id());
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, header_of(&etag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if is_held(&request, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok((headers, frame).into_response())
}

/// The query of a manifest's URL; of a field given twice the first counts.
struct Query {
    url: Option<String>,
    soft: bool,
}

impl Query {
    fn parse(query: &str) -> Self {
        let field = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
        };
        Self { url: field("url").and_then(decode), soft: field("soft") == Some("1") }
    }
}

/// One level of encoding off a value; `None` if it is not UTF-8. A `+` is itself:
/// a URL's path and query have no spaces that it could stand for.
fn decode(value: &str) -> Option<String> {
    Some(percent_decode_str(value).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_a_path_of_this_site_is_a_url() {
        let long = format!("/{}", "a".repeat(MAX_URL));
        let bad = [
            "",
            "a.jpg",
            "//host/a.jpg",
            "http://host/a.jpg",
            "/a#b",
            "/a\\b",
            "/a b",
            "/a\n",
            &long,
        ];
        for url in bad {
            let error = ApiError::from(parse_url(url).unwrap_err());
            assert_eq!((error.code, error.status.as_u16()), ("bad_url", 400), "{url:?}");
        }
    }

    #[test]
    fn the_query_of_the_resource_is_not_part_of_its_path() {
        let path = parse_url("/a%20b.jpg?v=/../%00").unwrap();

        assert_eq!(path, SitePath::parse("/a%20b.jpg").unwrap());
    }

    #[test]
    fn a_field_is_decoded_once_and_the_first_counts() {
        let query = Query::parse("soft=1&url=%2Fa%2520b.jpg%3Fx%3D1%26y%3D2&url=/other");

        assert_eq!(query.url.as_deref(), Some("/a%20b.jpg?x=1&y=2"));
        assert!(query.soft);
        assert!(!Query::parse("url=/a&soft=0").soft);
        assert_eq!(Query::parse("").url, None);
    }
}
