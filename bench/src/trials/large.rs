//! A file that is large enough for throughput to count, and nothing else.

use anyhow::Result;
use dcdn_tests::Visitor;
use serde_json::json;

use super::Plan;
use super::delivery::RAW;
use super::section::{Section, compared, plain};
use super::world::World;

/// The file, and its bytes.
pub const FILE: &str = "/media/large.mp4";
/// See [`FILE`].
pub const LENGTH: usize = 50_000_000;

/// Runs it.
pub async fn run(world: &World, plan: &Plan) -> Result<Section> {
    let columns = [
        compared("MB/s", 1),
        plain("first byte, ms", 0),
        plain("last byte, ms", 0),
        plain("from peers, %", 0),
    ];
    let note = "Fetched by a page that has just been opened; times from the request. Plain HTTP \
                is on loopback: no network is as fast.";
    let title = "A file of 50 MB that five peers hold";
    let mut section = Section::new("large", title, note, &columns).compared_to(RAW);
    let length = LENGTH as f64;
    for round in 0..plan.few() {
        eprintln!("50 MB: round {} of {}", round + 1, plan.few());
        let (first, last) = world.raw.fetch(length).await?;
        world.log.note("large", round, RAW, &(first, last))?;
        section.add(RAW, &[length / last / 1000.0, first, last, 100.0]);
        let client = &world.without_worker;
        client.open(&world.server.url("/plain-http-empty.html")).await?;
        let [first, last, _] = fetched(client, "no-store").await?;
        world.log.note("large", round, "plain HTTP", &(first, last))?;
        section.add("plain HTTP", &[length / last / 1000.0, first, last, 0.0]);
        for configuration in ["basic", "head-start", "adaptive"] {
            let client = &world.with_worker;
            client.open(&world.server.url(&format!("/{configuration}-empty.html"))).await?;
            client.run::<()>("await dcdn.ready; await dcdn.clear();", &[]).await?;
            client.open(&world.server.url(&format!("/{configuration}-empty.html"))).await?;
            let [first, last, from_peers] = fetched(client, "default").await?;
            let share = 100.0 * from_peers / length;
            world.log.note("large", round, configuration, &(first, last, from_peers))?;
            section.add(configuration, &[length / last / 1000.0, first, last, share]);
        }
    }
    Ok(section)
}

/// Milliseconds to the first and the last byte, and bytes from peers.
async fn fetched(client: &Visitor, cache: &str) -> Result<[f64; 3]> {
    let script = "
        const start = performance.now();
        const reader = (await fetch(args[0], { cache: args[1] })).body.getReader();
        let first;
        while (!(await reader.read()).done) first ??= performance.now() - start;
        const last = performance.now() - start;
        const stats = window.dcdn ? await dcdn.stats() : { urls: [] };
        const own = stats.urls.find((it) => it.url === args[0]);
        return [first, last, own ? own.bytes_p2p : 0];";
    client.run(script, &[json!(FILE), json!(cache)]).await
}
