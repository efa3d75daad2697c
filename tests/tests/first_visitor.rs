//! A visitor when nobody else is there.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, VIDEO};
use dcdn_tests::{Engine, Media, Server, Site, Visitor};

use crate::SERVER;

in_each_engine!(the_first_visitor_gets_everything_from_the_origin_and_stores_it);
async fn the_first_visitor_gets_everything_from_the_origin_and_stores_it(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;

    let ready = visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.open(&server.url(PAGE)).await?;

    media.expect_on(&visitor).await?;
    assert_eq!((ready.mode.as_str(), ready.reason), ("p2p", None));
    let mut chunks = site.chunks(IMAGE)?;
    chunks.extend(site.chunks(VIDEO)?);
    visitor.holds(&site, &[IMAGE, VIDEO]).await?;
    assert_eq!(visitor.stored_chunks().await?, chunks);
    for url in [IMAGE, VIDEO] {
        let stats = visitor.accounted(url).await?;
        assert_eq!(stats.length, Some(site.length(url)?), "{stats:?}");
        assert_eq!((stats.bytes_http, stats.bytes_p2p), (site.length(url)?, 0), "{stats:?}");
        assert!(stats.requested_ms <= stats.ttfb_ms.unwrap(), "{stats:?}");
        assert!(stats.ttfb_ms <= stats.ttlb_ms, "{stats:?}");
    }
    assert_eq!(visitor.stats().await?.totals.bytes_uploaded, 0);
    visitor.expect_clean_console().await?;
    visitor.close().await
}
