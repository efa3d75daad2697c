//! One run: seeds, a client with the worker, a client without, trials in turns.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use dcdn_tests::{Server, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;

/// The configurations, in the order of the table. The first has no worker at all.
pub const CONFIGURATIONS: [&str; 7] =
    ["plain HTTP", "http", "basic", "prefetch", "head-start", "mixed", "adaptive"];

/// How much to measure.
pub struct Plan {
    /// Trials that count, of each configuration.
    pub trials: usize,
    /// Trials before those.
    pub warm_ups: usize,
    /// Seeding visitors.
    pub peers: usize,
}

/// What one trial of one configuration gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// One of [`CONFIGURATIONS`].
    pub configuration: String,
    /// Request of the image, in milliseconds from navigationStart.
    pub requested_ms: f64,
    /// First byte of the response, likewise.
    pub first_byte_ms: f64,
    /// Last byte of the response, likewise.
    pub last_byte_ms: f64,
    /// Bytes of the image.
    pub length: u64,
    /// Bytes of it that came from peers.
    pub bytes_p2p: u64,
}

/// Runs the plan, with progress on standard error.
///
/// # Errors
/// If a browser or the server fails.
pub async fn run(plan: &Plan) -> Result<Vec<Trial>> {
    let rounds = plan.warm_ups + plan.trials;
    let site = site(rounds)?;
    let server = Server::start(site.path(), &["--stun", "none"]).await?;

    let mut seeds = Vec::new();
    for n in 1..=plan.peers {
        eprintln!("seed {n} of {} takes in {} images", plan.peers, rounds * CONFIGURATIONS.len());
        seeds.push(seed(&server, rounds).await?);
    }
    let with_worker = Visitor::arrive().await?;
    with_worker.install(&server.url("/empty.html")).await?;
    let without_worker = Visitor::arrive().await?;

    let mut results = Vec::new();
    for round in 0..rounds {
        let kind = if round < plan.warm_ups { "warm-up" } else { "trial" };
        eprintln!("{kind} {} of {rounds}", round + 1);
        for (n, configuration) in CONFIGURATIONS.iter().enumerate() {
            let client = if n == 0 { &without_worker } else { &with_worker };
            let page = format!("/{}.html?{}", page_name(configuration), image_number(round, n));
            client.open(&server.url(&page)).await?;
            let measured = measure(client, configuration).await.with_context(|| page.clone())?;
            if round >= plan.warm_ups {
                results.push(measured);
            }
        }
    }
    Ok(results)
}

async fn measure(client: &Visitor, configuration: &str) -> Result<Trial> {
    let mut trial: Trial = client
        .run(
            "const image = document.querySelector('img');
             await image.decode();
             const entry = performance.getEntriesByName(image.src)[0];
             const url = new URL(image.src);
             const stats = window.dcdn ? (await dcdn.ready, await dcdn.stats()) : { urls: [] };
             const own = stats.urls.find((it) => it.url === url.pathname);
             return {
               configuration: args[0],
               requested_ms: entry.startTime,
               first_byte_ms: entry.responseStart,
               last_byte_ms: entry.responseEnd,
               length: entry.decodedBodySize,
               bytes_p2p: own ? own.bytes_p2p : 0,
             };",
            &[json!(configuration)],
        )
        .await?;
    configuration.clone_into(&mut trial.configuration);
    Ok(trial)
}

/// A visitor who holds every image of the run.
async fn seed(server: &Server, rounds: usize) -> Result<Visitor> {
    let visitor = Visitor::arrive().await?;
    visitor.install(&server.url("/empty.html")).await?;
    for number in 0..rounds * CONFIGURATIONS.len() {
        let url = format!("/media/{number}.jpg");
        let _: u64 = visitor
            .run(
                "const body = await (await fetch(args[0])).arrayBuffer();
                 return body.byteLength;",
                &[json!(url)],
            )
            .await?;
    }
    let count: usize = rounds * CONFIGURATIONS.len();
    let _: bool = visitor
        .run(
            "const cache = await caches.open(STORE);
             for (;;) {
               const catalogue = await cache.match('/dcdn/store/catalogue');
               const { contents = {} } = catalogue ? await catalogue.json() : {};
               const whole = Object.values(contents).filter(({ chunks }) =>
                 chunks.length === 1 && chunks[0][1] - chunks[0][0] >= 12);
               if (whole.length >= args[0]) return true;
               await new Promise((resolve) => setTimeout(resolve, 100));
             }",
            &[json!(count)],
        )
        .await?;
    // A page that is opened now is found by all that the browser holds.
    visitor.open(&server.url("/empty.html")).await?;
    visitor.ready().await?;
    Ok(visitor)
}

fn image_number(round: usize, configuration: usize) -> usize {
    round * CONFIGURATIONS.len() + configuration
}

fn page_name(configuration: &str) -> &str {
    if configuration == CONFIGURATIONS[0] { "plain" } else { configuration }
}

/// A site with a page for each configuration and an image for each trial of each.
fn site(rounds: usize) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("dcdn-bench-").tempdir()?;
    let media = folder.path().join("media");
    fs::create_dir(&media)?;
    let picture = fs::read(large_picture()?)?;
    for number in 0..rounds * CONFIGURATIONS.len() {
        // Bytes after a JPEG's end are no part of the picture, but of the content.
        let mut bytes = picture.clone();
        bytes.extend_from_slice(format!("trial {number}").as_bytes());
        fs::write(media.join(format!("{number}.jpg")), bytes)?;
    }
    for configuration in CONFIGURATIONS {
        let name = page_name(configuration);
        let tag = match name {
            "plain" => String::new(),
            policy => format!(
                r#"<script type="module" src="/dcdn/dcdn.js" data-policy="{policy}"></script>"#
            ),
        };
        write_page(
            folder.path(),
            name,
            &format!(
                "{tag}<script>document.write('<img src=\"/media/' + location.search.slice(1) + '.jpg\">')</script>"
            ),
        )?;
    }
    write_page(folder.path(), "empty", r#"<script type="module" src="/dcdn/dcdn.js"></script>"#)?;
    Ok(folder)
}

fn write_page(folder: &Path, name: &str, body: &str) -> Result<()> {
    let html = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>{name}</title>\
         <link rel=\"icon\" href=\"data:,\">{body}"
    );
    Ok(fs::write(folder.join(format!("{name}.html")), html)?)
}

/// The demo's picture of the thesis's size.
fn large_picture() -> Result<std::path::PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../static/demo/media"));
    fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|it| it == "jpg"))
        .max_by_key(|path| path.metadata().map_or(0, |it| it.len()))
        .context("the demo has no picture")
}
