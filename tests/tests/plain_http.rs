//! Pages on which DCDN cannot or must not work.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, VIDEO};
use dcdn_tests::{Arrival, Engine, Media, Server, Site, Visitor};

use crate::SERVER;

/// The page says that it is plain HTTP, and is as without DCDN.
async fn expect_plain_http(visitor: &Visitor, media: &Media) -> Result<()> {
    assert_eq!(visitor.ready().await?.mode, "http");
    media.expect_on(visitor).await
}

in_each_engine!(without_service_workers_the_page_is_plain_http);
async fn without_service_workers_the_page_is_plain_http(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let arrival =
        Arrival::default().engine(engine).before("delete Navigator.prototype.serviceWorker;");
    let visitor = arrival.arrive().await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;

    visitor.open(&server.url(PAGE)).await?;

    expect_plain_http(&visitor, &media).await?;
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(without_webrtc_the_page_works_and_is_cached);
async fn without_webrtc_the_page_works_and_is_cached(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let remove = "delete window.RTCPeerConnection; delete window.webkitRTCPeerConnection;";
    let visitor = Arrival::default().engine(engine).before(remove).arrive().await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;

    let ready = visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.open(&server.url(PAGE)).await?;

    assert_eq!(ready.mode, "cache");
    media.expect_on(&visitor).await?;
    visitor.holds(&site, &[IMAGE, VIDEO]).await?;
    visitor.open(&server.url(PAGE)).await?;
    media.expect_on(&visitor).await?;
    let stats = visitor.accounted(IMAGE).await?;
    assert_eq!(stats.bytes_cache, site.length(IMAGE)?, "{stats:?}");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_page_that_is_switched_off_is_plain_http_for_newcomers);
async fn a_page_that_is_switched_off_is_plain_http_for_newcomers(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;

    visitor.open(&server.url(&format!("{PAGE}?dcdn=off"))).await?;

    expect_plain_http(&visitor, &media).await?;
    let registrations = "(await navigator.serviceWorker.getRegistrations()).length";
    assert_eq!(visitor.run::<u32>(&format!("return {registrations}"), &[]).await?, 0);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_page_that_is_switched_off_is_plain_http_for_those_who_have_the_worker);
async fn a_page_that_is_switched_off_is_plain_http_for_those_who_have_the_worker(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    visitor.open(&server.url(&format!("{PAGE}?dcdn=off"))).await?;

    expect_plain_http(&visitor, &media).await?;
    assert!(visitor.stored_chunks().await?.is_empty());
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(on_an_insecure_origin_the_page_is_plain_http);
async fn on_an_insecure_origin_the_page_is_plain_http(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Arrival::default().engine(engine).host("site.test").arrive().await?;
    visitor.open(&server.url("/plain.html")).await?;
    let (image, video) = (visitor.shown("#image").await?, visitor.played("#video").await?);

    let page = server.url(PAGE).replace("127.0.0.1", "site.test");
    visitor.open(&page).await?;

    assert!(!visitor.eval::<bool>("window.isSecureContext", &[]).await?);
    assert_eq!(visitor.ready().await?.mode, "http");
    assert_eq!(visitor.shown("#image").await?, image);
    assert_eq!(visitor.played("#video").await?, video);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_site_that_is_switched_off_is_plain_http);
async fn a_site_that_is_switched_off_is_plain_http(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), &["--stun", "none", "--disabled"]).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;

    visitor.open(&server.url(PAGE)).await?;

    expect_plain_http(&visitor, &media).await?;
    visitor.expect_clean_console().await?;
    visitor.close().await
}
