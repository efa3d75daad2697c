//! What a page has fetched ahead, and what it has removed again.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, SCRIPT, VIDEO};
use dcdn_tests::{Engine, Media, Proxy, Server, Site, Visitor};
use serde::Deserialize;
use serde_json::json;

use crate::kept::HELD;
use crate::{PATIENT, SERVER};

const FILM: &str = "/media/film.mp4";
const FILM_BYTES: u64 = 20_000_000;

/// Bytes per second of a thin line.
const THIN: u32 = 4_000_000;

/// What `dcdn.prefetch` and `dcdn.forget` say of a resource.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Outcome {
    url: String,
    ok: bool,
    bytes: u64,
    error: Option<String>,
}

fn done(url: &str, bytes: u64) -> Outcome {
    Outcome { url: url.to_owned(), ok: true, bytes, error: None }
}

in_each_engine!(what_was_fetched_ahead_plays_without_a_network_wherever_one_seeks);
async fn what_was_fetched_ahead_plays_without_a_network_wherever_one_seeks(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let mut server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;
    // Seen once, so that the page itself is kept.
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.open(&server.url(PAGE)).await?;
    visitor.ready().await?;
    visitor.open(&server.url(EMPTY_PAGE)).await?;
    let _: serde_json::Value = visitor.eval("dcdn.clear()", &[]).await?;
    visitor.install(&server.url(PAGE)).await?;

    let outcomes: Vec<Outcome> =
        visitor.eval("dcdn.prefetch(args[0])", &[json!([VIDEO, IMAGE])]).await?;

    let expected = [done(VIDEO, site.length(VIDEO)?), done(IMAGE, site.length(IMAGE)?)];
    assert_eq!(outcomes, expected);
    let mut chunks = site.chunks(IMAGE)?;
    chunks.extend(site.chunks(VIDEO)?);
    assert_eq!(visitor.stored_chunks().await?, chunks);
    let _: u64 = visitor.run(HELD, &[]).await?;
    server.stop().await?;
    visitor.reload().await?;
    assert_ne!(visitor.ready().await?.mode, "http");
    media.expect_on(&visitor).await?;
    let seek = "
        const video = document.querySelector('#video');
        // The same places each time, in no order.
        let place = 7;
        for (let times = 0; times < 10; times++) {
            place = (place * 16807) % 2147483647;
            const seeked = next(video, 'seeked');
            video.currentTime = video.duration * (place / 2147483647);
            await seeked;
        }
        return video.error === null;";
    assert!(visitor.run::<bool>(seek, &[]).await?);
    for url in [IMAGE, VIDEO] {
        let stats = visitor.accounted(url).await?;
        assert_eq!((stats.bytes_http, stats.bytes_p2p), (0, 0), "{stats:?}");
    }
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_page_hears_how_far_it_is_and_why_something_is_not_fetched);
async fn a_page_hears_how_far_it_is_and_why_something_is_not_fetched(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.random("/media/small.jpg", 10_000)?;
    site.page("/long.html", &"words ".repeat(20_000))?;
    site.page(
        "/plain-http.html",
        r#"<script type="module" src="/dcdn/dcdn.js" data-policy="http"></script>"#,
    )?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    let urls = json!([
        IMAGE,
        "/media/small.jpg",
        "/media/missing.jpg",
        "/long.html",
        "/dcdn/dcdn.js",
        "https://example.com/a.jpg",
        "http://",
    ]);
    let fetch = "
        const seen = [];
        const outcomes = await dcdn.prefetch(args[0], { onprogress: (it) => seen.push(it) });
        return [outcomes, seen];";
    let (outcomes, progress): (Vec<Outcome>, Vec<Progress>) = visitor.run(fetch, &[urls]).await?;

    assert_eq!(outcomes[0], done(IMAGE, site.length(IMAGE)?));
    let reasons: Vec<&str> =
        outcomes[1..].iter().map(|it| it.error.as_deref().unwrap_or_default()).collect();
    let expected = ["bytes", "no such file", "text/html", "own", "another origin", "no URL"];
    for (reason, part) in reasons.iter().zip(expected) {
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    }
    assert!(outcomes[1..].iter().all(|it| !it.ok && it.bytes == 0), "{outcomes:?}");
    let length = site.length(IMAGE)?;
    assert!(progress.len() > 1 && progress.iter().all(|it| it.url == IMAGE && it.total == length));
    assert!(progress.is_sorted_by_key(|it| it.loaded), "{progress:?}");
    assert_eq!(progress.last().unwrap().loaded, length);
    // Only the image was asked of the site.
    let stored = visitor.stored_chunks().await?;
    assert_eq!(stored, site.chunks(IMAGE)?);

    let again: (Vec<Outcome>, Vec<Progress>) = visitor.run(fetch, &[json!([IMAGE])]).await?;
    assert_eq!(again.0, [done(IMAGE, length)]);
    assert_eq!(again.1.last().unwrap().loaded, length);

    for page in ["/empty.html?dcdn=off", "/plain-http.html"] {
        visitor.open(&server.url(page)).await?;
        let refused: Vec<Outcome> = visitor.eval("dcdn.prefetch(args[0])", &[json!(IMAGE)]).await?;
        assert!(refused[0].error.as_ref().unwrap().contains("plain HTTP"), "{refused:?}");
    }
    visitor.expect_clean_console().await?;
    visitor.close().await
}

#[derive(Debug, Deserialize)]
struct Progress {
    url: String,
    loaded: u64,
    total: u64,
}

in_each_engine!(what_is_fetched_ahead_comes_from_peers);
async fn what_is_fetched_ahead_comes_from_peers(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), PATIENT).await?;
    let (peer, visitor) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    peer.install(&server.url(EMPTY_PAGE)).await?;
    peer.fetched(VIDEO).await?;
    peer.holds(&site, &[VIDEO]).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    let outcomes: Vec<Outcome> = visitor.eval("dcdn.prefetch(args[0])", &[json!(VIDEO)]).await?;

    assert_eq!(outcomes, [done(VIDEO, site.length(VIDEO)?)]);
    visitor.expect_from_peers(&site, VIDEO).await?;
    for visitor in [peer, visitor] {
        visitor.expect_clean_console().await?;
        visitor.close().await?;
    }
    Ok(())
}

in_each_engine!(a_worker_that_is_stopped_goes_on_where_it_was_and_an_aborted_one_stops);
async fn a_worker_that_is_stopped_goes_on_where_it_was_and_an_aborted_one_stops(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, usize::try_from(FILM_BYTES)?)?;
    let server = Server::start(site.root(), SERVER).await?;
    let thin = Proxy::capped(server.address(), THIN).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;
    let begin = "
        window.abort = new AbortController();
        window.fetching = dcdn.prefetch(args[0], { signal: abort.signal });
        await until('some of it', async () => (await chunkEntries()).length >= 8);";

    visitor.run::<()>(begin, &[json!(FILM)]).await?;
    let aborted: Vec<Outcome> = visitor.run("abort.abort(); return fetching;", &[]).await?;
    assert_eq!(aborted[0].error.as_deref(), Some("aborted"));
    let held: u64 = visitor.run(HELD, &[]).await?;
    assert!(held < FILM_BYTES);

    let more = begin.replace("8", &(held / 262_144 + 8).to_string());
    visitor.run::<()>(&more, &[json!(FILM)]).await?;
    visitor.stop_worker().await?;
    let outcomes: Vec<Outcome> = visitor.eval("fetching", &[]).await?;

    assert_eq!(outcomes, [done(FILM, FILM_BYTES)]);
    assert_eq!(visitor.stored_chunks().await?, site.chunks(FILM)?);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_prefetch_link_of_media_lands_in_the_store);
async fn a_prefetch_link_of_media_lands_in_the_store(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.page("/links.html", &format!(r#"{SCRIPT}<link rel="prefetch" href="{VIDEO}">"#))?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    visitor.open(&server.url("/links.html")).await?;

    visitor.holds(&site, &[VIDEO]).await?;
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(what_is_forgotten_is_gone_and_no_peer_gets_it_any_more);
async fn what_is_forgotten_is_gone_and_no_peer_gets_it_any_more(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    std::fs::copy(site.root().join("media/image.jpg"), site.root().join("media/same.jpg"))?;
    let server = Server::start(site.root(), SERVER).await?;
    let (visitor, other) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    for url in [IMAGE, "/media/same.jpg", VIDEO] {
        visitor.fetched(url).await?;
    }
    visitor.holds(&site, &[IMAGE, VIDEO]).await?;

    let shared: Outcome = visitor.eval("dcdn.forget(args[0])", &[json!(IMAGE)]).await?;
    let only: Outcome = visitor.eval("dcdn.forget(args[0])", &[json!(VIDEO)]).await?;
    let unknown: Outcome = visitor.eval("dcdn.forget('/media/nothing.jpg')", &[]).await?;

    assert_eq!(shared, done(IMAGE, 0), "the other URL has the same content");
    assert_eq!(only, done(VIDEO, site.length(VIDEO)?));
    assert_eq!(unknown, done("/media/nothing.jpg", 0));
    assert_eq!(visitor.stored_chunks().await?, site.chunks("/media/same.jpg")?);
    other.install(&server.url(EMPTY_PAGE)).await?;
    let video = other.fetched(VIDEO).await?;
    assert_eq!(video.sha256, site.sha256(VIDEO)?);
    assert_eq!(other.accounted(VIDEO).await?.bytes_p2p, 0);

    let cleared: Cleared = visitor.eval("dcdn.clear()", &[]).await?;
    assert_eq!(cleared, Cleared { ok: true, bytes: site.length(IMAGE)? });
    assert_eq!(visitor.stored_chunks().await?, [].into());
    let left: u32 = visitor.eval("storeSize().then(({ manifests }) => manifests)", &[]).await?;
    assert_eq!(left, 0);
    visitor.fetched(VIDEO).await?;
    visitor.holds(&site, &[VIDEO]).await?;
    for visitor in [visitor, other] {
        visitor.expect_clean_console().await?;
        visitor.close().await?;
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Cleared {
    ok: bool,
    bytes: u64,
}
