//! A new release, while pages of the last one are open.

use anyhow::Result;
use dcdn_protocol::VERSION;
use dcdn_tests::released::Release;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PLAIN_PAGE};
use dcdn_tests::visitor::Fetched;
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

/// A file that takes several seconds on its way.
const FILM: &str = "/media/film.mp4";

/// Its bytes.
const FILM_BYTES: usize = 12_000_000;

/// Bytes per second of a thin line.
const THIN: u32 = 3_000_000;

in_each_engine!(a_new_worker_takes_over_after_what_the_old_one_is_sending);
async fn a_new_worker_takes_over_after_what_the_old_one_is_sending(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, FILM_BYTES)?;
    let server = Server::start(site.root(), SERVER).await?;
    let release = Release::default();
    let released = Proxy::released(server.address(), &release).await?;
    let thin = Proxy::capped(&released.address(), THIN).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;
    let _: () = visitor.eval("begun(args[0])", &[json!(FILM)]).await?;

    release.publish();
    // Ends when the browser has the new script.
    let update = "(await navigator.serviceWorker.ready).update().then(() => null)";
    let _: () = visitor.run(&format!("return {update}"), &[]).await?;

    // The old worker ends what it has begun.
    let film: Option<Fetched> = visitor.eval("finished()", &[]).await?;
    assert_eq!(film.map(|it| it.sha256), Some(site.sha256(FILM)?));
    // At the latest when a page is opened it is the new one's turn.
    visitor.open(&thin.url(EMPTY_PAGE)).await?;
    let _: () = visitor
        .run(
            "await until('the worker of the later release alone', async () => {
               const runtimes = (await caches.keys()).filter((it) => it.includes('runtime'));
               return runtimes.join() === 'dcdn-runtime-later';
             });",
            &[],
        )
        .await?;
    // It serves the page that the old one had.
    assert_eq!(visitor.fetched(IMAGE).await?.sha256, site.sha256(IMAGE)?);
    assert_eq!(visitor.accounted(IMAGE).await?.length, Some(site.length(IMAGE)?));
    visitor.open(&thin.url(EMPTY_PAGE)).await?;
    assert_eq!(visitor.ready().await?.mode, "p2p");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_page_of_another_version_is_told_so_and_gets_its_media);
async fn a_page_of_another_version_is_told_so_and_gets_its_media(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    // A page without our script, which plays one of another version.
    visitor.open(&server.url(PLAIN_PAGE)).await?;

    let answer: u16 = visitor
        .run(
            "const { port1, port2 } = new MessageChannel();
             navigator.serviceWorker.controller.postMessage({ type: 'dcdn:port' }, [port2]);
             const answer = new Promise((resolve) => (port1.onmessage = resolve));
             // Of what is delivered to it, a page hears once its version is known.
             await fetched(args[1]);
             port1.postMessage({ type: 'hello', version: args[0], settings: {},
               page: location.pathname, time_origin: performance.timeOrigin });
             return (await answer).data.version;",
            &[json!(VERSION + 1), json!(IMAGE)],
        )
        .await?;

    assert_eq!(answer, VERSION);
    assert_eq!(visitor.fetched(IMAGE).await?.sha256, site.sha256(IMAGE)?);
    visitor.shown("#image").await?;
    visitor.expect_clean_console().await?;
    visitor.close().await
}
