//! A returning visitor whose site cannot be reached.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, VIDEO};
use dcdn_tests::{Engine, Media, Server, Site, Visitor};

use crate::SERVER;

in_each_engine!(with_the_origin_stopped_page_image_and_video_come_from_the_cache);
async fn with_the_origin_stopped_page_image_and_video_come_from_the_cache(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let mut server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.open(&server.url(PAGE)).await?;
    media.expect_on(&visitor).await?;
    visitor.holds(&site, &[IMAGE, VIDEO]).await?;

    server.stop().await?;
    visitor.reload().await?;
    let ready = visitor.ready().await?;

    assert_ne!(ready.mode, "http", "{ready:?}");
    media.expect_on(&visitor).await?;
    for url in [IMAGE, VIDEO] {
        let stats = visitor.accounted(url).await?;
        assert_eq!((stats.bytes_http, stats.bytes_p2p), (0, 0), "{stats:?}");
        assert_eq!(stats.bytes_cache, site.length(url)?, "{stats:?}");
    }
    visitor.expect_clean_console().await?;
    visitor.close().await
}
