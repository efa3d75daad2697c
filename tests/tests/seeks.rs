//! Readers that begin in the middle: what they ask for comes first.

use anyhow::Result;
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_tests::site::EMPTY_PAGE;
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor, until};
use serde_json::json;

use crate::SERVER;
use crate::kept::HELD;

const FILM: &str = "/media/film.mp4";
const FILM_BYTES: usize = 20_000_000;

/// In the middle of the last chunk.
const NEAR_END: usize = FILM_BYTES - 5_000;

/// Where the last chunk begins.
const LAST_CHUNK: usize = FILM_BYTES - FILM_BYTES % DEFAULT_CHUNK_SIZE as usize;

in_each_engine!(the_origin_sends_what_was_asked_for_before_the_rest_of_its_chunk);
async fn the_origin_sends_what_was_asked_for_before_the_rest_of_its_chunk(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    site.random(FILM, FILM_BYTES)?;
    let server = Server::start(site.root(), SERVER).await?;
    let (proxy, ranges) = Proxy::watched(server.address(), FILM).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&proxy.url(EMPTY_PAGE)).await?;

    let end = part(&visitor, NEAR_END).await?;

    assert_eq!(end, site.sha256_of(FILM, NEAR_END..FILM_BYTES)?);
    let asked = until(|| Some(ranges.so_far()).filter(|asked| asked.len() >= 2)).await?;
    assert!(asked[0].starts_with(&format!("bytes={NEAR_END}-")), "{asked:?}");
    assert_eq!(asked[1], format!("bytes={LAST_CHUNK}-{}", NEAR_END - 1));

    // The chunk is whole and kept, so that it is there without a network.
    let one = "until('the chunk to be kept', async () => (await chunkEntries()).length === 1)";
    let _: bool = visitor.eval(one, &[]).await?;
    let held: usize = visitor.run(HELD, &[]).await?;
    assert_eq!(held, FILM_BYTES - LAST_CHUNK);
    let before = ranges.so_far().len();
    let chunk = part(&visitor, LAST_CHUNK).await?;
    assert_eq!(chunk, site.sha256_of(FILM, LAST_CHUNK..FILM_BYTES)?);
    assert_eq!(ranges.so_far().len(), before, "it was there");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

/// The hash of what a visitor gets from `start` on.
async fn part(visitor: &Visitor, start: usize) -> Result<String> {
    let fetch = "const response = await fetch(args[0], { headers: { Range: args[1] } });
         if (response.status !== 206) throw new Error(`status ${response.status}`);
         return sha256(await response.arrayBuffer());";
    visitor.run(fetch, &[json!(FILM), json!(format!("bytes={start}-"))]).await
}
