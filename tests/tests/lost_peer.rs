//! A peer that goes without a word.

use anyhow::Result;
use dcdn_tests::media::insert_image;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE};
use dcdn_tests::{Engine, Media, Server, Site, Visitor};
use serde::Deserialize;

use crate::PATIENT;

/// What the page knew when the first chunk from a peer came.
#[derive(Debug, Deserialize)]
struct FirstChunk {
    loaded: u64,
    total: u64,
    complete: bool,
}

in_each_engine!(an_image_completes_when_the_only_peer_is_killed_in_mid_transfer);
async fn an_image_completes_when_the_only_peer_is_killed_in_mid_transfer(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    // Slow enough that the transfer is still on its way when its first chunk is seen.
    let options = [PATIENT, &["--upload-limit", "300000"]].concat();
    let server = Server::start(site.root(), &options).await?;
    let (mut first, second) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    let media = Media::over_plain_http(&first, &server, &site).await?;
    first.install(&server.url(EMPTY_PAGE)).await?;
    first.open(&server.url(PAGE)).await?;
    media.expect_on(&first).await?;
    first.holds(&site, &[IMAGE]).await?;
    second.install(&server.url(EMPTY_PAGE)).await?;
    let listen = "window.progress = []; dcdn.on('progress', (it) => progress.push(it));";
    second.run::<()>(listen, &[]).await?;

    insert_image(&second).await?;
    let wait = "
        const isP2p = ({ source }) => source === 'p2p';
        const { loaded, total } =
            await until('a chunk from a peer', () => progress.find(isP2p));
        return { loaded, total, complete: document.querySelector('#image').complete };";
    let seen: FirstChunk = second.run(wait, &[]).await?;
    first.kill();

    assert!(!seen.complete && seen.loaded < seen.total, "killed too late: {seen:?}");
    media.expect_image(&second).await?;
    let stats = second.accounted(IMAGE).await?;
    assert!(stats.bytes_p2p > 0, "nothing came from the peer: {stats:?}");
    assert!(stats.bytes_http > 0, "nothing came from the origin: {stats:?}");
    assert_eq!(stats.bytes_p2p + stats.bytes_http, site.length(IMAGE)?, "{stats:?}");
    second.expect_clean_console().await?;
    second.close().await
}
