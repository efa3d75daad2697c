//! A worker that the browser has stopped: an idle one, as browsers do, and one in mid-stream.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, VIDEO};
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor};
use serde_json::json;

use crate::{PATIENT, SERVER};

/// Bytes per second of the origin, and of a page's uploads, where something is to be stopped in
/// the middle: the film takes 13 s, which a busy machine does not need to begin it.
const SLOWLY: u32 = 300_000;

in_each_engine!(a_stopped_worker_finds_its_page_and_the_peers_again);
async fn a_stopped_worker_finds_its_page_and_the_peers_again(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), PATIENT).await?;
    let (first, second) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    first.install(&server.url(EMPTY_PAGE)).await?;
    for url in [IMAGE, VIDEO] {
        first.fetched(url).await?;
    }
    first.holds(&site, &[IMAGE, VIDEO]).await?;
    second.install(&server.url(EMPTY_PAGE)).await?;
    second.fetched(IMAGE).await?;
    assert_eq!(second.stats().await?.peers, 1);

    // The seed uploads without its worker; the other's starts anew with the next request.
    first.stop_worker().await?;
    second.stop_worker().await?;
    let video = second.fetched(VIDEO).await?;

    assert_eq!((video.status, &video.sha256), (200, &site.sha256(VIDEO)?));
    second.expect_from_peers(&site, VIDEO).await?;
    first.expect_clean_console().await?;
    second.expect_clean_console().await?;
    first.close().await?;
    second.close().await
}

// In Chromium alone: to a page in Firefox, a worker that is killed is a body that has ended.
// It is what the pings are for, which keep Firefox from killing one in mid-stream.
#[tokio::test]
async fn a_body_whose_worker_is_stopped_fails_and_the_next_is_whole() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let origin = Proxy::capped_at(server.address(), "/media/", SLOWLY).await?;
    let visitor = Visitor::arrive().await?;
    visitor.install(&origin.url(EMPTY_PAGE)).await?;
    let begin = "
        const { body } = await fetch(args[0]);
        const reader = body.getReader();
        const parts = [];
        const read = async () => {
            for (let part; !(part = await reader.read()).done;) parts.push(part.value);
            return sha256(await new Blob(parts).arrayBuffer());
        };
        window.outcome = read().catch(() => null);
        await until('the first bytes', () => parts.length > 0);";
    visitor.run::<()>(begin, &[json!(IMAGE)]).await?;

    visitor.stop_worker().await?;

    let whole = site.sha256(IMAGE)?;
    if let Some(sha256) = visitor.eval::<Option<String>>("outcome", &[]).await? {
        assert_eq!(sha256, whole, "a body that ended cleanly is not complete");
    }
    assert_eq!(visitor.fetched(IMAGE).await?.sha256, whole);
    visitor.close().await
}

in_each_engine!(a_video_plays_on_to_its_end_when_the_worker_is_stopped_in_mid_stream);
async fn a_video_plays_on_to_its_end_when_the_worker_is_stopped_in_mid_stream(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let rate = SLOWLY.to_string();
    let server =
        Server::start(site.root(), &[PATIENT, &["--upload-limit", &rate]].concat()).await?;
    let origin = Proxy::capped_at(server.address(), "/media/", SLOWLY).await?;
    let (first, second) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    first.install(&origin.url(EMPTY_PAGE)).await?;
    first.fetched(VIDEO).await?;
    first.holds(&site, &[VIDEO]).await?;
    second.install(&origin.url(EMPTY_PAGE)).await?;
    let play = "
        window.progress = [];
        dcdn.on('progress', (it) => progress.push(it));
        const video = insert('video', { id: 'video', src: args[0], muted: true });
        window.ended = next(video, 'ended');
        await video.play();
        await until('the video to advance', () => video.currentTime > 0.2);
        await until('a chunk from a peer', () => progress.find(({ source }) => source === 'p2p'));
        video.playbackRate = 4;
        const { loaded, total } = progress.splice(0).at(-1);
        return loaded / total;";
    let share: f64 = second.run(play, &[json!(VIDEO)]).await?;

    second.stop_worker().await?;

    assert!(share < 1.0, "stopped too late");
    second.run::<()>("await ended", &[]).await?;
    let from_peers = "progress.some(({ source }) => source === 'p2p')";
    let asked = second.eval::<bool>(from_peers, &[]).await?;
    assert!(asked, "the new worker has asked no peer, {:.0} % had come", share * 100.0);
    assert_eq!(second.fetched(VIDEO).await?.sha256, site.sha256(VIDEO)?);
    first.expect_clean_console().await?;
    first.close().await?;
    second.close().await
}
