//! The store: the Cache API, one entry per chunk (names in
//! [`dcdn_protocol::store`]), the manifest of each resource, and two JSON
//! documents of the worker's own: the catalogue and the remembered site state.
//! What is written and what goes is decided in `keep`.
//!
//! The worker is the only writer.

use std::rc::Rc;

use dcdn_protocol::caching::CacheControl;
use dcdn_protocol::config::MAX_DEFAULT_STORE_BYTES;
use dcdn_protocol::plain::{Read, Write};
use dcdn_protocol::store::{CACHE, CACHE_PREFIX, Entry, chunk_path, manifest_path};
use dcdn_protocol::{ChunkIndex, ContentId, Manifest};
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, CacheQueryOptions, Request, Response};

use crate::error::Error;
use crate::js::{body_of, property, scope};
use crate::{stream, wire};

/// Entries that are deleted at a time.
const DELETED_AT_A_TIME: usize = 64;

/// Writes a chunk.
///
/// # Errors
/// [`Error::is_quota`] when there is no room.
pub async fn put_chunk(
    content: ContentId,
    chunk: ChunkIndex,
    bytes: &Uint8Array,
) -> Result<(), Error> {
    // Chromium hands a body that is a buffer to another process and waits for it, which
    // takes longer than all else that the worker does with a chunk. With a stream it does not.
    let body = futures::stream::iter([Ok(JsValue::from(bytes))]);
    let response = Response::new_with_opt_readable_stream(Some(&stream::body(body)?))?;
    put(CACHE, &chunk_path(content, chunk), &response).await
}

/// Reads a chunk, whatever is in it; `None` if it is not there.
///
/// # Errors
/// If the cache cannot be read.
pub async fn chunk(content: ContentId, chunk: ChunkIndex) -> Result<Option<Uint8Array>, Error> {
    bytes_at(&chunk_path(content, chunk)).await
}

/// A manifest and the validator by which the coordination server knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The manifest.
    pub manifest: Rc<Manifest>,
    /// `ETag` of the server's answer, verbatim; not that of the resource.
    pub etag: Option<String>,
    /// When the server last said that it is current, in milliseconds since the epoch.
    pub checked_ms: f64,
}

impl Known {
    /// Whether it is taken to be current without being checked: for as long as the
    /// origin's `Cache-Control` says. Not if the clock has been put back meanwhile.
    #[allow(clippy::cast_precision_loss)]
    pub fn is_fresh(&self, now_ms: f64) -> bool {
        let control = CacheControl::parse(self.manifest.cache_control.as_deref());
        (0.0..control.fresh_ms() as f64).contains(&(now_ms - self.checked_ms))
    }
}

/// Header of a stored manifest with [`Known::checked_ms`].
const CHECKED: &str = "DCDN-Checked";

/// Writes the manifest of a resource.
///
/// # Errors
/// As [`put_chunk`].
pub async fn put_manifest(known: &Known) -> Result<(), Error> {
    let manifest = &known.manifest;
    let mut frame = wire::manifest_frame(manifest)?;
    let response = Response::new_with_opt_u8_array(Some(&mut frame))?;
    if let Some(etag) = &known.etag {
        response.headers().set("ETag", etag)?;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let checked = known.checked_ms as u64;
    response.headers().set(CHECKED, &checked.to_string())?;
    put(CACHE, &manifest_path(&manifest.url), &response).await
}

/// Reads the manifest of a resource; `None` if it is not there.
///
/// # Errors
/// If the cache cannot be read or holds something else.
pub async fn manifest(url: &str) -> Result<Option<Known>, Error> {
    let Some(response) = get(CACHE, &manifest_path(url)).await? else { return Ok(None) };
    let etag = response.headers().get("ETag")?;
    let checked = response.headers().get(CHECKED)?.and_then(|ms| ms.parse::<u64>().ok());
    let manifest = wire::manifest(&body_of(&response).await?.to_vec())?;
    Ok(Some(Known {
        manifest: Rc::new(manifest),
        etag,
        checked_ms: checked.unwrap_or_default() as f64,
    }))
}

/// Reads a document; the default if it is missing or unreadable.
pub async fn document<T: Read + Default>(path: &str) -> T {
    match bytes_at(path).await {
        Ok(Some(bytes)) => String::from_utf8(bytes.to_vec())
            .ok()
            .and_then(|json| dcdn_plain::from_json(&json).ok())
            .unwrap_or_default(),
        _ => T::default(),
    }
}

/// Writes a document.
///
/// # Errors
/// As [`put_chunk`].
pub async fn put_document<T: Write>(path: &str, document: &T) -> Result<(), Error> {
    let json = dcdn_plain::to_json(document)?;
    put(CACHE, path, &Response::new_with_opt_str(Some(&json))?).await
}

/// Writes an entry of the named cache.
///
/// # Errors
/// As [`put_chunk`].
pub async fn put(cache: &str, path: &str, response: &Response) -> Result<(), Error> {
    let cache = open(cache).await?;
    JsFuture::from(cache.put_with_str(path, response)).await?;
    Ok(())
}

/// Brings the named cache down to so many entries. Those that were written first go.
///
/// # Errors
/// If the cache cannot be read or written.
pub async fn trim(cache: &str, entries: u32) -> Result<(), Error> {
    let cache = open(cache).await?;
    let requests = Array::from(&JsFuture::from(cache.keys()).await?);
    let excess = requests.length().saturating_sub(entries);
    for request in requests.slice(0, excess).iter() {
        JsFuture::from(cache.delete_with_request(&request.unchecked_into())).await?;
    }
    Ok(())
}

/// Reads an entry of the named cache, without making the cache if there is none.
///
/// # Errors
/// If the cache cannot be read.
pub async fn get(cache: &str, path: &str) -> Result<Option<Response>, Error> {
    let options = CacheQueryOptions::new();
    options.set_cache_name(cache);
    let found = scope().caches()?.match_with_str_and_options(path, &options);
    Ok(JsFuture::from(found).await?.dyn_into().ok())
}

/// Deletes entries. One that cannot be deleted is found by the next comparison of the
/// catalogue with what there is.
pub async fn delete(entries: &[Entry]) {
    let Ok(cache) = open(CACHE).await else { return };
    for some in entries.chunks(DELETED_AT_A_TIME) {
        let deleting: Array = some.iter().map(|it| cache.delete_with_str(&it.path())).collect();
        let _ = JsFuture::from(Promise::all_settled(&deleting)).await;
    }
}

/// Every chunk and every manifest that there is.
///
/// # Errors
/// If the cache cannot be read.
pub async fn entries() -> Result<Vec<Entry>, Error> {
    let requests = Array::from(&JsFuture::from(open(CACHE).await?.keys()).await?);
    let origin = scope().location().origin();
    let entry = |request: JsValue| {
        Entry::at(request.unchecked_into::<Request>().url().strip_prefix(&origin)?)
    };
    Ok(requests.iter().filter_map(entry).collect())
}

/// Bytes that a store without a budget of the site's own may hold: a tenth of what the
/// browser grants, at most [`MAX_DEFAULT_STORE_BYTES`].
pub async fn default_budget() -> u64 {
    let granted = async {
        let estimate = scope().navigator().storage().estimate()?;
        let estimate = JsFuture::from(estimate).await?;
        Ok::<_, JsValue>(property(&estimate, "quota").as_f64())
    };
    // Where the browser does not say, it will say so when there is no more room.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let granted = granted.await.ok().flatten().map(|bytes| bytes as u64);
    granted.map_or(MAX_DEFAULT_STORE_BYTES, |bytes| (bytes / 10).min(MAX_DEFAULT_STORE_BYTES))
}

/// Deletes a cache.
pub async fn drop_cache(name: &str) {
    let Ok(caches) = scope().caches() else { return };
    // Of no consequence: what it holds is found and used as before.
    let _ = JsFuture::from(caches.delete(name)).await;
}

/// Deletes our caches of other names than these, which are of older formats.
///
/// # Errors
/// If the browser refuses.
pub async fn drop_caches_except(kept: &[&str]) -> Result<(), Error> {
    let caches = scope().caches()?;
    let names = Array::from(&JsFuture::from(caches.keys()).await?);
    for name in names.iter().filter_map(|name| name.as_string()) {
        if name.starts_with(CACHE_PREFIX) && !kept.contains(&name.as_str()) {
            JsFuture::from(caches.delete(&name)).await?;
        }
    }
    Ok(())
}

async fn bytes_at(path: &str) -> Result<Option<Uint8Array>, Error> {
    let Some(response) = get(CACHE, path).await? else { return Ok(None) };
    body_of(&response).await.map(Some)
}

async fn open(name: &str) -> Result<Cache, Error> {
    Ok(JsFuture::from(scope().caches()?.open(name)).await?.unchecked_into())
}
