//! A site with two servers that meet in Redis.

use anyhow::Result;
use dcdn_tests::companion::{Companion, free_address};
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE};
use dcdn_tests::{Server, Site, Visitor};

use crate::PATIENT;

#[tokio::test]
async fn a_visitor_of_one_gets_an_image_from_a_visitor_of_the_other() -> Result<()> {
    let site = Site::new()?;
    let address = free_address()?;
    let _redis = Companion::redis(&address).await?;
    let url = format!("redis://{address}");
    let options = [PATIENT, &["--redis", &url]].concat();
    let (one, other) = tokio::try_join!(
        Server::start(site.root(), &options),
        Server::start(site.root(), &options)
    )?;
    let (first, second) = tokio::try_join!(Visitor::arrive(), Visitor::arrive())?;
    first.install(&one.url(EMPTY_PAGE)).await?;
    assert_eq!(first.fetched(IMAGE).await?.sha256, site.sha256(IMAGE)?);
    first.holds(&site, &[IMAGE]).await?;

    second.install(&other.url(EMPTY_PAGE)).await?;
    second.open(&other.url(PAGE)).await?;

    second.expect_from_peers(&site, IMAGE).await?;
    assert!(first.stats().await?.totals.bytes_uploaded > 0);
    first.expect_clean_console().await?;
    second.expect_clean_console().await?;
    first.close().await?;
    second.close().await
}
