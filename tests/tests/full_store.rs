//! A visitor who looks at more than the store may hold.

use anyhow::Result;
use dcdn_tests::site::EMPTY_PAGE;
use dcdn_tests::{Arrival, Engine, Proxy, Server, Site, Visitor};
use serde_json::json;

use crate::{PATIENT, SERVER};

/// Bytes of the store.
const BUDGET: u64 = 20_000_000;
const FILE: usize = 3_000_000;
const FILES: usize = 40;

/// Resolves once nothing is being written or deleted, with what the store holds then.
const SETTLED: &str = "
    await until('the store to settle', async () => (await catalogue())?.settled);
    return storeSize();";

in_each_engine!(of_forty_files_the_newest_are_kept_within_the_budget_and_all_arrive_whole);
async fn of_forty_files_the_newest_are_kept_within_the_budget_and_all_arrive_whole(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let files: Vec<String> = (0..FILES).map(|number| format!("/media/{number}.jpg")).collect();
    for file in &files {
        site.random(file, FILE)?;
    }
    let budget = BUDGET.to_string();
    let options = [PATIENT, &["--store-bytes", &budget]].concat();
    let server = Server::start(site.root(), &options).await?;
    let (visitor, other) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    for file in &files {
        let fetched = visitor.fetched(file).await?;
        assert_eq!((fetched.status, fetched.sha256), (200, site.sha256(file)?), "{file}");
    }

    let newest: Vec<&str> = files.iter().rev().take(5).map(String::as_str).collect();
    visitor.holds(&site, &newest).await?;
    let held: Held = visitor.run(SETTLED, &[]).await?;
    assert!(held.bytes <= BUDGET, "{held:?}");
    assert!(held.bytes > BUDGET - 2 * FILE as u64, "room is not wasted: {held:?}");
    assert_eq!(held.manifests, held.contents, "{held:?}");
    assert_eq!(held.noted, held.contents, "{held:?}");

    other.install(&server.url(EMPTY_PAGE)).await?;
    for file in [&files[FILES - 1], &files[0]] {
        let fetched = other.fetched(file).await?;
        assert_eq!((fetched.status, fetched.sha256), (200, site.sha256(file)?), "{file}");
    }
    other.expect_from_peers(&site, &files[FILES - 1]).await?;
    let gone = other.accounted(&files[0]).await?;
    assert_eq!((gone.bytes_p2p, gone.bytes_http), (0, FILE as u64), "{gone:?}");
    for visitor in [visitor, other] {
        visitor.expect_clean_console().await?;
        visitor.close().await?;
    }
    Ok(())
}

/// Bytes that the browser grants. Firefox gives a site a fifth of what it has for all of them, and what has been
/// deleted counts there for a while: it may keep nothing of what comes next.
const ROOM: u64 = 16_000_000;

in_each_engine!(a_browser_without_room_shows_everything_and_keeps_what_it_can);
async fn a_browser_without_room_shows_everything_and_keeps_what_it_can(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let files: Vec<String> = (0..12).map(|number| format!("/media/{number}.jpg")).collect();
    for file in &files {
        site.random(file, FILE)?;
    }
    let options = [SERVER, &["--store-bytes", "1000000000"]].concat();
    let server = Server::start(site.root(), &options).await?;
    let visitor = match engine {
        Engine::Chromium => Visitor::arrive().await?,
        Engine::Firefox => {
            let of_all = ("dom.quotaManager.temporaryStorage.fixedLimit", 5 * ROOM / 1024);
            Arrival::default().engine(engine).preference(of_all.0, of_all.1).arrive().await?
        }
    };
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    if engine == Engine::Chromium {
        visitor.grant(&server.url(""), ROOM).await?;
    }

    for file in &files {
        let fetched = visitor.fetched(file).await?;
        assert_eq!((fetched.status, fetched.sha256), (200, site.sha256(file)?), "{file}");
    }

    if engine == Engine::Chromium {
        visitor.holds(&site, &[&files[11]]).await?;
    }
    let held: Held = visitor.run(SETTLED, &[]).await?;
    assert!(held.bytes < ROOM, "{held:?}");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_film_longer_than_the_store_leaves_room_for_others_and_keeps_what_was_seen_last);
async fn a_film_longer_than_the_store_leaves_room_for_others_and_keeps_what_was_seen_last(
    engine: Engine,
) -> Result<()> {
    const FILM: &str = "/media/film.mp4";
    let site = Site::new()?;
    site.random(FILM, 24_000_000)?;
    site.random("/media/a.jpg", FILE)?;
    let options = [SERVER, &["--store-bytes", "10000000"]].concat();
    let server = Server::start(site.root(), &options).await?;
    // Of what comes faster than it is written, the store keeps what it can.
    let thin = Proxy::capped(server.address(), 6_000_000).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;
    visitor.fetched("/media/a.jpg").await?;
    visitor.holds(&site, &["/media/a.jpg"]).await?;

    let film = visitor.fetched(FILM).await?;

    assert_eq!(film.sha256, site.sha256(FILM)?);
    let held: Held = visitor.run(SETTLED, &[]).await?;
    assert!(held.bytes <= FILE as u64 + 5_000_000, "{held:?}");
    visitor.holds(&site, &["/media/a.jpg"]).await?;
    let stored = visitor.stored_chunks().await?;
    let of_film: Vec<bool> =
        site.chunk_paths(FILM)?.iter().map(|path| stored.contains_key(path)).collect();
    assert!(!of_film[0] && *of_film.last().unwrap(), "{of_film:?}");
    let refused: serde_json::Value = visitor.eval("dcdn.prefetch(args[0])", &[json!(FILM)]).await?;
    assert_eq!(refused[0]["error"], "it is larger than the store");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_site_may_wish_that_its_store_lasts);
async fn a_site_may_wish_that_its_store_lasts(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let wish = "
        const ask = StorageManager.prototype.persist;
        StorageManager.prototype.persist = function () {
            window.hasAsked = true;
            return ask.call(this);
        };";
    for (options, asks) in [(&["--persist-store"][..], true), (&[], false)] {
        let server = Server::start(site.root(), &[SERVER, options].concat()).await?;
        let visitor = Arrival::default().engine(engine).before(wish).arrive().await?;

        visitor.install(&server.url(EMPTY_PAGE)).await?;

        assert_eq!(visitor.eval::<bool>("Boolean(window.hasAsked)", &[]).await?, asks);
        visitor.expect_clean_console().await?;
        visitor.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_worker_wrote_and_could_not_note_is_found_and_removed_by_the_next() -> Result<()> {
    let site = Site::new()?;
    site.random("/media/a.jpg", FILE)?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive().await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.fetched("/media/a.jpg").await?;
    visitor.holds(&site, &["/media/a.jpg"]).await?;
    let before: Held = visitor.run(SETTLED, &[]).await?;
    let lose = "
        const cache = await caches.open(STORE);
        const noted = await catalogue();
        const [content] = Object.keys(noted.contents);
        // As if killed with two chunks of a written and not noted, and some of another
        // content of which nothing else was.
        noted.settled = false;
        noted.contents[content].chunks = [[0, 5], [7, 12]];
        await cache.put(CATALOGUE, new Response(JSON.stringify(noted)));
        for (const index of [0, 1]) await cache.put(CHUNKS + args[0] + '/' + index, new Response('lost'));";
    visitor.stop_worker().await?;
    visitor.run::<()>(lose, &[json!("ab".repeat(32))]).await?;

    visitor.open(&server.url(EMPTY_PAGE)).await?;

    let after: Held = visitor.run(SETTLED, &[]).await?;
    assert_eq!(after, before);
    visitor.fetched("/media/a.jpg").await?;
    let stats = visitor.accounted("/media/a.jpg").await?;
    assert_eq!(stats.bytes_cache, FILE as u64, "{stats:?}");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

/// What `storeSize` of `probe.js` counts.
#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
struct Held {
    /// Bytes of all chunks.
    bytes: u64,
    /// Contents that have chunks.
    contents: u32,
    /// Manifests.
    manifests: u32,
    /// Contents in the catalogue.
    noted: u32,
}
