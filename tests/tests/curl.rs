//! Every kind of answer, as curl sees it.

use std::env;
use std::fs;

use anyhow::{Context, Result, ensure};
use dcdn_tests::site::{IMAGE, PAGE};
use dcdn_tests::{Server, Site};
use tokio::process::Command;

use crate::SERVER;

/// What curl says of a request with these arguments: the head of the answer in lower case,
/// and the number of bytes of the body.
async fn curl(args: &[&str], url: &str) -> Result<(String, usize)> {
    let curl = env::var_os("CURL").unwrap_or_else(|| "curl".into());
    let mut command = Command::new(curl);
    command.args(["--silent", "--show-error", "--include", "--path-as-is", "--max-time", "30"]);
    let output = command.args(args).arg(url).output().await.context("curl")?;
    ensure!(output.status.success(), "{args:?} {url}: {}", String::from_utf8_lossy(&output.stderr));
    let end = output.stdout.windows(4).position(|it| it == b"\r\n\r\n").context("no head")?;
    let head = String::from_utf8(output.stdout[..end].to_vec())?.to_lowercase();
    Ok((head, output.stdout.len() - end - 4))
}

/// What is asked, and what the answer has: its status, lines of its head, and how many bytes,
/// if that is certain.
type Case<'a> = (&'a [&'a str], &'a str, u16, &'a [&'a str], Option<usize>);

async fn expect(server: &Server, cases: &[Case<'_>]) -> Result<()> {
    for (args, path, status, lines, length) in cases {
        let (head, bytes) = curl(args, &server.url(path)).await?;
        let asked = format!("{args:?} {path}");
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{asked}: {head}");
        for line in *lines {
            assert!(head.lines().any(|it| it.starts_with(line)), "{asked}: no {line} in {head}");
        }
        if let Some(length) = length {
            assert_eq!(bytes, *length, "{asked}: {head}");
        }
    }
    Ok(())
}

/// What a server answers for the files of a site, in a directory or on another server.
async fn expect_a_site(server: &Server, site: &Site) -> Result<()> {
    let length = site.length(IMAGE)?;
    let whole = usize::try_from(length)?;
    let (first, beyond) =
        (format!("content-range: bytes 0-99/{length}"), format!("content-range: bytes */{length}"));
    let (last, suffix) = (
        format!("content-range: bytes {}-{}/{length}", length - 5, length - 1),
        format!("range: bytes={length}-"),
    );
    let (head, _) = curl(&["--head"], &server.url(IMAGE)).await?;
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).context("no etag")?;
    let (held, matching) = (format!("if-none-match: {etag}"), format!("if-range: {etag}"));
    expect(
        server,
        &[
            (&[], PAGE, 200, &["content-type: text/html"], None),
            (&[], "/", 200, &["content-type: text/html"], None),
            (&[], IMAGE, 200, &["content-type: image/jpeg", "accept-ranges: bytes"], Some(whole)),
            (&["--range", "0-99"], IMAGE, 206, &[&first], Some(100)),
            (&["--range", "-5"], IMAGE, 206, &[&last], Some(5)),
            (&["--header", &suffix], IMAGE, 416, &[&beyond], None),
            (&["--header", &held], IMAGE, 304, &["etag: "], Some(0)),
            (&["--range", "0-99", "--header", &matching], IMAGE, 206, &[&first], Some(100)),
            (&["--range", "0-99", "--header", "If-Range: \"x\""], IMAGE, 200, &[], Some(whole)),
            (&["--header", "If-Match: \"x\""], IMAGE, 412, &[], None),
            (&[], "/none.jpg", 404, &[], None),
            (&["--request", "DELETE"], IMAGE, 405, &[], None),
        ],
    )
    .await?;
    let (head, bytes) = curl(&["--head"], &server.url(IMAGE)).await?;
    assert!(head.contains(&format!("content-length: {length}")) && bytes == 0, "{head}");
    expect_own(server).await
}

/// What is the server's own, wherever the site is.
async fn expect_own(server: &Server) -> Result<()> {
    let image = "/dcdn/manifest?url=/media/image.jpg";
    let nosniff = "x-content-type-options: nosniff";
    let framed = "content-security-policy: frame-ancestors 'none'";
    let anywhere = "access-control-allow-origin: *";
    let shared = "cross-origin-resource-policy: cross-origin";
    let unstored = "cache-control: no-store";
    let preflight = [
        "--request",
        "OPTIONS",
        "--header",
        "Origin: https://a.example",
        "--header",
        "Access-Control-Request-Method: GET",
    ];
    expect(
        server,
        &[
            (
                &[],
                "/sw.js",
                200,
                &["service-worker-allowed: /", "cache-control: no-cache", nosniff],
                None,
            ),
            (
                &[],
                "/dcdn/",
                200,
                &["content-type: text/html", nosniff, "content-security-policy: "],
                None,
            ),
            (&[], "/dcdn/dcdn.js", 200, &["content-type: text/javascript", anywhere, shared], None),
            (&[], "/dcdn/dcdn.js?v=1", 200, &["cache-control: public, max-age=31536000"], None),
            (&[], "/dcdn/worker_bg.wasm", 200, &["content-type: application/wasm"], None),
            (&[], "/dcdn/none.js", 404, &["content-type: application/json", unstored], None),
            (
                &[],
                "/dcdn/config.json",
                200,
                &["content-type: application/json", anywhere, framed],
                None,
            ),
            (
                &[],
                image,
                200,
                &["content-type: application/octet-stream", "etag: ", anywhere],
                None,
            ),
            (
                &[],
                "/dcdn/manifest?url=/none.jpg",
                404,
                &["content-type: application/json", unstored],
                None,
            ),
            (
                &[],
                "/dcdn/manifest?url=/none.jpg&soft=1",
                200,
                &["content-type: application/json"],
                None,
            ),
            (&[], "/dcdn/manifest?url=//evil.example/a", 400, &[unstored], None),
            (&[], "/dcdn/manifest", 400, &[unstored], None),
            (&[], "/dcdn/manifest?url=/sw.js", 403, &[unstored], None),
            (&["--request", "POST"], image, 405, &["allow: get"], None),
            (&preflight, image, 200, &[anywhere, "access-control-allow-methods: get"], None),
            (&[], "/dcdn/ws", 426, &["upgrade: websocket"], None),
            (&[], "/dcdn/ws?probe=1", 204, &[unstored], Some(0)),
            (
                &["--header", "Origin: https://evil.example"],
                "/dcdn/ws?probe=1",
                403,
                &[unstored],
                None,
            ),
            (&[], "/healthz", 200, &[unstored, nosniff], Some(2)),
            (&[], "/readyz", 200, &[unstored, nosniff, framed], Some(5)),
            (
                &[],
                "/dcdn/status.json",
                200,
                &["content-type: application/json", unstored, nosniff],
                None,
            ),
            (
                &["--header", "X-Forwarded-For: 203.0.113.7"],
                "/dcdn/status.json",
                403,
                &[unstored],
                None,
            ),
            (&[], "/dcdn/dashboard.js", 200, &["content-type: text/javascript"], None),
            (&[], "/dcdn/dashboard.css", 200, &["content-type: text/css"], None),
            (&[], "/metrics", 200, &["content-type: application/openmetrics-text", unstored], None),
        ],
    )
    .await?;
    let (head, _) = curl(&[], &server.url(image)).await?;
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).context("no etag")?;
    let held = format!("If-None-Match: {etag}");
    expect(server, &[(&["--header", &held], image, 304, &["etag: "], Some(0))]).await
}

#[tokio::test]
async fn every_answer_of_a_directory_is_what_curl_expects() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;

    expect_a_site(&server, &site).await?;

    fs::create_dir(site.root().join("folder"))?;
    fs::write(site.root().join(".env"), "secret")?;
    expect(
        &server,
        &[
            (&[], "/folder", 307, &["location: /folder/"], Some(0)),
            (&[], "/folder/", 404, &[], None),
            (&[], "/.env", 404, &[], None),
            (&[], "/../etc/passwd", 404, &[], None),
            (&[], "/%2fetc/passwd", 400, &[], None),
            (&[], "/dcdn/manifest?url=/.env", 403, &[], None),
            (&["--request", "POST", "--data", "a"], PAGE, 405, &["allow: get, head"], None),
        ],
    )
    .await
}

#[tokio::test]
async fn every_answer_before_another_server_is_what_curl_expects() -> Result<()> {
    let site = Site::new()?;
    let origin = Server::start(site.root(), SERVER).await?;
    let server = Server::before(&format!("http://{}", origin.address()), SERVER).await?;

    expect_a_site(&server, &site).await?;

    drop(origin);
    let image = "/dcdn/manifest?url=/media/image.jpg";
    expect(
        &server,
        &[(&[], PAGE, 502, &["cache-control: no-store"], None), (&[], image, 502, &[], None)],
    )
    .await
}
