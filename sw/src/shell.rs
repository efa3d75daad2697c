//! Pages for when the server is out of reach: the HTML of a visited page and the
//! scripts and styles that it loaded. Only on sites that say that their pages
//! are the same for everybody (`offline_pages`), and only what responses do not
//! forbid to keep. Online, nothing here is ever served. It is beside the store's budget,
//! and has bounds of its own.

use web_sys::{Request, RequestCache, RequestInit, Response};

use crate::error::Error;
use crate::js::property;
use crate::stream::Pieces;
use crate::{origin, store};

/// The cache that keeps pages.
pub const CACHE: &str = "dcdn-pages-v1";

/// Bytes of a page or a part that is kept.
const MAX_BYTES: f64 = 2.0 * 1024.0 * 1024.0;

/// Pages and parts that are kept: those that were visited last.
const MAX_ENTRIES: u32 = 150;

/// Keeps a response that the page has got, unless it is long.
///
/// # Errors
/// If it breaks off, or the cache cannot be written.
pub async fn keep(url: &str, response: &Response) -> Result<(), Error> {
    let control = response.headers().get("Cache-Control")?.unwrap_or_default();
    let forbidden = control.contains("no-store") || control.contains("private");
    if !response.ok() || response.status() == 206 || response.redirected() || forbidden {
        return Ok(());
    }
    if !is_short(&response.clone()?).await? {
        let _ = response.body().map(|body| body.cancel());
        return Ok(());
    }
    store::put(CACHE, without_fragment(url), response).await?;
    store::trim(CACHE, MAX_ENTRIES).await
}

/// Reads a response to see whether it is no longer than what is kept.
async fn is_short(response: &Response) -> Result<bool, Error> {
    let Some(body) = response.body() else { return Ok(true) };
    let (mut body, mut bytes) = (Pieces::of(&body), 0.0);
    // Dropped, it is cancelled.
    while let Some(piece) = body.next().await {
        bytes += property(&piece?, "byteLength").as_f64().unwrap_or_default();
        if bytes > MAX_BYTES {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Something that a page has loaded, out of the browser's HTTP cache if it is there.
///
/// # Errors
/// If it cannot be fetched.
pub async fn part(url: &str) -> Result<Response, Error> {
    let init = RequestInit::new();
    init.set_cache(RequestCache::ForceCache);
    origin::send(&Request::new_with_str_and_init(url, &init)?).await
}

/// The kept response for `url`, if any.
pub async fn kept(url: &str) -> Option<Response> {
    store::get(CACHE, without_fragment(url)).await.ok().flatten()
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or(url)
}
