//! Several tabs of one browser: one worker, one store, shared connections.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PLAIN_PAGE};
use dcdn_tests::visitor::Fetched;
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor};
use serde_json::json;

use crate::{PATIENT, SERVER};

/// A file that takes several seconds on its way.
const FILM: &str = "/media/film.mp4";

/// Its bytes.
const FILM_BYTES: usize = 12_000_000;

/// Bytes per second of a thin line.
const THIN: u32 = 3_000_000;

in_each_engine!(two_tabs_that_want_the_same_fetch_it_once);
async fn two_tabs_that_want_the_same_fetch_it_once(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, FILM_BYTES)?;
    let server = Server::start(site.root(), SERVER).await?;
    let thin = Proxy::capped(server.address(), THIN).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;
    let first = visitor.tab().await?;
    let _: () = visitor.eval("begun(args[0])", &[json!(FILM)]).await?;

    visitor.open_tab().await?;
    visitor.open(&thin.url(EMPTY_PAGE)).await?;
    let whole = visitor.fetched(FILM).await?;

    assert_eq!(whole.sha256, site.sha256(FILM)?);
    visitor.go_to(&first).await?;
    let begun: Option<Fetched> = visitor.eval("finished()", &[]).await?;
    assert_eq!(begun.map(|it| it.sha256), Some(site.sha256(FILM)?));
    let sent = server.metric("dcdn_origin_bytes_total").await?;
    // Pages and scripts come on top.
    let twice = 2 * FILM_BYTES as u64;
    assert!(sent < twice * 3 / 4, "{sent} bytes from the origin");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(two_urls_of_one_content_are_fetched_once);
async fn two_urls_of_one_content_are_fetched_once(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, FILM_BYTES)?;
    site.copy_of(FILM, "/media/film.webm")?;
    let server = Server::start(site.root(), SERVER).await?;
    let thin = Proxy::capped(server.address(), THIN).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;

    let films: [Fetched; 2] = visitor
        .eval(
            "Promise.all(args.map((url) => fetched(url)))",
            &[json!(FILM), json!("/media/film.webm")],
        )
        .await?;

    assert_eq!(
        films.each_ref().map(|it| it.mime.as_deref()),
        [Some("video/mp4"), Some("video/webm")]
    );
    for film in &films {
        assert_eq!(film.sha256, site.sha256(FILM)?);
    }
    for url in [FILM, "/media/film.webm"] {
        assert_eq!(visitor.accounted(url).await?.length, Some(FILM_BYTES as u64));
    }
    let sent = server.metric("dcdn_origin_bytes_total").await?;
    // Pages and scripts come on top, and of each what is asked for before its manifest is there.
    let twice = 2 * FILM_BYTES as u64;
    assert!(sent < twice * 3 / 4, "{sent} bytes from the origin");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_tab_without_connections_is_served_over_those_of_another);
async fn a_tab_without_connections_is_served_over_those_of_another(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), PATIENT).await?;
    let (peer, visitor) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    peer.install(&server.url(EMPTY_PAGE)).await?;
    peer.fetched(IMAGE).await?;
    peer.holds(&site, &[IMAGE]).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    // This page has no script tag, and so nothing that could have a connection.
    visitor.open_tab().await?;
    visitor.open(&server.url(PLAIN_PAGE)).await?;
    visitor.shown("#image").await?;

    visitor.holds(&site, &[IMAGE]).await?;
    let uploaded = peer.stats().await?.totals.bytes_uploaded;
    assert!(uploaded * 4 >= site.length(IMAGE)? * 3, "{uploaded} bytes from the peer");
    peer.close().await?;
    visitor.close().await
}

in_each_engine!(the_work_goes_on_when_the_tab_that_had_the_connections_is_closed);
async fn the_work_goes_on_when_the_tab_that_had_the_connections_is_closed(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, FILM_BYTES)?;
    let rate = THIN.to_string();
    let server = Server::start(site.root(), &[SERVER, &["--upload-limit", &rate]].concat()).await?;
    let (peer, visitor) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    peer.install(&server.url(EMPTY_PAGE)).await?;
    peer.fetched(FILM).await?;
    peer.holds(&site, &[FILM]).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    let owner = visitor.tab().await?;
    let reader = visitor.open_tab().await?;
    visitor.open(&server.url(PLAIN_PAGE)).await?;
    let _: () = visitor.eval("begun(args[0])", &[json!(FILM)]).await?;
    let uploads = "until('an upload', async () => (await dcdn.stats()).totals.bytes_uploaded > 0)";
    let _: bool = peer.eval(uploads, &[]).await?;

    visitor.go_to(&owner).await?;
    visitor.close_tab(&reader).await?;

    let film: Option<Fetched> = visitor.eval("finished()", &[]).await?;
    assert_eq!(film.map(|it| it.sha256), Some(site.sha256(FILM)?));
    visitor.expect_clean_console().await?;
    peer.close().await?;
    visitor.close().await
}
