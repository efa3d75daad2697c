//! Films that have begun one way and have to go on that way: Chromium ends a media element with
//! an error if a worker makes the response after one of the network's, or the reverse.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, SCRIPT, VIDEO};
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

const FILM: &str = "/film.html";

/// Bytes per second of a line over which most of the film is still to come when it is sought in.
const THIN: u32 = 1_000_000;

/// Brings up the site with a film behind `tag` on a thin line.
async fn with_film(tag: &str) -> Result<(Site, Server, Proxy)> {
    let site = Site::new()?;
    let film = format!("{tag}<video id=\"video\" muted preload=\"auto\" src=\"{VIDEO}\"></video>");
    site.page(FILM, &film)?;
    let server = Server::start(site.root(), SERVER).await?;
    let thin = Proxy::capped_at(server.address(), VIDEO, THIN).await?;
    Ok((site, server, thin))
}

/// Plays the film's beginning, middle and end.
async fn play(visitor: Visitor) -> Result<()> {
    let played = visitor.played("#video").await?;
    assert!(played.duration > 1.0, "{played:?}");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_film_that_began_before_the_worker_came_plays_on);
async fn a_film_that_began_before_the_worker_came_plays_on(engine: Engine) -> Result<()> {
    let (_site, _server, thin) = with_film(SCRIPT).await?;
    let visitor = Visitor::arrive_with(engine).await?;

    visitor.install(&thin.url(FILM)).await?;

    play(visitor).await
}

// In Chromium alone, since Firefox does not mind.
#[tokio::test]
async fn a_worker_that_is_started_again_knows_what_began_before_it_came() -> Result<()> {
    let (_site, _server, thin) = with_film(SCRIPT).await?;
    let visitor = Visitor::arrive().await?;
    visitor.install(&thin.url(FILM)).await?;

    visitor.stop_worker().await?;

    play(visitor).await
}

in_each_engine!(a_film_that_begins_on_a_first_visit_comes_through_the_worker);
async fn a_film_that_begins_on_a_first_visit_comes_through_the_worker(
    engine: Engine,
) -> Result<()> {
    let (_site, _server, thin) = with_film(SCRIPT).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;

    let begin = "insert('video', { id: 'video', src: args[0], preload: 'auto' });";
    visitor.run::<()>(begin, &[json!(VIDEO)]).await?;
    let played = visitor.played("#video").await?;

    assert!(played.duration > 1.0, "{played:?}");
    let stats = visitor.stats().await?;
    assert!(stats.urls.iter().any(|it| it.url == VIDEO && it.bytes_http > 0), "{stats:?}");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_film_plays_on_when_its_page_turns_out_to_want_plain_http);
async fn a_film_plays_on_when_its_page_turns_out_to_want_plain_http(engine: Engine) -> Result<()> {
    let http = SCRIPT.replace("></script>", " data-policy=\"http\"></script>");
    let (_site, _server, thin) = with_film(&http).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;

    visitor.open(&thin.url(FILM)).await?;
    visitor.ready().await?;

    play(visitor).await
}

in_each_engine!(a_film_plays_on_when_its_page_removes_the_worker);
async fn a_film_plays_on_when_its_page_removes_the_worker(engine: Engine) -> Result<()> {
    let (_site, _server, thin) = with_film(SCRIPT).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;
    visitor.open(&thin.url(FILM)).await?;
    visitor.ready().await?;

    let ok: bool = visitor.eval("dcdn.unregister().then(({ ok }) => ok)", &[]).await?;

    assert!(ok);
    play(visitor).await
}
