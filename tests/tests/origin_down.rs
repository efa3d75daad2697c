//! A site's own server that is out of order for a while, behind a coordination server that
//! is not.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, VIDEO};
use dcdn_tests::{Engine, Server, Site, Visitor};

use crate::SERVER;
use crate::kept::HELD;

in_each_engine!(what_is_stored_is_served_while_the_origin_is_down_and_all_is_shared_afterwards);
async fn what_is_stored_is_served_while_the_origin_is_down_and_all_is_shared_afterwards(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let mut origin = Server::start(site.root(), SERVER).await?;
    let server = Server::before(&format!("http://{}", origin.address()), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.fetched(IMAGE).await?;
    visitor.holds(&site, &[IMAGE]).await?;
    let held: u64 = visitor.run(HELD, &[]).await?;
    assert_eq!(held, site.length(IMAGE)?);

    origin.stop().await?;
    for _ in 0..2 {
        // The next one knows nothing but what is stored, and has to ask.
        visitor.stop_worker().await?;
        assert_eq!(visitor.fetched(IMAGE).await?.sha256, site.sha256(IMAGE)?);
        assert_eq!(visitor.accounted(IMAGE).await?.bytes_cache, held);
    }
    assert_eq!(visitor.fetched(VIDEO).await?.status, 502, "nothing is known of it");

    origin.restart().await?;
    visitor.open(&server.url(EMPTY_PAGE)).await?;
    for url in [IMAGE, VIDEO] {
        assert_eq!(visitor.fetched(url).await?.sha256, site.sha256(url)?);
        visitor.accounted(url).await?;
    }
    visitor.holds(&site, &[IMAGE, VIDEO]).await?;
    visitor.close().await
}
