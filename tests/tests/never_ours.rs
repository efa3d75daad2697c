//! What DCDN keeps its hands off: it is delivered as over plain HTTP, and nobody else
//! ever gets it from this visitor.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, PLAIN_PAGE, VIDEO};
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

/// What the origin says of three files, each in its own way: for one visitor alone.
const PERSONAL: &[(&str, &str)] = &[
    ("/media/no-store.jpg", "Cache-Control: no-store"),
    ("/media/private.jpg", "Cache-Control: private, max-age=600"),
    ("/media/cookie.jpg", "Vary: Accept-Encoding, Cookie"),
];

in_each_engine!(what_the_origin_says_is_for_one_visitor_is_delivered_and_not_kept);
async fn what_the_origin_says_is_for_one_visitor_is_delivered_and_not_kept(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    for (path, _) in PERSONAL {
        site.image(path)?;
    }
    let server = Server::start(site.root(), SERVER).await?;
    let proxy = Proxy::dressed(server.address(), PERSONAL).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&proxy.url(EMPTY_PAGE)).await?;

    for (path, header) in PERSONAL {
        // The second time it is known, and none of the worker's business.
        for _ in 0..2 {
            let fetched = visitor.fetched(path).await?;
            assert_eq!((fetched.status, fetched.sha256), (200, site.sha256(path)?), "{header}");
        }
    }

    // By the time that this one is stored, the others would be.
    visitor.fetched(IMAGE).await?;
    visitor.holds(&site, &[IMAGE]).await?;
    let stored = visitor.stored_chunks().await?;
    assert_eq!(stored, site.chunks(IMAGE)?);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

/// By this cookie a server knows its members.
const MEMBER: &str = "member=1";

in_each_engine!(a_film_for_members_alone_plays_and_seeks_and_is_not_kept);
async fn a_film_for_members_alone_plays_and_seeks_and_is_not_kept(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let own = Server::start(site.root(), SERVER).await?;
    let gate = Proxy::gated(own.address(), VIDEO, MEMBER).await?;
    let server = Server::before(&gate.url(""), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.open(&own.url(PLAIN_PAGE)).await?;
    let film = visitor.played("#video").await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.run::<()>("document.cookie = args[0];", &[json!(MEMBER)]).await?;

    // The second time it is known, and none of the worker's business.
    for _ in 0..2 {
        visitor.open(&server.url(PAGE)).await?;
        assert_eq!(visitor.played("#video").await?, film);
    }

    visitor.holds(&site, &[IMAGE]).await?;
    assert_eq!(visitor.stored_chunks().await?, site.chunks(IMAGE)?);
    visitor.expect_clean_console().await?;
    visitor.run::<()>("document.cookie = `${args[0]}; max-age=0`;", &[json!(MEMBER)]).await?;
    assert_eq!(visitor.fetched(VIDEO).await?.status, 403, "to a stranger");
    visitor.close().await
}

in_each_engine!(requests_that_are_not_for_a_shared_copy_go_past_the_worker);
async fn requests_that_are_not_for_a_shared_copy_go_past_the_worker(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let elsewhere = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    let hash = site.sha256(IMAGE)?;
    let digest = hex::decode(&hash)?;
    let base64: String =
        visitor.eval("btoa(String.fromCharCode(...args[0]))", &[json!(digest)]).await?;
    let integrity = format!("sha256-{base64}");

    let requests = [
        json!({"headers": {"Authorization": "Basic YTpi"}}),
        json!({"headers": {"Range": "bytes=0-99,200-299"}}),
        json!({"headers": {"If-None-Match": "\"another\""}}),
        json!({"cache": "no-store"}),
        json!({"cache": "reload"}),
        json!({"integrity": integrity}),
    ];
    for request in &requests {
        let fetched: dcdn_tests::visitor::Fetched =
            visitor.eval("fetched(args[0], args[1])", &[json!(IMAGE), request.clone()]).await?;
        assert_eq!((fetched.status, &fetched.sha256), (200, &hash), "{request}");
    }
    let head: (u16, String, u64) = visitor
        .run(
            "const head = await fetch(args[0], { method: 'HEAD' });
             return [head.status, head.headers.get('Content-Length'), (await head.blob()).size];",
            &[json!(IMAGE)],
        )
        .await?;
    assert_eq!(head, (200, site.length(IMAGE)?.to_string(), 0));
    let post: u16 = visitor
        .eval("fetch('/dcdn/manifest', { method: 'POST', body: 'x' }).then((it) => it.status)", &[])
        .await?;
    assert_eq!(post, 405);
    let sizes: Vec<u32> = visitor
        .run(
            "const blob = await (await fetch(args[0], { cache: 'no-store' })).blob();
             const sources = [URL.createObjectURL(blob), args[1]];
             const images = sources.map((src) => insert('img', { src }));
             for (const image of images) if (!image.complete) await next(image, 'load');
             return images.map((image) => image.naturalWidth);",
            &[json!(IMAGE), json!(elsewhere.url(IMAGE))],
        )
        .await?;
    assert!(sizes[0] > 0 && sizes[0] == sizes[1], "{sizes:?}");

    let stats = visitor.stats().await?;
    assert!(stats.urls.is_empty(), "{:?}", stats.urls);
    assert!(visitor.stored_chunks().await?.is_empty());
    visitor.close().await
}

in_each_engine!(a_forced_reload_is_plain_http);
async fn a_forced_reload_is_plain_http(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    visitor.reload_past_worker().await?;

    let ready = visitor.ready().await?;
    assert_eq!(ready.mode, "http");
    let fetched = visitor.fetched(IMAGE).await?;
    assert_eq!((fetched.status, fetched.sha256), (200, site.sha256(IMAGE)?));
    assert!(visitor.stored_chunks().await?.is_empty());
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_download_is_the_whole_file);
async fn a_download_is_the_whole_file(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    // Half of it is in the store.
    let half = json!({"headers": {"Range": "bytes=0-999999"}});
    let part: dcdn_tests::visitor::Fetched =
        visitor.eval("fetched(args[0], args[1])", &[json!(IMAGE), half]).await?;
    assert_eq!((part.status, part.length), (206, 1_000_000));
    let folder = tempfile::tempdir()?;
    visitor.download_into(folder.path()).await?;

    let link = "insert('a', { href: args[0], download: 'saved.jpg' }).click()";
    let _: () = visitor.run(link, &[json!(IMAGE)]).await?;

    let saved = dcdn_tests::until(|| {
        // Once it is complete, the browser gives the file its name; with Firefox, an empty one
        // has had it until then.
        std::fs::read(folder.path().join("saved.jpg")).ok().filter(|it| !it.is_empty())
    })
    .await?;
    assert!(saved == std::fs::read(site.root().join(IMAGE.trim_start_matches('/')))?);
    visitor.close().await
}
