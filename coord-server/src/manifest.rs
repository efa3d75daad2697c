//! `GET /dcdn/manifest?url=/media/a.jpg`: what a file of the site is, and the
//! hash of each of its chunks.
//!
//! With `&soft=1` an error is answered with status 200 and the same JSON, because
//! browsers write every failed fetch to the page's console.
//!
//! | code | status | |
//! |---|---|---|
//! | `bad_url` | 400 | not the path and query of a URL of this site |
//! | `not_public` | 403 | hidden, a directory, not a regular file, or the server's own URL |
//! | `personal` | 403 | the site's `Cache-Control` lets no visitor give its files to another |
//! | `outside_root` | 403 | the path or a symlink on it leads out of the site |
//! | `not_found` | 404 | no such file |
//! | `too_small` | 422 | below the site's `min_bytes` |
//! | `too_large` | 422 | over 16 TiB |
//! | `changing` | 503 | the file changed each time that it was hashed |
//! | `internal` | 500 | the file could not be read |

mod hashing;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dcdn_protocol::Manifest;
use dcdn_protocol::caching::CacheControl;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use self::hashing::{HashError, Hasher};
use crate::assets::{header_of, is_held};
use crate::config::Config;
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::site::path::{PathError, SitePath};
use crate::site::root::{OpenError, Root, SiteFile};

/// Most bytes of a `url`, so that it fits a frame's header several times.
const MAX_URL: usize = 8 * 1024;

/// How often a file that changes under our hands is hashed anew.
const ATTEMPTS: u32 = 4;

/// Makes manifests of the site's files.
#[derive(Debug)]
pub struct Manifests {
    root: Root,
    min_bytes: u64,
    cache_control: Option<String>,
    hasher: Hasher,
}

impl Manifests {
    /// Manifests of the files below `root`.
    pub fn new(root: Root, config: &Config, metrics: Arc<Metrics>) -> Self {
        let cache_control = config.cache_control.as_ref().and_then(|it| it.to_str().ok());
        Self {
            root,
            min_bytes: config.site.min_bytes,
            cache_control: cache_control.map(str::to_owned),
            hasher: Hasher::new(metrics),
        }
    }

    /// The manifest of the file that `url` (path and query) is on this site.
    ///
    /// # Errors
    /// See the [module](self).
    pub async fn describe(&self, url: &str) -> Result<Manifest, ManifestError> {
        if !CacheControl::parse(self.cache_control.as_deref()).may_be_shared() {
            return Err(ManifestError::Personal);
        }
        let path = parse_url(url)?;
        for _ in 0..ATTEMPTS {
            let opened = self.open(path.clone()).await?;
            if opened.version.length < self.min_bytes {
                return Err(ManifestError::TooSmall(self.min_bytes));
            }
            let (version, mime) = (opened.version.clone(), opened.mime);
            let hashes = match self.hasher.hash(opened).await {
                Ok(hashes) => hashes,
                Err(HashError::Changed) => continue,
                Err(error) => return Err(ManifestError::Hash(error)),
            };
            return Manifest::new(
                url.to_owned(),
                hashes.layout,
                mime.to_owned(),
                Some(version.etag()),
                version.last_modified(),
                hashes.chunks.clone(),
            )
            .map(|manifest| manifest.with_cache_control(self.cache_control.clone()))
            .map_err(ManifestError::Manifest);
        }
        Err(ManifestError::Changing)
    }

    async fn open(&self, path: SitePath) -> Result<SiteFile, ManifestError> {
        let root = self.root.clone();
        let opened = tokio::task::spawn_blocking(move || root.open(&path)).await;
        opened.map_err(|_| ManifestError::Stopped)?.map_err(ManifestError::Open)
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

/// Answers `GET /dcdn/manifest`.
pub async fn show(
    State(manifests): State<Arc<Manifests>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Query::parse(query.as_deref().unwrap_or_default());
    match answer(&manifests, &query, &headers).await {
        Ok(response) => response,
        Err(error) if query.soft => error.into_soft_response(),
        Err(error) => error.into_response(),
    }
}

async fn answer(
    manifests: &Manifests,
    query: &Query,
    request: &HeaderMap,
) -> Result<Response, ApiError> {
    let url = query.url.as_deref().ok_or_else(|| {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_url", "say which: ?url=/path/of/a/file")
    })?;
    let manifest = manifests.describe(url).await?;
    let frame = manifest.encode().map_err(|error| ApiError::from(ManifestError::Frame(error)))?;
    // The content id alone would not do: a file that was only touched has other
    // validators in its manifest, and who compares the old ones would never again
    // take the origin's bytes for this content.
    let digest = hex::encode(&Sha256::digest(&frame)[..8]);
    let etag = format!("\"{}-{digest}\"", manifest.content_id());
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, header_of(&etag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if is_held(request, &etag) {
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

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The URL names no file of the site.
    #[error(transparent)]
    Path(PathError),
    /// The file cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// What is `private` or `no-store` is not for other visitors.
    #[error("the site's Cache-Control lets no visitor give its files to another")]
    Personal,
    /// Below the site's minimum, in bytes.
    #[error("the file has fewer than {0} bytes, the site's minimum for peers")]
    TooSmall(u64),
    /// The file cannot be hashed.
    #[error(transparent)]
    Hash(HashError),
    /// The file changed during every attempt.
    #[error("the file keeps changing; ask again later")]
    Changing,
    /// The hashes make no manifest.
    #[error(transparent)]
    Manifest(dcdn_protocol::manifest::ManifestError),
    /// The manifest makes no frame.
    #[error(transparent)]
    Frame(dcdn_protocol::frame::FrameError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
}

impl From<ManifestError> for ApiError {
    fn from(error: ManifestError) -> Self {
        use ManifestError as E;
        let (status, code) = match &error {
            E::Path(PathError::Malformed(_)) => (StatusCode::BAD_REQUEST, "bad_url"),
            E::Path(PathError::Outside) | E::Open(OpenError::Outside) => {
                (StatusCode::FORBIDDEN, "outside_root")
            }
            E::Path(PathError::Hidden)
            | E::Open(OpenError::NotPublic(_) | OpenError::Directory) => {
                (StatusCode::FORBIDDEN, "not_public")
            }
            E::Personal => (StatusCode::FORBIDDEN, "personal"),
            E::Open(OpenError::NotFound) => (StatusCode::NOT_FOUND, "not_found"),
            E::TooSmall(_) => (StatusCode::UNPROCESSABLE_ENTITY, "too_small"),
            E::Hash(HashError::TooLarge(_)) => (StatusCode::UNPROCESSABLE_ENTITY, "too_large"),
            E::Changing | E::Hash(HashError::Changed) => {
                (StatusCode::SERVICE_UNAVAILABLE, "changing")
            }
            E::Open(OpenError::Io(_))
            | E::Hash(HashError::Io(_) | HashError::Stopped)
            | E::Manifest(_)
            | E::Frame(_)
            | E::Stopped => {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot make a manifest");
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
        };
        Self::new(status, code, error.to_string())
    }
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
