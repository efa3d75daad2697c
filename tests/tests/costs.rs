//! What a chunk costs on its way from page to page, and how many round trips there are before
//! the first, counted and never timed: `budgets.toml`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_tests::counted::RoundTrips;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::visitor::Arrival;
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor};
use serde::Deserialize;

use crate::PATIENT;

/// Counts what a page says to peers and to its worker, and the bytes that it copies.
const COUNT: &str = "
    globalThis.counted = { peers: 0, worker: 0, copied: 0 };
    const count = (type, method, note) => {
        const original = type.prototype[method];
        type.prototype[method] = function (...args) {
            note(...args);
            return original.apply(this, args);
        };
    };
    count(RTCDataChannel, 'send', () => counted.peers++);
    count(MessagePort, 'postMessage', () => counted.worker++);
    const bytes = Object.getPrototypeOf(Uint8Array);
    // Heads and messages are smaller than any piece but the last of an image.
    count(bytes, 'set', ({ byteLength }) => { if (byteLength > 1024) counted.copied += byteLength; });";

#[derive(Clone, Copy, Debug, Deserialize)]
struct Counted {
    peers: f64,
    worker: f64,
    copied: f64,
}

#[derive(Deserialize)]
struct Budgets {
    chunk: Chunk,
    round_trips: Trips,
}

impl Budgets {
    fn read() -> Result<Self> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../budgets.toml");
        Ok(toml::from_str(&fs::read_to_string(file)?)?)
    }
}

/// Until the first byte of an image reaches the worker, and until the page is given one that
/// comes from a peer.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Trips {
    first_byte: u32,
    first_peer_byte: u32,
}

#[derive(Deserialize)]
struct Chunk {
    sent_by_holder: f64,
    sent_by_wanter: f64,
    to_worker: f64,
    copies_at_holder: f64,
    copies_at_wanter: f64,
}

in_each_engine!(a_chunk_costs_no_more_messages_and_copies_than_its_budget);

async fn a_chunk_costs_no_more_messages_and_copies_than_its_budget(engine: Engine) -> Result<()> {
    let budget = Budgets::read()?.chunk;
    let site = Site::new()?;
    let server = Server::start(site.root(), PATIENT).await?;
    let counting = || Arrival::default().engine(engine).before(COUNT);
    let (holder, wanter) = tokio::try_join!(counting().arrive(), counting().arrive())?;
    holder.install(&server.url(EMPTY_PAGE)).await?;
    holder.fetched(IMAGE).await?;
    holder.holds(&site, &[IMAGE]).await?;
    wanter.install(&server.url(EMPTY_PAGE)).await?;
    let before = (counted(&holder).await?, counted(&wanter).await?);

    wanter.fetched(IMAGE).await?;

    wanter.expect_from_peers(&site, IMAGE).await?;
    let after = (counted(&holder).await?, counted(&wanter).await?);
    let urls = wanter.stats().await?.urls;
    let image = urls.into_iter().find(|it| it.url == IMAGE).context("no statistics")?;
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let bytes = image.bytes_p2p as f64;
    let chunks = bytes / f64::from(DEFAULT_CHUNK_SIZE);
    for (what, figure, most) in [
        (
            "messages of the holder",
            (after.0.peers - before.0.peers) / chunks,
            budget.sent_by_holder,
        ),
        (
            "messages of the wanter",
            (after.1.peers - before.1.peers) / chunks,
            budget.sent_by_wanter,
        ),
        ("messages to its worker", (after.1.worker - before.1.worker) / chunks, budget.to_worker),
        (
            "copies at the holder",
            (after.0.copied - before.0.copied) / bytes,
            budget.copies_at_holder,
        ),
        (
            "copies at the wanter",
            (after.1.copied - before.1.copied) / bytes,
            budget.copies_at_wanter,
        ),
    ] {
        eprintln!("{what} per chunk: {figure:.2} of {most}");
        assert!(figure <= most, "{what} per chunk: {figure:.2} of {most}");
        // What is not counted at all keeps to every budget.
        assert!(figure > most / 4.0, "{what} per chunk: {figure:.2}, which is not counted right");
    }
    holder.close().await?;
    wanter.close().await
}

async fn counted(page: &Visitor) -> Result<Counted> {
    page.eval("counted", &[]).await
}

/// Longer than a browser takes for what it does between an answer and the next request.
const ROUND_TRIP: Duration = Duration::from_millis(400);

/// Tells when the first byte of a peer is there, and leaves all to peers that they can bring.
const TELLING: &str = r#"<script type="module" src="/dcdn/dcdn.js" data-slack-ms="60000"></script>
<script type="module">
    import { dcdn } from "/dcdn/dcdn.js";
    const stop = dcdn.on("progress", ({ source }) => {
        if (source !== "p2p") return;
        stop();
        navigator.sendBeacon("/first-peer-byte");
    });
</script>"#;

#[tokio::test]
async fn the_first_byte_and_the_first_of_a_peer_come_after_no_more_round_trips_than_budgeted()
-> Result<()> {
    let budget = Budgets::read()?.round_trips;
    let site = Site::new()?;
    let server = Server::start(site.root(), PATIENT).await?;
    let trips = RoundTrips::default();
    let far = Proxy::counted(server.address(), ROUND_TRIP, &trips).await?;
    let (holder, visitor) = tokio::try_join!(Visitor::arrive(), Visitor::arrive())?;
    holder.install(&server.url(EMPTY_PAGE)).await?;
    visitor.install(&far.url(EMPTY_PAGE)).await?;

    // What the browser does besides, it does sooner or later, and it only ever adds.
    let mut fewest = Trips { first_byte: u32::MAX, first_peer_byte: u32::MAX };
    for visit in 0..3 {
        let (page, image) = (format!("/{visit}.html"), format!("/{visit}.jpg"));
        site.image(&image)?;
        site.page(&page, &format!(r#"{TELLING}<img id="image" src="{image}" alt="">"#))?;
        holder.fetched(&image).await?;
        holder.holds(&site, &[&image]).await?;
        visitor.open("about:blank").await?;
        trips.begin();

        visitor.open(&far.url(&page)).await?;
        visitor.expect_from_peers(&site, &image).await?;

        let told = || trips.before("POST /first-peer-byte");
        let first_peer_byte = dcdn_tests::until(told).await?;
        let first_byte = trips.until(&format!("GET {image}")).context("no image")?;
        eprintln!("round trips: {first_byte} and {first_peer_byte}, of {:?}", trips.asked());
        fewest.first_byte = fewest.first_byte.min(first_byte);
        fewest.first_peer_byte = fewest.first_peer_byte.min(first_peer_byte);
    }
    for (what, figure, most) in [
        ("the first byte", fewest.first_byte, budget.first_byte),
        ("the first byte of a peer", fewest.first_peer_byte, budget.first_peer_byte),
    ] {
        assert!(figure <= most, "{figure} round trips until {what}, of {most}");
        // A connection, the page, and then the image; or offer and answer after four others.
        assert!(figure > most / 2, "{figure} round trips until {what}, which is not counted right");
    }
    holder.close().await?;
    visitor.close().await
}
