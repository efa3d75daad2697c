//! A site that another server has: before it, and beside it.

use anyhow::Result;
use dcdn_tests::companion::{Companion, free_address, sample};
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE};
use dcdn_tests::{Server, Site, Visitor};

use crate::PATIENT;

#[tokio::test]
async fn before_another_server_visitors_give_images_to_each_other() -> Result<()> {
    let site = Site::new()?;
    let address = free_address()?;
    let port = address.rsplit(':').next().unwrap();
    let plain = format!("server {{ listen {port}; root {}; }}", site.root().display());
    let _nginx = Companion::nginx(&address, &plain).await?;
    let server = Server::before(&format!("http://{address}"), PATIENT).await?;

    visitors_give_an_image_to_each_other(&site, |path| server.url(path)).await
}

#[tokio::test]
async fn beside_nginx_visitors_give_images_to_each_other() -> Result<()> {
    let site = Site::new()?;
    let address = free_address()?;
    let server = Server::before(&format!("http://{address}"), PATIENT).await?;
    let config = sample("nginx.conf", site.root(), &address, server.address())?;
    let nginx = Companion::nginx(&address, &config).await?;

    visitors_give_an_image_to_each_other(&site, |path| nginx.url(path)).await?;

    let asked = server.metric("dcdn_origin_requests_total").await?;
    assert_eq!(asked, 0, "nginx has passed on what it serves itself");
    Ok(())
}

#[tokio::test]
async fn beside_caddy_visitors_give_images_to_each_other() -> Result<()> {
    let site = Site::new()?;
    let address = free_address()?;
    let server = Server::before(&format!("http://{address}"), PATIENT).await?;
    let config = sample("Caddyfile", site.root(), &address, server.address())?;
    let caddy = Companion::caddy(&address, &config).await?;

    visitors_give_an_image_to_each_other(&site, |path| caddy.url(path)).await?;

    let asked = server.metric("dcdn_origin_requests_total").await?;
    assert_eq!(asked, 0, "Caddy has passed on what it serves itself");
    Ok(())
}

async fn visitors_give_an_image_to_each_other(
    site: &Site,
    url: impl Fn(&str) -> String,
) -> Result<()> {
    let (first, second) = tokio::try_join!(Visitor::arrive(), Visitor::arrive())?;
    first.install(&url(EMPTY_PAGE)).await?;
    assert_eq!(first.fetched(IMAGE).await?.sha256, site.sha256(IMAGE)?);
    first.holds(site, &[IMAGE]).await?;

    second.install(&url(EMPTY_PAGE)).await?;
    second.open(&url(PAGE)).await?;

    second.shown("#image").await?;
    second.expect_from_peers(site, IMAGE).await?;
    first.expect_clean_console().await?;
    second.expect_clean_console().await?;
    first.close().await?;
    second.close().await
}
