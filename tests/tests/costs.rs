//! What a chunk costs on its way from page to page, counted and never timed: `budgets.toml`.

use std::fs;

use anyhow::{Context, Result};
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::visitor::Arrival;
use dcdn_tests::{Engine, Server, Site, Visitor};
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
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../budgets.toml");
    let Budgets { chunk: budget } = toml::from_str(&fs::read_to_string(file)?)?;
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
