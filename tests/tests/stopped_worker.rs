//! A worker that the browser has stopped, as it does with idle ones.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, VIDEO};
use dcdn_tests::{Engine, Server, Site, Visitor};

use crate::SERVER;

in_each_engine!(a_stopped_worker_finds_its_page_and_the_peers_again);
async fn a_stopped_worker_finds_its_page_and_the_peers_again(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let (first, second) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    first.install(&server.url(EMPTY_PAGE)).await?;
    for url in [IMAGE, VIDEO] {
        first.fetched(url).await?;
    }
    first.holds(&site, &[IMAGE, VIDEO]).await?;
    second.install(&server.url(EMPTY_PAGE)).await?;
    second.fetched(IMAGE).await?;
    assert_eq!(second.stats().await?.peers, 1);

    // The seed uploads without its worker; the other's starts anew with the next request.
    first.stop_worker().await?;
    second.stop_worker().await?;
    let video = second.fetched(VIDEO).await?;

    assert_eq!((video.status, &video.sha256), (200, &site.sha256(VIDEO)?));
    second.expect_from_peers(&site, VIDEO).await?;
    first.expect_clean_console().await?;
    second.expect_clean_console().await?;
    first.close().await?;
    second.close().await
}
