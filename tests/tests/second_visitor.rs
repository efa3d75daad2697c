//! A visitor who finds another one there.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, VIDEO};
use dcdn_tests::{Media, Server, Site, Visitor};

use crate::SERVER;

#[tokio::test]
async fn the_second_visitor_gets_most_from_the_first() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let (first, second) = tokio::try_join!(Visitor::arrive(), Visitor::arrive())?;
    let media = Media::over_plain_http(&first, &server, &site).await?;
    first.install(&server.url(EMPTY_PAGE)).await?;
    first.open(&server.url(PAGE)).await?;
    media.expect_on(&first).await?;
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
