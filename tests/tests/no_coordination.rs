//! A site whose coordination cannot be reached, each way in which that happens.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, PAGE};
use dcdn_tests::{Engine, Fault, Media, Proxy, Server, Site, Visitor};

use crate::SERVER;

in_each_engine!(the_page_is_as_without_dcdn_when_coordination_answers_503);
async fn the_page_is_as_without_dcdn_when_coordination_answers_503(engine: Engine) -> Result<()> {
    the_page_is_as_without_dcdn(engine, Fault::Unavailable).await
}

in_each_engine!(the_page_is_as_without_dcdn_when_coordination_resets_connections);
async fn the_page_is_as_without_dcdn_when_coordination_resets_connections(
    engine: Engine,
) -> Result<()> {
    the_page_is_as_without_dcdn(engine, Fault::Reset).await
}

in_each_engine!(the_page_is_as_without_dcdn_when_coordination_never_answers);
async fn the_page_is_as_without_dcdn_when_coordination_never_answers(engine: Engine) -> Result<()> {
    the_page_is_as_without_dcdn(engine, Fault::Silence).await
}

async fn the_page_is_as_without_dcdn(engine: Engine, fault: Fault) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let paths = &["/dcdn/manifest", "/dcdn/ws"];
    let proxy = Proxy::faulty(server.address(), paths, fault).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    let media = Media::over_plain_http(&visitor, &server, &site).await?;

    visitor.install(&proxy.url(EMPTY_PAGE)).await?;
    visitor.open(&proxy.url(PAGE)).await?;

    media.expect_on(&visitor).await?;
    assert_eq!(visitor.stats().await?.totals.bytes_p2p, 0);
    visitor.expect_clean_console().await?;
    visitor.close().await
}
