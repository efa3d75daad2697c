//! Readers that go away in the middle: what they wanted stops, at the origin and at the peers.

use anyhow::Result;
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_tests::capped::Passed;
use dcdn_tests::site::{EMPTY_PAGE, VIDEO};
use dcdn_tests::visitor::Fetched;
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor};
use serde_json::json;

use crate::PATIENT;

/// A page without our script.
const BARE_PAGE: &str = "/bare.html";

/// Bytes of a file that nobody gets to the end of.
const FILM_BYTES: usize = 6_000_000;

/// Bytes of a chunk.
const CHUNK: u64 = DEFAULT_CHUNK_SIZE as u64;

/// A file that is asked for over plain HTTP when the other is not wanted any more.
const NEXT: &str = "/media/next.jpg";

/// Its bytes. While they come, several chunks of the other would.
const NEXT_BYTES: u64 = 3 * CHUNK;

/// Bytes per second of the origin, and of the peer's uploads.
const THIN: u32 = 300_000;

/// How somebody begins to read `args[0]`, and how they stop, in a page.
struct Cause {
    name: &'static str,
    begin: &'static str,
    stop: &'static str,
}

const CAUSES: [Cause; 4] = [
    Cause {
        name: "a script cancels the body",
        begin: "window.body = (await fetch(args[0])).body.getReader();",
        stop: "body.cancel();",
    },
    Cause {
        name: "a script aborts the request",
        begin: "window.aborter = new AbortController();
            const { signal } = aborter;
            fetch(args[0], { signal }).then((it) => it.arrayBuffer()).catch(() => {});",
        stop: "aborter.abort();",
    },
    Cause {
        name: "an element is removed and emptied",
        begin: "window.video = insert('video', { src: args[0], preload: 'auto', muted: true });",
        stop: "video.remove(); video.removeAttribute('src'); video.load();",
    },
    Cause {
        name: "a frame is removed",
        begin: "window.frame = insert('iframe', { src: args[1] });
            await next(frame, 'load');
            frame.contentWindow.fetch(args[0]).then((it) => it.arrayBuffer()).catch(() => {});",
        stop: "frame.remove();",
    },
];

const CLOSED_TAB: Cause = Cause {
    name: "a tab is closed",
    begin: "window.response = await fetch(args[0]); response.arrayBuffer().catch(() => {});",
    stop: "",
};

impl Cause {
    /// What is read: by an element, something that it can play.
    fn film(&self) -> String {
        if self.begin.contains("'video'") {
            return VIDEO.to_owned();
        }
        format!("/media/{}.mp4", self.name.replace(' ', "-"))
    }
}

in_each_engine!(whoever_stops_reading_is_sent_no_more);
async fn whoever_stops_reading_is_sent_no_more(engine: Engine) -> Result<()> {
    let films: Vec<String> = CAUSES.iter().chain([&CLOSED_TAB]).map(Cause::film).collect();
    let scene = Scene::set(engine, &films).await?;
    for (cause, film) in CAUSES.iter().zip(&films) {
        let before = scene.uploaded().await?;
        scene.begin(cause, film).await?;

        let passed = scene.passed.bytes();
        let stop = format!("const came = await received(); {} return came;", cause.stop);
        let came: u64 = scene.run(&stop, film).await?;

        scene.expect_no_more(cause.name, before + came, passed).await?;
        // With new connections, whose bytes are counted anew.
        scene.visitor.open(&scene.thin.url(EMPTY_PAGE)).await?;
        scene.visitor.ready().await?;
    }

    let film = CLOSED_TAB.film();
    let with_connections = scene.visitor.tab().await?;
    let reader = scene.visitor.open_tab().await?;
    scene.visitor.open(&scene.thin.url(BARE_PAGE)).await?;
    scene.visitor.run::<()>(CLOSED_TAB.begin, &[json!(film)]).await?;
    scene.visitor.go_to(&with_connections).await?;
    scene.run::<()>("await until('bytes from the peer', received);", &film).await?;
    scene.visitor.go_to(&reader).await?;
    let (passed, uploaded) = (scene.passed.bytes(), scene.uploaded().await?);
    scene.visitor.close_tab(&with_connections).await?;
    scene.expect_no_more(CLOSED_TAB.name, uploaded, passed).await?;
    scene.close().await
}

in_each_engine!(a_player_that_seeks_is_sent_no_more_of_what_it_leaves_out);
async fn a_player_that_seeks_is_sent_no_more_of_what_it_leaves_out(engine: Engine) -> Result<()> {
    let scene = Scene::set(engine, &[VIDEO.to_owned()]).await?;
    let chunks = scene.site.chunk_paths(VIDEO)?;
    let seek = "
        const video = insert('video', { src: args[0], preload: 'auto', muted: true });
        await next(video, 'loadedmetadata');
        const count = async (paths) => {
            const held = await storedChunks();
            return paths.filter((path) => path in held).length;
        };
        const half = args[1].length / 2;
        const [first, second] = [args[1].slice(0, half), args[1].slice(half)];
        await until('some chunks', async () => (await count(first)) > 2);
        const before = await count(first);
        video.currentTime = video.duration * 0.9;
        await until('as many from there', async () => (await count(second)) > 2);
        return [before, (await count(first)) - before, first.length];";

    let (before, more, of): (u64, u64, u64) =
        scene.visitor.run(seek, &[json!(VIDEO), json!(chunks)]).await?;

    assert!(before + 4 < of, "the film is too short: {before} of {of} chunks before the seek");
    // Of the origin and of the peer, and what had come and was being written.
    assert!(more <= 3, "{more} chunks more");
    scene.close().await
}

/// A visitor, to whom everything comes slowly, from the origin and from a peer.
struct Scene {
    site: Site,
    thin: Proxy,
    passed: Passed,
    peer: Visitor,
    visitor: Visitor,
    _server: Server,
}

impl Scene {
    async fn set(engine: Engine, films: &[String]) -> Result<Self> {
        let site = Site::new()?;
        site.page(BARE_PAGE, "")?;
        let rate = THIN.to_string();
        let options = [PATIENT, &["--upload-limit", &rate]].concat();
        let server = Server::start(site.root(), &options).await?;
        let (thin, passed) = Proxy::metered_at(server.address(), "/media/", THIN).await?;
        let (peer, visitor) =
            tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
        peer.install(&server.url(EMPTY_PAGE)).await?;
        for film in films {
            if film != VIDEO {
                site.random(film, FILM_BYTES)?;
            }
            peer.fetched(film).await?;
            peer.holds(&site, &[film]).await?;
        }
        site.random(NEXT, usize::try_from(NEXT_BYTES)?)?;
        visitor.install(&thin.url(EMPTY_PAGE)).await?;
        Ok(Self { site, thin, passed, peer, visitor, _server: server })
    }

    /// Bytes of chunks that the peer has sent.
    async fn uploaded(&self) -> Result<u64> {
        Ok(self.peer.stats().await?.totals.bytes_uploaded)
    }

    /// Begins to read, and waits until there are bytes from the peer.
    async fn begin(&self, cause: &Cause, film: &str) -> Result<()> {
        let begin = format!("{} await until('bytes from the peer', received);", cause.begin);
        self.run(&begin, film).await
    }

    /// Runs statements that may ask for the bytes that the page has `received` from peers.
    async fn run<T: serde::de::DeserializeOwned>(&self, statements: &str, film: &str) -> Result<T> {
        let received = "const received = async () => {
              const { peers } = await dcdn.diagnose();
              return peers.reduce((sum, { bytes_in }) => sum + bytes_in, 0);
            };";
        let args = [json!(film), json!(BARE_PAGE)];
        self.visitor.run(&format!("{received}{statements}"), &args).await
    }

    /// Fails if origin or peer go on to send more than a chunk beyond so many bytes in all.
    async fn expect_no_more(&self, cause: &str, uploaded: u64, passed: u64) -> Result<()> {
        // Past the worker, which has nothing to weigh against it.
        let next = "fetched(args[0], { cache: 'no-store' })";
        let next: Fetched = self.visitor.eval(next, &[json!(NEXT)]).await?;
        let from_peer = self.uploaded().await?.saturating_sub(uploaded);
        let from_origin = self.passed.bytes() - next.length - passed;
        assert!(from_peer <= CHUNK, "{cause}: {from_peer} bytes more of the peer");
        assert!(from_origin <= CHUNK, "{cause}: {from_origin} bytes more of the origin");
        Ok(())
    }

    async fn close(self) -> Result<()> {
        self.visitor.expect_clean_console().await?;
        self.peer.close().await?;
        self.visitor.close().await
    }
}
