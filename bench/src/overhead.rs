//! What the worker costs where it has nothing to win: one visitor alone, on loopback,
//! beside one without a worker. Both take turns, so that they share the machine's moods.

use std::path::Path;

use anyhow::Result;
use dcdn_tests::site::EMPTY_PAGE;
use dcdn_tests::{Proxy, Server, Site, Visitor};
use serde::Serialize;
use serde_json::json;

/// How much to measure.
pub struct Plan {
    /// First bytes of each kind that count.
    pub trials: usize,
    /// Transfers of the large file of each kind.
    pub transfers: usize,
    /// Bytes of the large file.
    pub large: usize,
}

/// Bytes of a file of which only the first matter: some chunks.
const SMALL: usize = 600_000;

/// The file to seek in, and its bytes.
const FILM: &str = "/media/film.mp4";
const FILM_BYTES: u64 = 2_000_000_000;

/// Bytes per second of a thin server's line.
const THIN: u32 = 2_500_000;

/// What was measured; each list is of one value per trial.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// Milliseconds from the request to the first byte.
    pub first_byte_ms: FirstByte,
    /// Milliseconds until the first byte from far inside a file of 2 GB, at a server whose
    /// line carries 20 Mbit/s.
    pub seek_ms: Seek,
    /// Transfers of the large file.
    pub transfer: Transfers,
    /// Bytes of memory that the browsers had at their peaks, processes added up:
    /// without a worker, with one.
    pub peak_memory: [u64; 2],
}

/// From the origin, unless it says otherwise.
#[derive(Debug, Default, Serialize)]
pub struct FirstByte {
    /// No worker.
    pub plain: Vec<f64>,
    /// The worker runs.
    pub running: Vec<f64>,
    /// The worker has been stopped and starts with the request.
    pub stopped: Vec<f64>,
    /// The worker runs and has the file in its store.
    pub stored: Vec<f64>,
}

/// Each to a place of its own.
#[derive(Debug, Default, Serialize)]
pub struct Seek {
    /// No worker.
    pub plain: Vec<f64>,
    /// The worker runs, and nothing of the place is in its store.
    pub running: Vec<f64>,
}

/// Of the large file.
#[derive(Debug, Default, Serialize)]
pub struct Transfers {
    /// No worker.
    pub plain: Vec<Transfer>,
    /// From the origin through the worker, which also verifies and stores it.
    pub origin: Vec<Transfer>,
    /// From the store.
    pub store: Vec<Transfer>,
}

/// One transfer.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Transfer {
    /// Megabytes per second.
    pub rate: f64,
    /// Seconds of processor time that all of the browser's processes took.
    pub cpu: f64,
}

/// Runs the plan, with progress on standard error.
///
/// # Errors
/// If a browser or the server fails.
pub async fn run(plan: &Plan) -> Result<Results> {
    let site = Site::new()?;
    site.page("/bare.html", "")?;
    let server = Server::start(site.root(), &["--stun", "none"]).await?;
    let (with, without) = tokio::try_join!(Visitor::arrive(), Visitor::arrive())?;
    with.install(&server.url(EMPTY_PAGE)).await?;
    without.open(&server.url("/bare.html")).await?;

    let mut results = Results::default();
    for trial in 0..plan.trials {
        eprintln!("first bytes {} of {}", trial + 1, plan.trials);
        let first = &mut results.first_byte_ms;
        let url = |kind: &str| format!("/media/{kind}-{trial}.jpg");
        for kind in ["plain", "running", "stopped"] {
            site.random(&url(kind), SMALL)?;
        }
        first.plain.push(first_byte(&without, &url("plain"), 0).await?);
        first.running.push(first_byte(&with, &url("running"), 0).await?);
        with.holds(&site, &[&url("running")]).await?;
        // Another page: one that has just read something goes on with what it knows.
        with.open(&server.url(EMPTY_PAGE)).await?;
        with.ready().await?;
        first.stored.push(first_byte(&with, &url("running"), 0).await?);
        with.stop_worker().await?;
        first.stopped.push(first_byte(&with, &url("stopped"), 0).await?);
    }
    seek(plan, &site, &server, &mut results.seek_ms).await?;
    for transfer in 0..plan.transfers {
        eprintln!("transfers of {} bytes: {} of {}", plan.large, transfer + 1, plan.transfers);
        let url = format!("/media/large-{transfer}.mp4");
        site.random(&url, plan.large)?;
        let transfers = &mut results.transfer;
        transfers.plain.push(whole(&without, &url).await?);
        transfers.origin.push(whole(&with, &url).await?);
        with.holds(&site, &[&url]).await?;
        transfers.store.push(whole(&with, &url).await?);
        std::fs::remove_file(site.root().join(Path::new(url.trim_start_matches('/'))))?;
    }
    results.peak_memory = [without.usage()?.peak_memory, with.usage()?.peak_memory];
    Ok(results)
}

async fn seek(plan: &Plan, site: &Site, server: &Server, results: &mut Seek) -> Result<()> {
    site.sparse(FILM, FILM_BYTES)?;
    let thin = Proxy::capped(server.address(), THIN).await?;
    let (with, without) = tokio::try_join!(Visitor::arrive(), Visitor::arrive())?;
    with.install(&thin.url(EMPTY_PAGE)).await?;
    without.open(&thin.url("/bare.html")).await?;
    // Their places lie apart, at the beginning of a chunk, in its middle, at its end.
    let places = (1..).map(|number| FILM_BYTES / 2 + number * 12_345_678);
    for (trial, at) in places.take(plan.trials).enumerate() {
        eprintln!("seeks {} of {}", trial + 1, plan.trials);
        results.plain.push(first_byte(&without, FILM, at).await?);
        results.running.push(first_byte(&with, FILM, at).await?);
    }
    Ok(())
}

/// Reads a megabyte at most, from `at` on.
async fn first_byte(visitor: &Visitor, url: &str, at: u64) -> Result<f64> {
    visitor
        .run(
            "const start = performance.now();
             const headers = args[1] ? { Range: `bytes=${args[1]}-${args[1] + 999999}` } : {};
             const reader = (await fetch(args[0], { headers })).body.getReader();
             await reader.read();
             const took = performance.now() - start;
             while (!(await reader.read()).done);
             return took;",
            &[json!(url), json!(at)],
        )
        .await
}

async fn whole(visitor: &Visitor, url: &str) -> Result<Transfer> {
    let before = visitor.usage()?.cpu;
    let (bytes, ms): (f64, f64) = visitor
        .run(
            "const start = performance.now();
             const reader = (await fetch(args[0], { cache: 'no-cache' })).body.getReader();
             let bytes = 0;
             for (;;) {
               const { done, value } = await reader.read();
               if (done) return [bytes, performance.now() - start];
               bytes += value.length;
             }",
            &[json!(url)],
        )
        .await?;
    let cpu = visitor.usage()?.cpu.saturating_sub(before);
    Ok(Transfer { rate: bytes / ms / 1000.0, cpu: cpu.as_secs_f64() })
}
