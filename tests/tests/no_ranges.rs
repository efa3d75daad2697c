//! A site whose server answers every request with the whole file.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, VIDEO};
use dcdn_tests::{Engine, Media, Proxy, Server, Site, Visitor};

use crate::PATIENT;

in_each_engine!(without_ranges_all_is_right_and_the_second_visitor_gets_most_from_the_first);
async fn without_ranges_all_is_right_and_the_second_visitor_gets_most_from_the_first(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), PATIENT).await?;
    // Not so fast that everything has come before a peer is connected.
    let line = Proxy::capped(server.address(), 1_000_000).await?;
    let origin = Proxy::rangeless(&line.address()).await?;
    let (first, second) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    let media = Media::over_plain_http(&first, &server, &site).await?;
    first.install(&origin.url(EMPTY_PAGE)).await?;
    first.open(&origin.url(PAGE)).await?;
    media.expect_on(&first).await?;
    first.holds(&site, &[IMAGE, VIDEO]).await?;

    second.install(&origin.url(EMPTY_PAGE)).await?;
    second.open(&origin.url(PAGE)).await?;

    media.expect_on(&second).await?;
    for url in [IMAGE, VIDEO] {
        let stats = first.accounted(url).await?;
        assert_eq!((stats.bytes_http, stats.bytes_p2p), (site.length(url)?, 0), "{stats:?}");
        let stats = second.accounted(url).await?;
        assert!(stats.bytes_p2p > stats.bytes_http, "less than half from peers: {stats:?}");
    }
    first.expect_clean_console().await?;
    second.expect_clean_console().await?;
    first.close().await?;
    second.close().await
}
