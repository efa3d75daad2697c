//! Pages for when the server is out of reach: the HTML of a visited page and the
//! scripts and styles that it loaded. Only on sites that say that their pages
//! are the same for everybody (`offline_pages`), and only what responses do not
//! forbid to keep. Online, nothing here is ever served.

use web_sys::{Request, RequestCache, RequestInit, Response};

use crate::error::Error;
use crate::{origin, store};

/// The cache that keeps pages.
pub const CACHE: &str = "dcdn-pages-v1";

/// Keeps a response that the page has got.
///
/// # Errors
/// If the cache cannot be written.
pub async fn keep(url: &str, response: &Response) -> Result<(), Error> {
    let control = response.headers().get("Cache-Control")?.unwrap_or_default();
    let forbidden = control.contains("no-store") || control.contains("private");
    if !response.ok() || response.status() == 206 || response.redirected() || forbidden {
        return Ok(());
    }
    store::put(CACHE, without_fragment(url), response).await
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
