//! Readers that go away in the middle: what they wanted stops, at the peers too.

use anyhow::Result;
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

/// A file that takes a minute on its way.
const FILM: &str = "/media/film.mp4";

/// Its bytes.
const FILM_BYTES: usize = 30_000_000;

/// Bytes per second of a thin line.
const THIN: u32 = 500_000;

/// Bytes that are in sockets and in the browser's hands when a request is taken back.
const ON_THE_WAY: u64 = 8 * 1024 * 1024;

// In Chromium alone: Firefox does not tell a worker that a page has cancelled a body. What it
// wanted stops when the read-ahead is full.
#[tokio::test]
async fn a_reader_that_stops_is_sent_no_more_by_peers() -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, FILM_BYTES)?;
    let rate = THIN.to_string();
    // Peers alone, so that it is they who are stopped.
    let options = [SERVER, &["--policy", "basic", "--upload-limit", &rate]].concat();
    let server = Server::start(site.root(), &options).await?;
    let (peer, visitor) = tokio::try_join!(Visitor::arrive(), Visitor::arrive())?;
    peer.install(&server.url(EMPTY_PAGE)).await?;
    for url in [FILM, IMAGE] {
        peer.fetched(url).await?;
    }
    peer.holds(&site, &[FILM, IMAGE]).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    let _: () = visitor.eval("begun(args[0])", &[json!(FILM)]).await?;
    let uploads = "until('an upload', async () => (await dcdn.stats()).totals.bytes_uploaded)";
    let before: u64 = peer.eval(uploads, &[]).await?;

    let _: () = visitor.eval("window.begunFetch.reader.cancel()", &[]).await?;
    // Whatever was still to come of the film would come before this or along with it.
    visitor.fetched(IMAGE).await?;

    let image = visitor.accounted(IMAGE).await?.bytes_p2p;
    let after = peer.stats().await?.totals.bytes_uploaded;
    let film = after - before - image;
    // What the peer sent while it was being asked, and one chunk.
    let most = u64::from(THIN) + u64::from(DEFAULT_CHUNK_SIZE);
    assert!(film <= most, "{film} bytes of the film after it was not wanted any more");
    peer.close().await?;
    visitor.close().await
}

in_each_engine!(a_tab_that_is_closed_is_sent_no_more_by_the_origin);
async fn a_tab_that_is_closed_is_sent_no_more_by_the_origin(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, FILM_BYTES)?;
    let server = Server::start(site.root(), SERVER).await?;
    let thin = Proxy::capped(server.address(), 4 * THIN).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&thin.url(EMPTY_PAGE)).await?;
    let other = visitor.tab().await?;
    visitor.open_tab().await?;
    visitor.open(&thin.url(EMPTY_PAGE)).await?;
    let _: () = visitor.eval("begun(args[0])", &[json!(FILM)]).await?;

    visitor.close_tab(&other).await?;
    visitor.fetched(IMAGE).await?;

    let sent = server.metric("dcdn_origin_bytes_total").await?;
    let most = site.length(IMAGE)? + ON_THE_WAY;
    assert!(sent < most, "{sent} bytes from the origin");
    visitor.close().await
}
