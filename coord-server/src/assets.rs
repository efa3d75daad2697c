//! The browser's part of DCDN, as `cargo xtask build` staged it when this binary
//! was compiled. Each is there as it is and compressed, and both are made before anybody asks.

mod coding;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::{Path as UrlPath, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use headers::{ETag, HeaderMapExt, IfNoneMatch};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::site::mime::content_type;

/// Name of the worker's script, which is served at the site's root so that its
/// scope is the whole site.
const WORKER: &str = "sw.js";

/// What to tell whoever meets a server without its browser's part.
pub const HOW_TO_BUILD: &str = "this server was built without DCDN's browser part; \
     run `cargo xtask build` and start target/release/coord-server";

#[derive(RustEmbed)]
#[folder = "../target/dcdn"]
#[allow_missing = true]
struct Staged;

/// Files by the name they have under `/dcdn/`.
#[derive(Clone, Debug, Default)]
pub struct Assets(Arc<BTreeMap<String, Asset>>);

#[derive(Clone, Debug)]
struct Asset {
    plain: Form,
    /// `None` if it would not be smaller.
    gzip: Option<Form>,
    mime: &'static str,
}

/// What may be sent of an asset, with the name of these very bytes.
#[derive(Clone, Debug)]
struct Form {
    bytes: Bytes,
    etag: String,
}

impl Assets {
    /// Those in this binary. They are compressed when the first server of a process asks for them.
    pub fn embedded() -> Self {
        static EMBEDDED: LazyLock<Assets> = LazyLock::new(|| {
            Staged::iter()
                .filter_map(|name| Some((name.to_string(), Staged::get(&name)?)))
                .map(|(name, file)| (name, Bytes::from_owner(file.data)))
                .collect()
        });
        EMBEDDED.clone()
    }

    /// Whether the worker is missing, and with it all that makes a page use DCDN.
    pub fn lacks_worker(&self) -> bool {
        !self.0.contains_key(WORKER)
    }

    /// A server without any was compiled before they were staged; its owner
    /// should hear that rather than look for a typing error.
    fn find(&self, name: &str) -> Result<&Asset, ApiError> {
        if let Some(asset) = self.0.get(name) {
            return Ok(asset);
        }
        if self.lacks_worker() {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(ApiError::new(status, "assets_missing", HOW_TO_BUILD));
        }
        let message = format!("there is no /dcdn/{name}");
        Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", message))
    }
}

impl FromIterator<(String, Bytes)> for Assets {
    fn from_iter<I: IntoIterator<Item = (String, Bytes)>>(files: I) -> Self {
        let files = files.into_iter().map(|(name, bytes)| {
            let mime = content_type(Path::new(&name));
            (name, Asset::new(bytes, mime))
        });
        Self(Arc::new(files.collect()))
    }
}

/// `/sw.js`. Always checked anew: a worker that a cache keeps is a site that
/// cannot be repaired.
pub async fn worker(State(assets): State<Assets>, headers: HeaderMap) -> Response {
    let allowed = [(HeaderName::from_static("service-worker-allowed"), "/")];
    match assets.find(WORKER) {
        Ok(asset) => (allowed, asset.respond(&headers, "no-cache")).into_response(),
        Err(error) => error.into_response(),
    }
}

/// `/dcdn/NAME`. With `?v=` in the URL the URL names this very version, and
/// nobody needs to ask again.
pub async fn file(
    State(assets): State<Assets>,
    UrlPath(name): UrlPath<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let names_version =
        query.unwrap_or_default().split('&').any(|pair| pair.len() > 2 && pair.starts_with("v="));
    let caching = if names_version { "public, max-age=31536000, immutable" } else { "no-cache" };
    if name == WORKER {
        return ApiError::new(StatusCode::NOT_FOUND, "not_found", "the worker is at /sw.js")
            .into_response();
    }
    match assets.find(&name) {
        Ok(asset) => asset.respond(&headers, caching),
        Err(error) => error.into_response(),
    }
}

impl Asset {
    fn new(bytes: Bytes, mime: &'static str) -> Self {
        // Writing to memory does not fail.
        let gzip = gzip(&bytes).ok().filter(|it| it.len() < bytes.len());
        Self { gzip: gzip.map(|it| Form::new(it.into())), plain: Form::new(bytes), mime }
    }

    fn respond(&self, request: &HeaderMap, caching: &'static str) -> Response {
        let gzip = self.gzip.as_ref().filter(|_| coding::prefers_gzip(request));
        let form = gzip.unwrap_or(&self.plain);
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, header_of(&form.etag));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        if self.gzip.is_some() {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if is_held(request, &form.etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime));
        if gzip.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        (headers, form.bytes.clone()).into_response()
    }
}

impl Form {
    fn new(bytes: Bytes) -> Self {
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&bytes)[..16]));
        Self { bytes, etag }
    }
}

/// As small as it gets: it is done once, and sent to everybody.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Whether the client says that it has what `etag` names.
pub fn is_held(request: &HeaderMap, etag: &str) -> bool {
    let (Some(held), Ok(etag)) = (request.typed_get::<IfNoneMatch>(), etag.parse::<ETag>()) else {
        return false;
    };
    !held.precondition_passes(&etag)
}

/// A header of hexadecimal digits and quotes, which are always allowed.
pub fn header_of(etag: &str) -> HeaderValue {
    HeaderValue::from_str(etag).unwrap_or_else(|_| HeaderValue::from_static(""))
}
