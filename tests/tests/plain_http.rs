//! Pages on which DCDN cannot or must not work.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, VIDEO};
use dcdn_tests::{Arrival, Media, Server, Site, Visitor};

use crate::SERVER;

/// The page says that it is plain HTTP, and is as without DCDN.
async fn expect_plain_http(visitor: &Visitor, media: &Media) -> Result<()> {
    assert_eq!(visitor.ready().await?.mode, "http");
    media.expect_on(visitor).await
}

#[tokio::test]
async fn without_service_workers_the_page_is_plain_http() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let arrival = Arrival::default().before("delete Navigator.prototype.serviceWorker;");
    let visitor = arrival.arrive().await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;

    visitor.open(&server.url(PAGE)).await?;

    expect_plain_http(&visitor, &media).await?;
    visitor.expect_clean_console().await?;
    visitor.close().await
}

#[tokio::test]
async fn without_webrtc_the_page_works_and_is_cached() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let remove = "delete window.RTCPeerConnection; delete window.webkitRTCPeerConnection;";
    let visitor = Arrival::default().before(remove).arrive().await?;
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

#[tokio::test]
async fn a_page_that_is_switched_off_is_plain_http_for_newcomers() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive().await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;

    visitor.open(&server.url(&format!("{PAGE}?dcdn=off"))).await?;

    expect_plain_http(&visitor, &media).await?;
    let registrations = "(await navigator.serviceWorker.getRegistrations()).length";
    assert_eq!(visitor.run::<u32>(&format!("return {registrations}"), &[]).await?, 0);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

#[tokio::test]
async fn a_page_that_is_switched_off_is_plain_http_for_those_who_have_the_worker() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive().await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    visitor.open(&server.url(&format!("{PAGE}?dcdn=off"))).await?;

    expect_plain_http(&visitor, &media).await?;
    assert!(visitor.stored_chunks().await?.is_empty());
    visitor.expect_clean_console().await?;
    visitor.close().await
}

#[tokio::test]
async fn on_an_insecure_origin_the_page_is_plain_http() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let arrival = Arrival::default().argument("--host-resolver-rules=MAP site.test 127.0.0.1");
    let visitor = arrival.arrive().await?;
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

#[tokio::test]
async fn a_site_that_is_switched_off_is_plain_http() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), &["--stun", "none", "--disabled"]).await?;
    let visitor = Visitor::arrive().await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;

    visitor.open(&server.url(PAGE)).await?;

    expect_plain_http(&visitor, &media).await?;
    visitor.expect_clean_console().await?;
    visitor.close().await
}
