//! Files that change, between visits and in the middle of a transfer. A body is all of
//! one version, or it ends in an error.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::visitor::Fetched;
use dcdn_tests::{Engine, Fault, Proxy, Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

/// A file that takes several seconds on its way.
const FILM: &str = "/media/film.mp4";

/// Its bytes.
const FILM_BYTES: usize = 12_000_000;

/// Bytes per second of a thin line.
const THIN: u32 = 3_000_000;

in_each_engine!(a_file_that_has_changed_since_the_last_visit_is_delivered_new);
async fn a_file_that_has_changed_since_the_last_visit_is_delivered_new(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.fetched(IMAGE).await?;
    visitor.holds(&site, &[IMAGE]).await?;

    site.replace(IMAGE)?;
    visitor.open(&server.url(EMPTY_PAGE)).await?;

    assert_eq!(visitor.fetched(IMAGE).await?.sha256, site.sha256(IMAGE)?);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_file_that_has_changed_is_delivered_new_though_coordination_answers_503);
async fn a_file_that_has_changed_is_delivered_new_though_coordination_answers_503(
    engine: Engine,
) -> Result<()> {
    a_file_that_has_changed_is_delivered_new_in_spite_of(engine, Fault::Unavailable).await
}

in_each_engine!(a_file_that_has_changed_is_delivered_new_though_coordination_never_answers);
async fn a_file_that_has_changed_is_delivered_new_though_coordination_never_answers(
    engine: Engine,
) -> Result<()> {
    a_file_that_has_changed_is_delivered_new_in_spite_of(engine, Fault::Silence).await
}

async fn a_file_that_has_changed_is_delivered_new_in_spite_of(
    engine: Engine,
    fault: Fault,
) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let (proxy, switch) =
        Proxy::faulty_at_times(server.address(), &["/dcdn/manifest"], fault).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&proxy.url(EMPTY_PAGE)).await?;
    visitor.fetched(IMAGE).await?;
    visitor.holds(&site, &[IMAGE]).await?;
    switch.set(true);

    visitor.open(&proxy.url(EMPTY_PAGE)).await?;
    assert_eq!(visitor.fetched(IMAGE).await?.sha256, site.sha256(IMAGE)?);
    let unchanged = visitor.accounted(IMAGE).await?;
    assert_eq!(unchanged.bytes_cache, site.length(IMAGE)?, "{unchanged:?}");

    site.replace(IMAGE)?;
    visitor.open(&proxy.url(EMPTY_PAGE)).await?;
    assert_eq!(visitor.fetched(IMAGE).await?.sha256, site.sha256(IMAGE)?);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_fresh_file_is_served_unasked_until_the_page_wants_to_know);
async fn a_fresh_file_is_served_unasked_until_the_page_wants_to_know(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let options = [SERVER, &["--cache-control", "public, max-age=3600"]].concat();
    let server = Server::start(site.root(), &options).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.fetched(IMAGE).await?;
    visitor.holds(&site, &[IMAGE]).await?;
    let old = site.sha256(IMAGE)?;
    site.replace(IMAGE)?;
    visitor.open(&server.url(EMPTY_PAGE)).await?;

    assert_eq!(visitor.fetched(IMAGE).await?.sha256, old, "fresh for an hour");
    let checked: Fetched =
        visitor.eval("fetched(args[0], { cache: 'no-cache' })", &[json!(IMAGE)]).await?;

    assert_eq!(checked.sha256, site.sha256(IMAGE)?);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(what_is_stored_of_an_older_version_is_not_mixed_with_the_new_one);
async fn what_is_stored_of_an_older_version_is_not_mixed_with_the_new_one(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    let half = json!({"headers": {"Range": "bytes=0-1499999"}});
    let _: Fetched = visitor.eval("fetched(args[0], args[1])", &[json!(IMAGE), half]).await?;
    let first_chunks: Vec<String> = site.chunks(IMAGE)?.into_keys().take(1).collect();
    let _: () = visitor.run("await stored(args[0])", &[json!(first_chunks)]).await?;

    site.replace(IMAGE)?;
    visitor.open(&server.url(EMPTY_PAGE)).await?;

    assert_eq!(visitor.fetched(IMAGE).await?.sha256, site.sha256(IMAGE)?);
    visitor.close().await
}

in_each_engine!(a_file_that_changes_while_the_origin_sends_it_is_not_mixed);
async fn a_file_that_changes_while_the_origin_sends_it_is_not_mixed(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, FILM_BYTES)?;
    let server = Server::start(site.root(), SERVER).await?;
    let thin = Proxy::capped(server.address(), THIN).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;
    let old = site.sha256(FILM)?;

    let _: () = visitor.run("await begun(args[0])", &[json!(FILM)]).await?;
    site.replace(FILM)?;

    expect_one_version(&visitor, &[&old, &site.sha256(FILM)?]).await?;
    visitor.open(&thin.url(EMPTY_PAGE)).await?;
    assert_eq!(visitor.fetched(FILM).await?.sha256, site.sha256(FILM)?, "the next visit");
    visitor.close().await
}

in_each_engine!(a_file_that_changes_while_peers_send_it_is_not_mixed);
async fn a_file_that_changes_while_peers_send_it_is_not_mixed(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, FILM_BYTES)?;
    let rate = THIN.to_string();
    let options = [SERVER, &["--upload-limit", &rate, "--slack-ms", "20000"]].concat();
    let server = Server::start(site.root(), &options).await?;
    let thin = Proxy::capped(server.address(), THIN).await?;
    let (peer, visitor) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    peer.install(&server.url(EMPTY_PAGE)).await?;
    peer.fetched(FILM).await?;
    peer.holds(&site, &[FILM]).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;
    let old = site.sha256(FILM)?;

    let until_from_peer = "begun(args[0], async () => (await dcdn.stats()).totals.bytes_p2p > 0)";
    let _: () = visitor.eval(until_from_peer, &[json!(FILM)]).await?;
    site.replace(FILM)?;

    expect_one_version(&visitor, &[&old, &site.sha256(FILM)?]).await?;
    visitor.open(&thin.url(EMPTY_PAGE)).await?;
    assert_eq!(visitor.fetched(FILM).await?.sha256, site.sha256(FILM)?, "the next visit");
    peer.close().await?;
    visitor.close().await
}

/// The body that has begun is one of these, or ends in an error.
async fn expect_one_version(visitor: &Visitor, versions: &[&str]) -> Result<()> {
    let body: Option<Fetched> = visitor.eval("finished()", &[]).await?;
    if let Some(body) = body {
        assert!(versions.contains(&body.sha256.as_str()), "a mixture: {body:?}");
    }
    Ok(())
}
