//! A site that wants DCDN no more, and a page that does not.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, VIDEO};
use dcdn_tests::{Engine, Media, Server, Site, Visitor};

use crate::SERVER;

/// Resolves once the page is served over plain HTTP.
const OVER_PLAIN_HTTP: &str = "
    await until('the page to hear of it', async () => (await dcdn.diagnose()).mode === 'http');
    return (await dcdn.diagnose()).reason;";

/// Resolves once nothing of DCDN is left in the browser.
const NOTHING_LEFT: &str = "
    let left;
    await until(() => `this to be gone: ${left}`, async () => {
        const registrations = await navigator.serviceWorker.getRegistrations();
        const databases = await indexedDB.databases();
        left = [
            ...registrations.map(({ scope }) => scope),
            ...(await caches.keys()),
            ...Object.keys(localStorage),
            ...databases.map(({ name }) => name),
        ];
        return left.length === 0;
    });";

in_each_engine!(a_site_that_is_switched_off_leaves_nothing_behind_after_one_visit);
async fn a_site_that_is_switched_off_leaves_nothing_behind_after_one_visit(
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
    server.restart_with(&[SERVER, &["--disabled"]].concat()).await?;

    visitor.open(&server.url(PAGE)).await?;

    visitor.run::<()>(NOTHING_LEFT, &[]).await?;
    media.expect_on(&visitor).await?;
    // The worker that served this page may start again as long as the page is open.
    visitor.stop_worker().await?;
    visitor.fetched(IMAGE).await?;
    visitor.open(&server.url(PAGE)).await?;
    let ready = visitor.ready().await?;
    assert_eq!(ready.mode, "http");
    media.expect_on(&visitor).await?;
    visitor.run::<()>(NOTHING_LEFT, &[]).await?;
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_page_that_unregisters_leaves_nothing_behind_and_goes_on);
async fn a_page_that_unregisters_leaves_nothing_behind_and_goes_on(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.fetched(IMAGE).await?;
    visitor.holds(&site, &[IMAGE]).await?;

    let ok: bool = visitor.eval("dcdn.unregister().then(({ ok }) => ok)", &[]).await?;

    assert!(ok);
    visitor.run::<()>(NOTHING_LEFT, &[]).await?;
    let image = visitor.fetched(IMAGE).await?;
    assert_eq!(image.sha256, site.sha256(IMAGE)?);
    visitor.stop_worker().await?;
    visitor.fetched(IMAGE).await?;
    visitor.run::<()>(NOTHING_LEFT, &[]).await?;
    let reason: String = visitor.eval("dcdn.diagnose().then(({ reason }) => reason)", &[]).await?;
    assert_eq!(reason, "the page has removed DCDN");

    let ready = visitor.install(&server.url(EMPTY_PAGE)).await?;
    assert_eq!(ready.mode, "p2p", "the next page installs it anew: {ready:?}");
    visitor.fetched(IMAGE).await?;
    visitor.holds(&site, &[IMAGE]).await?;
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_tab_that_is_open_hears_that_the_site_is_switched_off);
async fn a_tab_that_is_open_hears_that_the_site_is_switched_off(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let mut server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    let open = visitor.tab().await?;
    server.restart_with(&[SERVER, &["--disabled"]].concat()).await?;

    visitor.open_tab().await?;
    visitor.open(&server.url(EMPTY_PAGE)).await?;

    visitor.go_to(&open).await?;
    let reason: String = visitor.run(OVER_PLAIN_HTTP, &[]).await?;
    assert_eq!(reason, "DCDN has been switched off");
    visitor.fetched(IMAGE).await?;
    visitor.run::<()>(NOTHING_LEFT, &[]).await?;
    visitor.close().await
}

in_each_engine!(a_tab_that_is_open_hears_that_another_has_unregistered);
async fn a_tab_that_is_open_hears_that_another_has_unregistered(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    let open = visitor.tab().await?;
    visitor.open_tab().await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    let ok: bool = visitor.eval("dcdn.unregister().then(({ ok }) => ok)", &[]).await?;

    assert!(ok);
    visitor.go_to(&open).await?;
    let reason: String = visitor.run(OVER_PLAIN_HTTP, &[]).await?;
    assert_eq!(reason, "DCDN has been switched off");
    let image = visitor.fetched(IMAGE).await?;
    assert_eq!(image.sha256, site.sha256(IMAGE)?);
    visitor.run::<()>(NOTHING_LEFT, &[]).await?;
    visitor.expect_clean_console().await?;
    visitor.close().await
}
