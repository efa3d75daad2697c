//! A visitor who finds another one there.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, VIDEO};
use dcdn_tests::{Engine, Media, Server, Site, Visitor};

use crate::PATIENT;

#[tokio::test]
async fn in_chromium_the_second_visitor_gets_most_from_the_first() -> Result<()> {
    the_second_visitor_gets_most_from_the_first(Engine::Chromium, Engine::Chromium).await
}

#[tokio::test]
async fn in_firefox_the_second_visitor_gets_most_from_the_first() -> Result<()> {
    the_second_visitor_gets_most_from_the_first(Engine::Firefox, Engine::Firefox).await
}

#[tokio::test]
async fn a_visitor_with_firefox_gets_most_from_one_with_chromium() -> Result<()> {
    the_second_visitor_gets_most_from_the_first(Engine::Chromium, Engine::Firefox).await
}

#[tokio::test]
async fn a_visitor_with_chromium_gets_most_from_one_with_firefox() -> Result<()> {
    the_second_visitor_gets_most_from_the_first(Engine::Firefox, Engine::Chromium).await
}

async fn the_second_visitor_gets_most_from_the_first(first: Engine, second: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), PATIENT).await?;
    let (first, second) =
        tokio::try_join!(Visitor::arrive_with(first), Visitor::arrive_with(second))?;
    // Engines decode differently, so each has its own notion of how it should look.
    let media = Media::over_plain_http(&second, &server, &site).await?;
    first.install(&server.url(EMPTY_PAGE)).await?;
    for url in [IMAGE, VIDEO] {
        assert_eq!(first.fetched(url).await?.sha256, site.sha256(url)?);
    }
    first.holds(&site, &[IMAGE, VIDEO]).await?;

    second.install(&server.url(EMPTY_PAGE)).await?;
    second.open(&server.url(PAGE)).await?;

    media.expect_on(&second).await?;
    for url in [IMAGE, VIDEO] {
        second.expect_from_peers(&site, url).await?;
    }
    let from_peers = second.stats().await?.totals.bytes_p2p;
    let uploaded = first.stats().await?.totals.bytes_uploaded;
    assert!(uploaded >= from_peers, "{from_peers} bytes came and {uploaded} were sent");
    first.expect_clean_console().await?;
    second.expect_clean_console().await?;
    first.close().await?;
    second.close().await
}
