//! A peer that has everything and sends it at a trickle.

use anyhow::Result;
use dcdn_tests::media::insert_image;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, PLAIN_PAGE};
use dcdn_tests::{Media, Server, Site, Visitor};
use serde_json::json;

/// Bytes per second that a page sends: the image would take it a minute.
const TRICKLE: u32 = 50_000;

/// Milliseconds that an image may come later than over plain HTTP. Enough for the peer
/// to be connected and asked on a busy machine, too.
const SLACK: u32 = 4_000;

/// Bytes that leave before the first pause for the rate, at the most.
const FIRST_MESSAGE: f64 = 65_536.0;

#[tokio::test]
async fn a_slow_peer_never_delays_an_image_past_its_deadline() -> Result<()> {
    let site = Site::new()?;
    let (trickle, slack) = (TRICKLE.to_string(), SLACK.to_string());
    let options = ["--stun", "none", "--policy", "adaptive", "--slack-ms", &slack];
    let slow = ["--upload-limit", &trickle];
    let server = Server::start(site.root(), &[&options[..], &slow].concat()).await?;
    let (slow, visitor) = tokio::try_join!(Visitor::arrive(), Visitor::arrive())?;
    let media = Media::over_plain_http(&slow, &server, &site).await?;
    slow.install(&server.url(EMPTY_PAGE)).await?;
    slow.open(&server.url(PAGE)).await?;
    media.expect_image(&slow).await?;
    slow.holds(&site, &[IMAGE]).await?;
    visitor.open(&server.url(PLAIN_PAGE)).await?;
    visitor.shown("#image").await?;
    let duration = "performance.getEntriesByName(new URL(args[0], location))[0].duration";
    let over_http: f64 = visitor.eval(duration, &[json!(IMAGE)]).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    insert_image(&visitor).await?;

    media.expect_image(&visitor).await?;
    let stats = visitor.accounted(IMAGE).await?;
    let took = stats.ttlb_ms.unwrap() - stats.requested_ms;
    assert!(stats.bytes_p2p > 0, "the peer was not asked: {stats:?}");
    assert!(stats.bytes_http > stats.bytes_p2p, "{stats:?}");
    let sent_at_most = f64::from(TRICKLE) * took / 1000.0 + FIRST_MESSAGE;
    assert!(stats.bytes_p2p as f64 <= sent_at_most, "{stats:?}");
    // Twice what it may take: seconds for a machine that is busy at the wrong moment, and
    // still less than two chunks take the peer, of the twelve that there are.
    let deadline = over_http + f64::from(SLACK);
    assert!(took < 2.0 * deadline, "{took} ms, over HTTP {over_http} ms: {stats:?}");
    slow.expect_clean_console().await?;
    visitor.expect_clean_console().await?;
    slow.close().await?;
    visitor.close().await
}
