//! Responses that take longer than browsers let a worker live that hears of no event: 30 s.
//!
//! What takes so long here is the origin, which sends so many bytes per second. It takes 37 s, or
//! what `DCDN_LIFETIME_S` says: browsers also have limits of minutes. `cargo xtask test` has it take
//! 330 s, beside all other tests.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, VIDEO};
use dcdn_tests::visitor::Fetched;
use dcdn_tests::{Arrival, Engine, Proxy, Server, Site, Visitor};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::SERVER;

/// A file that takes the origin so long.
const SLOW: &str = "/media/slow/file.mp4";

/// Bytes per second of what is below `/media/slow/`.
const RATE: u32 = 100_000;

/// Seconds that it takes.
fn seconds() -> usize {
    std::env::var("DCDN_LIFETIME_S").map_or(37, |text| text.parse().expect("a number of seconds"))
}

/// A page without our script.
const BARE_PAGE: &str = "/bare.html";

/// How a fetch ends: with the hash of the bytes, or with an error.
#[derive(Debug, Deserialize)]
struct Outcome {
    sha256: Option<String>,
}

/// What `begin`, a promise, gives. No script that waits for it is as long as it may take.
async fn awaited<T: DeserializeOwned>(visitor: &Visitor, begin: &str) -> Result<T> {
    visitor.run::<()>(&format!("window.slow = {begin};"), &[json!(SLOW)]).await?;
    loop {
        let some_time = "new Promise((resolve) => setTimeout(resolve, 10_000, null))";
        let race = format!("Promise.race([window.slow, {some_time}])");
        if let Some(fetched) = visitor.eval(&race, &[]).await? {
            return Ok(fetched);
        }
    }
}

/// A site with [`SLOW`], and a visitor who has the worker.
struct Scene {
    site: Site,
    visitor: Visitor,
    _server: Server,
    origin: Proxy,
}

impl Scene {
    async fn set(engine: Engine) -> Result<Self> {
        let site = Site::new()?;
        std::fs::create_dir(site.root().join("media/slow"))?;
        site.random(SLOW, seconds() * RATE as usize)?;
        let server = Server::start(site.root(), SERVER).await?;
        let origin = Proxy::capped_at(server.address(), "/media/slow/", RATE).await?;
        let visitor = Arrival::default().engine(engine).unwatched().arrive().await?;
        visitor.install(&origin.url(EMPTY_PAGE)).await?;
        Ok(Self { site, visitor, _server: server, origin })
    }
}

in_each_engine!(a_response_that_takes_longer_than_a_worker_lives_arrives_whole);
async fn a_response_that_takes_longer_than_a_worker_lives_arrives_whole(
    engine: Engine,
) -> Result<()> {
    let scene = Scene::set(engine).await?;

    let fetched: Fetched = awaited(&scene.visitor, "fetched(args[0])").await?;

    assert_eq!(fetched.sha256, scene.site.sha256(SLOW)?);
    // Of one worker: another one would not know of it.
    let stats = scene.visitor.accounted(SLOW).await?;
    assert_eq!(stats.bytes_http, scene.site.length(SLOW)?, "{stats:?}");
    scene.visitor.close().await
}

in_each_engine!(a_video_that_is_paused_for_longer_than_a_worker_lives_plays_on_to_its_end);
async fn a_video_that_is_paused_for_longer_than_a_worker_lives_plays_on_to_its_end(
    engine: Engine,
) -> Result<()> {
    let scene = Scene::set(engine).await?;
    let start = "
        const video = insert('video', { id: 'video', src: args[0], muted: true });
        await video.play();
        await until('the video to advance', () => video.currentTime > 0.2);
        video.pause();";
    scene.visitor.run::<()>(start, &[json!(VIDEO)]).await?;

    // Passes the worker by, which hears of nothing while it lasts.
    let elsewhere = "fetched(args[0], { cache: 'no-store' })";
    let fetched: Fetched = awaited(&scene.visitor, elsewhere).await?;
    let play_on = "
        const video = document.querySelector('#video');
        const ended = next(video, 'ended');
        video.playbackRate = 4;
        await video.play();
        await ended;
        return video.currentTime;";
    let end: f64 = scene.visitor.run(play_on, &[]).await?;

    assert_eq!(fetched.sha256, scene.site.sha256(SLOW)?);
    let duration: f64 =
        scene.visitor.eval("document.querySelector('#video').duration", &[]).await?;
    assert!((end - duration).abs() < 0.1, "ended at {end} s of {duration} s");
    assert_eq!(scene.visitor.fetched(VIDEO).await?.sha256, scene.site.sha256(VIDEO)?);
    scene.visitor.close().await
}

in_each_engine!(a_page_without_our_script_never_takes_a_part_for_the_whole);
async fn a_page_without_our_script_never_takes_a_part_for_the_whole(engine: Engine) -> Result<()> {
    let scene = Scene::set(engine).await?;
    scene.site.page(BARE_PAGE, "")?;
    let whole = Some(scene.site.sha256(SLOW)?);
    let fetch = "fetched(args[0]).then(({ sha256 }) => ({ sha256 }), () => ({ sha256: null }))";

    // Nobody keeps the worker alive, and nobody knows yet that nobody does.
    scene.visitor.open(&scene.origin.url(BARE_PAGE)).await?;
    let first: Outcome = awaited(&scene.visitor, fetch).await?;
    // Now that is known.
    scene.visitor.open(&scene.origin.url(BARE_PAGE)).await?;
    let second: Outcome = awaited(&scene.visitor, fetch).await?;

    assert!(first.sha256.is_none() || first.sha256 == whole, "{first:?}");
    assert_eq!(second.sha256, whole);
    scene.visitor.close().await
}
