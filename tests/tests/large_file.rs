//! A file far larger than what a browser may keep in memory.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, SPARSE};
use dcdn_tests::{Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

const FILM: &str = "/media/film.mp4";

/// 2 GB, and not a whole number of chunks.
const FILM_BYTES: u64 = 2_000_000_000;

/// Bytes that the browser may keep of it.
const BUDGET: &str = "50000000";

/// Bytes of memory that all processes of the browser may take more at their peak than
/// before: a quarter of the file. Engines keep some tens of MB of a body on its way in
/// several processes, and collect garbage when they like.
const MEMORY: u64 = FILM_BYTES / 4;

#[tokio::test]
async fn two_gigabytes_stream_through_in_bounded_memory_and_their_end_is_near() -> Result<()> {
    let site = Site::new()?;
    site.sparse(FILM, FILM_BYTES)?;
    let server = Server::start(site.root(), &[SERVER, &["--store-bytes", BUDGET]].concat()).await?;
    let visitor = Visitor::arrive().await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    let before = visitor.usage()?.peak_memory;

    // The end, before anything else of it has come.
    let end: (u16, String, Vec<u8>) = visitor
        .run(
            "const response = await fetch(args[0], { headers: { Range: args[1] } });
             const bytes = new Uint8Array(await response.arrayBuffer());
             return [response.status, response.headers.get('Content-Range'), [...bytes]];",
            &[json!(FILM), json!(format!("bytes={}-", FILM_BYTES - 4))],
        )
        .await?;
    let last = FILM_BYTES - 1;
    let range = format!("bytes {}-{last}/{FILM_BYTES}", FILM_BYTES - 4);
    assert_eq!(end, (206, range, vec![0; 4]));
    let sent = server.metric("dcdn_origin_bytes_total").await?;
    assert!(sent < 4_000_000, "{sent} bytes for the last four");

    // The whole, looked through as it comes: a script may take a minute, so in parts.
    let begin = "window.film = (await fetch(args[0])).body.getReader();
         window.seen = { bytes: 0, numbers: 0 };";
    let _: () = visitor.run(begin, &[json!(FILM)]).await?;
    let mut whole = false;
    while !whole {
        let part = "const until = performance.now() + 20_000;
             while (performance.now() < until) {
               const { done, value } = await film.read();
               if (done) return true;
               const apart = args[0];
               for (let at = seen.numbers * apart; at < seen.bytes + value.length; at += apart) {
                 // A number may be cut by the end of a piece: its first bytes do then.
                 const place = value.subarray(at - seen.bytes, at - seen.bytes + 2);
                 place.forEach((byte, n) => {
                   const right = (seen.numbers >> (8 * n)) & 255;
                   if (byte !== right) throw new Error(`MiB ${seen.numbers} is ${place}`);
                 });
                 seen.numbers++;
               }
               seen.bytes += value.length;
             }
             return false;";
        whole = visitor.run(part, &[json!(SPARSE)]).await?;
    }
    let seen: (u64, u64) = visitor.eval("[seen.bytes, seen.numbers]", &[]).await?;
    assert_eq!(seen, (FILM_BYTES, FILM_BYTES.div_ceil(SPARSE)));

    let more = visitor.usage()?.peak_memory - before;
    eprintln!("2 GB took {} MB of memory more at the peak", more / 1_000_000);
    assert!(more < MEMORY, "{more} bytes of memory more");
    visitor.expect_clean_console().await?;
    visitor.close().await
}
