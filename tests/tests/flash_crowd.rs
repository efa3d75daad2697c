//! Visitors who all come at once.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, SCRIPT};
use dcdn_tests::{Proxy, Server, Site, Visitor};
use futures::future::try_join_all;
use serde::Deserialize;

const VISITORS: usize = 8;

/// Bytes of the file that they come for.
const LENGTH: usize = 10_000_000;

/// How much later than over plain HTTP each may be, in milliseconds. Eight browsers on few
/// cores need seconds to connect, and who has waited for its slack asks the origin.
const SLACK: &str = "10000";

/// Bytes per second of the origin's line: 20 Mbit/s. Over plain HTTP it needs 32 s.
const LINE: u32 = 20_000_000 / 8;

const CROWD: &str = "/crowd.html";
const SHARED: &str = "/media/shared.mp4";
const PLAIN: &str = "/media/plain.mp4";

/// Fetches what the page's address names, as soon as the page is there.
const FETCH: &str = "<script>
    const file = new URLSearchParams(location.search).get('file');
    window.body = fetch(file).then((answer) => answer.arrayBuffer());
    window.finished = body.then(() => performance.now());
</script>";

/// The file as one visitor got it.
#[derive(Debug, Deserialize)]
struct Got {
    sha256: String,
    /// Milliseconds from navigationStart to the last byte.
    ms: f64,
}

#[tokio::test]
async fn eight_at_once_finish_sooner_than_over_http_and_cost_the_origin_two_copies_at_most()
-> Result<()> {
    let site = Site::new()?;
    site.page(CROWD, &format!("{SCRIPT}\n{FETCH}"))?;
    site.random(SHARED, LENGTH)?;
    site.random(PLAIN, LENGTH)?;
    let options = ["--stun", "none", "--policy", "adaptive", "--slack-ms", SLACK];
    let server = Server::start(site.root(), &options).await?;
    let origin = Proxy::capped(server.address(), LINE).await?;
    let crowd = try_join_all([(); VISITORS].map(|()| Visitor::arrive())).await?;
    let empty = origin.url(EMPTY_PAGE);
    try_join_all(crowd.iter().map(|it| it.install(&empty))).await?;
    let over_http = origin.url(&format!("{CROWD}?dcdn=off&file={PLAIN}"));
    let over_http = try_join_all(crowd.iter().map(|it| get(it, &over_http))).await?;
    let before = server.metric("dcdn_origin_bytes_total").await?;

    let together = origin.url(&format!("{CROWD}?file={SHARED}"));
    let together = try_join_all(crowd.iter().map(|it| get(it, &together))).await?;

    let sent = server.metric("dcdn_origin_bytes_total").await? - before;
    let mut shares = Vec::new();
    for visitor in &crowd {
        let stats = visitor.accounted(SHARED).await?;
        shares.push((stats.bytes_http, stats.bytes_p2p));
    }
    let (plain, shared) = (site.sha256(PLAIN)?, site.sha256(SHARED)?);
    assert!(over_http.iter().all(|it| it.sha256 == plain), "{over_http:?}");
    assert!(together.iter().all(|it| it.sha256 == shared), "{together:?}");
    assert!(sent <= 2 * LENGTH as u64, "the origin sent {sent} bytes, and peers: {shares:?}");
    let (slowest, slowest_over_http) = (slowest(&together), slowest(&over_http));
    assert!(slowest < slowest_over_http, "{slowest} ms, over HTTP {slowest_over_http} ms");
    for visitor in crowd {
        visitor.expect_clean_console().await?;
        visitor.close().await?;
    }
    Ok(())
}

/// Opens a page that fetches, and waits for what it gets.
async fn get(visitor: &Visitor, url: &str) -> Result<Got> {
    visitor.open(url).await?;
    visitor.eval("({ sha256: await sha256(await body), ms: await window.finished })", &[]).await
}

fn slowest(all: &[Got]) -> f64 {
    all.iter().map(|it| it.ms).fold(0.0, f64::max)
}
