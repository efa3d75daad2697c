//! What the store holds of earlier visits, and what of it is of use.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

const FILM: &str = "/media/film.mp4";
const FILM_BYTES: u64 = 20_000_000;

/// Bytes per second of a thin line.
const THIN: u32 = 4_000_000;

/// Waits until the store is at rest. Gives the bytes that it holds.
pub const HELD: &str = "
    await until('the store to settle', async () => (await catalogue())?.settled);
    return (await storeSize()).bytes;";

in_each_engine!(what_is_half_stored_is_completed_and_no_more_is_asked_of_the_origin);
async fn what_is_half_stored_is_completed_and_no_more_is_asked_of_the_origin(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, usize::try_from(FILM_BYTES)?)?;
    let server = Server::start(site.root(), SERVER).await?;
    let thin = Proxy::capped(server.address(), THIN).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;
    let some = "begun(args[0], async () => (await chunkEntries()).length >= 8)";
    let _: () = visitor.eval(some, &[json!(FILM)]).await?;
    // Ends what has begun.
    visitor.open(&thin.url(EMPTY_PAGE)).await?;
    visitor.ready().await?;
    let held: u64 = visitor.run(HELD, &[]).await?;
    assert!(held < FILM_BYTES, "all has come before the page was left");
    let before = server.metric("dcdn_origin_bytes_total").await?;

    let film = visitor.fetched(FILM).await?;

    assert_eq!(film.sha256, site.sha256(FILM)?);
    let sent = server.metric("dcdn_origin_bytes_total").await? - before;
    assert_eq!(sent, FILM_BYTES - held);
    let stats = visitor.accounted(FILM).await?;
    assert_eq!((stats.bytes_cache, stats.bytes_http), (held, FILM_BYTES - held), "{stats:?}");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(what_is_damaged_or_missing_is_fetched_and_stored_again);
async fn what_is_damaged_or_missing_is_fetched_and_stored_again(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.fetched(IMAGE).await?;
    visitor.holds(&site, &[IMAGE]).await?;
    visitor.corrupt_store().await?;
    let lose = "
        const [[cache, request]] = await chunkEntries();
        await cache.delete(request);";
    visitor.run::<()>(lose, &[]).await?;
    visitor.open(&server.url(EMPTY_PAGE)).await?;

    let image = visitor.fetched(IMAGE).await?;

    assert_eq!(image.sha256, site.sha256(IMAGE)?);
    let stats = visitor.accounted(IMAGE).await?;
    assert_eq!((stats.bytes_cache, stats.bytes_http), (0, site.length(IMAGE)?), "{stats:?}");
    visitor.holds(&site, &[IMAGE]).await?;
    let _: u64 = visitor.run(HELD, &[]).await?;
    assert_eq!(visitor.stored_chunks().await?, site.chunks(IMAGE)?);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_cache_of_an_older_format_is_dropped_and_caches_of_others_are_not);
async fn a_cache_of_an_older_format_is_dropped_and_caches_of_others_are_not(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    site.page("/nothing.html", "")?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.open(&server.url("/nothing.html")).await?;
    let fill = "
        for (const name of ['dcdn-store-v1', 'dcdn-runtime-old', 'photos']) {
            await (await caches.open(name)).put('/a', new Response('a'));
        }";
    visitor.run::<()>(fill, &[]).await?;

    visitor.install(&server.url(EMPTY_PAGE)).await?;

    let dropped = "
        await until('the old ones to go', async () =>
            !(await caches.has('dcdn-store-v1')) && !(await caches.has('dcdn-runtime-old')));
        return [await caches.has('photos'), await caches.has(STORE)];";
    let kept: (bool, bool) = visitor.run(dropped, &[]).await?;
    assert_eq!(kept, (true, true));
    visitor.expect_clean_console().await?;
    visitor.close().await
}
