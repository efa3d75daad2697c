//! What is kept of visited pages for when the server is out of reach.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, PLAIN_PAGE};
use dcdn_tests::{Engine, Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

const FILM: &str = "/media/film.mp4";
const FILM_BYTES: usize = 12_000_000;

/// Bytes of the store.
const BUDGET: u64 = 4_000_000;

/// More than the pages and their parts have.
const PAGES: u64 = 2_000_000;

/// Bytes of all that the browser keeps for us, but the worker itself.
const KEPT: &str = "
    let bytes = 0;
    for (const name of await caches.keys()) {
        if (!name.startsWith('dcdn-') || name.startsWith('dcdn-runtime-')) continue;
        const cache = await caches.open(name);
        for (const request of await cache.keys()) {
            // What makes room for something else meanwhile is gone.
            bytes += (await (await cache.match(request))?.blob())?.size ?? 0;
        }
    }
    return bytes;";

in_each_engine!(a_film_that_is_opened_in_a_tab_is_not_kept_as_a_page);
async fn a_film_that_is_opened_in_a_tab_is_not_kept_as_a_page(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, FILM_BYTES)?;
    let budget = BUDGET.to_string();
    let server =
        Server::start(site.root(), &[SERVER, &["--store-bytes", &budget]].concat()).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    let film = "
        const frame = insert('iframe', { src: args[0] });
        await new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }));";
    visitor.run::<()>(film, &[json!(FILM)]).await?;

    // Kept after the film would have been.
    visitor.open(&server.url(PLAIN_PAGE)).await?;
    let page_is_kept = "
        await until('the page to be kept', () => caches.match(location.href, { cacheName: 'dcdn-pages-v1' }));";
    visitor.run::<()>(page_is_kept, &[]).await?;

    let after: u64 = visitor.run(KEPT, &[]).await?;
    assert!(after <= BUDGET + PAGES, "{after} bytes");
    let film = "Boolean(await caches.match(args[0], { cacheName: 'dcdn-pages-v1' }))";
    assert!(!visitor.run::<bool>(&format!("return {film};"), &[json!(FILM)]).await?);
    visitor.close().await
}
