//! The static site over HTTP.

use std::fs::{self, File};
use std::time::Duration;

use dcdn_protocol::Manifest;
use reqwest::Method;

use crate::support::{PATIENCE, Server, SiteDirectory, noise, set_age};

#[tokio::test]
async fn a_file_comes_whole_with_its_type_and_validators() {
    let site = SiteDirectory::new();
    let bytes = noise(300_000);
    site.write("media/a b.jpg", &bytes);
    let server = Server::start(&site).await;

    let answer = server.get("/media/a%20b.jpg?x=1").await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, bytes);
    assert_eq!(answer.header("content-type"), Some("image/jpeg"));
    assert_eq!(answer.header("content-length"), Some("300000"));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.header("etag").unwrap().starts_with('"'), "a strong validator");
    assert!(answer.header("last-modified").is_some());
}

#[tokio::test]
async fn ranges_are_answered_as_rfc_9110_says() {
    let site = SiteDirectory::new();
    let bytes = noise(1000);
    site.write("a.mp4", &bytes);
    let server = Server::start(&site).await;
    let parts = [
        ("bytes=0-1", 0..2),
        ("bytes=0-", 0..1000),
        ("bytes=500-", 500..1000),
        ("bytes=999-999", 999..1000),
        ("bytes=990-5000", 990..1000),
        ("bytes=-1", 999..1000),
        ("bytes=-5000", 0..1000),
        ("Bytes=10-19", 10..20),
        ("bytes=0-18446744073709551615", 0..1000),
    ];
    for (range, part) in parts {
        let answer = server.get_with("/a.mp4", &[("range", range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.body, bytes[part.clone()], "{range}");
        let content_range = format!("bytes {}-{}/1000", part.start, part.end - 1);
        assert_eq!(answer.header("content-range"), Some(content_range.as_str()), "{range}");
        assert_eq!(answer.header("content-type"), Some("video/mp4"), "{range}");
        assert!(answer.header("etag").is_some(), "{range}");
    }
    for range in ["bytes=1000-", "bytes=1000-2000", "bytes=-0"] {
        let answer = server.get_with("/a.mp4", &[("range", range)]).await;
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.header("content-range"), Some("bytes */1000"), "{range}");
        assert!(answer.body.is_empty(), "{range}");
    }
    for range in ["bytes=5-2", "bytes=a-b", "bytes=", "lines=1-2", "0-1", "bytes=0-1,5-6"] {
        let answer = server.get_with("/a.mp4", &[("range", range)]).await;
        assert_eq!(answer.status, 200, "{range}");
        assert_eq!(answer.body, bytes, "{range}");
        assert_eq!(answer.header("content-range"), None, "{range}");
    }
}

#[tokio::test]
async fn an_empty_file_has_no_range() {
    let site = SiteDirectory::new();
    site.write("empty.txt", b"");
    let server = Server::start(&site).await;

    let whole = server.get("/empty.txt").await;
    let range = server.get_with("/empty.txt", &[("range", "bytes=0-")]).await;

    assert_eq!((whole.status, whole.header("content-length")), (200, Some("0")));
    assert_eq!((range.status, range.header("content-range")), (416, Some("bytes */0")));
}

#[tokio::test]
async fn head_says_what_get_would_and_knows_no_ranges() {
    let site = SiteDirectory::new();
    site.write("a.mp4", &noise(1000));
    let server = Server::start(&site).await;

    let get = server.get("/a.mp4").await;
    let head = server.request(Method::HEAD, "/a.mp4", &[("range", "bytes=0-1")]).await;

    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
    for name in ["content-length", "content-type", "etag", "last-modified", "accept-ranges"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let site = SiteDirectory::new();
    site.write("a.jpg", &noise(1000));
    let server = Server::start(&site).await;
    let first = server.get("/a.jpg").await;
    let (etag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let (weak, list) = (format!("W/{etag}"), format!("\"other\", {etag}"));
    let cases = [
        ("if-none-match", etag, 304),
        ("if-none-match", weak.as_str(), 304),
        ("if-none-match", list.as_str(), 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"other\"", 200),
        ("if-modified-since", modified, 304),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ("if-match", etag, 200),
        ("if-match", "\"other\"", 412),
        ("if-unmodified-since", modified, 200),
        ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 412),
    ];
    for (name, value, status) in cases {
        let answer = server.get_with("/a.jpg", &[(name, value)]).await;
        assert_eq!(answer.status, status, "{name}: {value}");
        assert_eq!(answer.header("etag"), Some(etag), "{name}: {value}");
        assert_eq!(answer.body.is_empty(), status != 200, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_range_is_only_sent_to_who_has_the_rest_of_this_version() {
    let site = SiteDirectory::new();
    site.write("a.jpg", &noise(1000));
    let server = Server::start(&site).await;
    let first = server.get("/a.jpg").await;
    let (etag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let weak = format!("W/{etag}");
    let cases = [
        (etag, 206),
        (modified, 206),
        (weak.as_str(), 200),
        ("\"other\"", 200),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ("nonsense", 200),
    ];
    for (held, status) in cases {
        let headers = [("range", "bytes=0-9"), ("if-range", held)];
        let answer = server.get_with("/a.jpg", &headers).await;
        assert_eq!(answer.status, status, "{held}");
        assert_eq!(answer.body.len(), if status == 206 { 10 } else { 1000 }, "{held}");
    }
}

#[tokio::test]
async fn a_changed_file_has_another_etag() {
    let site = SiteDirectory::new();
    let path = site.write("a.jpg", &[1; 1000]);
    let server = Server::start(&site).await;
    let before = server.get("/a.jpg").await;
    let etag = before.header("etag").unwrap();

    fs::write(&path, [2; 1000]).unwrap();
    let headers = [("range", "bytes=0-9"), ("if-range", etag)];
    let rewritten = server.get_with("/a.jpg", &headers).await;
    fs::write(&path, [2; 1001]).unwrap();
    let longer = server.get_with("/a.jpg", &[("if-none-match", etag)]).await;

    assert_eq!((rewritten.status, rewritten.body), (200, vec![2; 1000]));
    assert_eq!((longer.status, longer.body), (200, vec![2; 1001]));
}

#[tokio::test]
async fn a_directory_is_its_index_below_a_slash() {
    let site = SiteDirectory::new();
    site.write("index.html", b"home");
    site.write("gallery/index.html", b"gallery");
    site.write("bare/a.txt", b"a");
    let server = Server::start(&site).await;

    let home = server.get("/").await;
    assert_eq!((home.status, home.text().as_str()), (200, "home"));
    assert_eq!(home.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(server.get("/gallery/").await.text(), "gallery");
    let redirect = server.get("/gallery?a=b").await;
    assert_eq!((redirect.status, redirect.header("location")), (307, Some("/gallery/?a=b")));
    assert_eq!(server.get("/bare/").await.status, 404);
    assert_eq!(server.get("/index.html/").await.status, 404);
}

#[tokio::test]
async fn a_redirect_never_leads_to_another_host() {
    let site = SiteDirectory::new();
    site.write("evil.example/index.html", b"");
    let server = Server::start(&site).await;

    let answer = server.get_raw(b"//evil.example").await;

    assert_eq!((answer.status, answer.header("location")), (307, Some("/evil.example/")));
}

#[tokio::test]
async fn no_path_leads_out_of_the_root() {
    let site = SiteDirectory::new();
    site.write("media/a.txt", b"A");
    let server = Server::start(&site).await;
    let secret = site.outside().join("secret.txt").display().to_string();
    let targets = [
        "/../secret.txt".to_owned(),
        "/media/../../secret.txt".to_owned(),
        "/media/../a.txt".to_owned(),
        "/%2e%2e/secret.txt".to_owned(),
        "/%2E%2e%2fsecret.txt".to_owned(),
        "/..%2fsecret.txt".to_owned(),
        "/..%5csecret.txt".to_owned(),
        "/..\\secret.txt".to_owned(),
        "/%252e%252e/secret.txt".to_owned(),
        "/media/..;/secret.txt".to_owned(),
        "/media/%2e%2e/%2e%2e/secret.txt".to_owned(),
        "/%c0%ae%c0%ae/secret.txt".to_owned(),
        "/media/a.txt%00.jpg".to_owned(),
        format!("/{secret}"),
        format!("//{secret}"),
        format!("/{}", secret.replace('/', "%2f")),
        "http://a/../secret.txt".to_owned(),
    ];
    for target in targets {
        let answer = server.get_raw(target.as_bytes()).await;
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
        assert!(!answer.text().contains("SECRET"), "{target}");
    }
    assert_eq!(server.get_raw(b"/media//a.txt").await.text(), "A");
}

#[tokio::test]
async fn hidden_files_are_as_good_as_not_there() {
    let site = SiteDirectory::new();
    site.write(".env", b"SECRET");
    site.write(".git/config", b"SECRET");
    site.write("a/.b/c.txt", b"SECRET");
    let server = Server::start(&site).await;

    for path in ["/.env", "/%2eenv", "/.git/config", "/a/.b/c.txt"] {
        assert_eq!(server.get_raw(path.as_bytes()).await.status, 404, "{path}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_followed_inside_the_site_and_nowhere_else() {
    use std::os::unix::fs::symlink;
    let site = SiteDirectory::new();
    site.write("real/a.txt", b"A");
    site.write(".hidden/b.txt", b"SECRET");
    let root = site.root();
    symlink("real/a.txt", root.join("inside.txt")).unwrap();
    symlink("real", root.join("folder")).unwrap();
    symlink("../secret.txt", root.join("outside.txt")).unwrap();
    symlink(site.outside(), root.join("parent")).unwrap();
    symlink("/", root.join("everything")).unwrap();
    symlink(".hidden/b.txt", root.join("uncovered.txt")).unwrap();
    symlink("loop.txt", root.join("loop.txt")).unwrap();
    symlink("nowhere.txt", root.join("dangling.txt")).unwrap();
    let server = Server::start(&site).await;

    assert_eq!(server.get("/inside.txt").await.text(), "A");
    assert_eq!(server.get("/folder/a.txt").await.text(), "A");
    let dead_ends = [
        "/outside.txt",
        "/parent/secret.txt",
        "/everything/etc/hostname",
        "/uncovered.txt",
        "/dangling.txt",
    ];
    for path in dead_ends {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    assert_eq!(server.get("/loop.txt").await.status, 500, "the site's owner should look at it");
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_is_not_served_and_holds_nothing_up() {
    let site = SiteDirectory::new();
    let pipe = site.root().join("pipe.jpg");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let server = Server::start(&site).await;

    assert_eq!(server.get("/pipe.jpg").await.status, 404);
    assert_eq!(server.get("/dcdn/manifest?url=/pipe.jpg").await.error_code(), "not_public");
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_breaks_the_connection() {
    let site = SiteDirectory::new();
    let path = site.write("a.mp4", b"");
    File::options().write(true).open(&path).unwrap().set_len(256 << 20).unwrap();
    let server = Server::start(&site).await;
    let mut response = reqwest::get(server.url("/a.mp4")).await.unwrap();
    assert_eq!(response.content_length(), Some(256 << 20));
    response.chunk().await.unwrap().unwrap();

    File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();

    let end = async {
        while response.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    let end = tokio::time::timeout(PATIENCE, end).await.unwrap();
    assert!(end.is_err(), "a short body is never taken for the whole");
}

#[tokio::test]
async fn the_servers_own_urls_are_never_the_sites() {
    let site = SiteDirectory::new();
    for name in ["sw.js", "dcdn/worker.js", "dcdn/config.json", "healthz", "readyz", "metrics"] {
        site.write(name, b"SHADOW");
    }
    let server = Server::start(&site).await;

    let targets = [
        "/sw.js",
        "//sw.js",
        "/%73w.js",
        "/dcdn/worker.js",
        "//dcdn/worker.js",
        "/%64cdn/worker.js",
        "/dcdn/config.json",
        "/healthz",
        "/readyz",
        "/metrics",
        "/dcdn/",
    ];
    for target in targets {
        let answer = server.get_raw(target.as_bytes()).await;
        assert!(!answer.text().contains("SHADOW"), "{target}");
    }
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let site = SiteDirectory::new();
    site.write("a.txt", b"A");
    let server = Server::start(&site).await;

    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = server.request(method.clone(), "/a.txt", &[]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[tokio::test]
async fn a_file_that_is_written_to_while_it_is_sent_breaks_the_connection() {
    let site = SiteDirectory::new();
    // More than sockets hold on their way.
    let length = 64 << 20;
    let path = site.write("film.mp4", &vec![1; length]);
    let server = Server::start(&site).await;
    let request = reqwest::Client::new().get(server.url("/film.mp4")).timeout(PATIENCE);
    let mut response = request.send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(first[0], 1);

    fs::write(&path, vec![2; length]).unwrap();

    let mut received = first.len();
    let end = loop {
        match response.chunk().await {
            Ok(Some(piece)) => {
                assert!(piece.iter().all(|byte| *byte == 1), "a mixture after {received} bytes");
                received += piece.len();
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(end.is_err(), "a clean end after {received} bytes");
}

#[tokio::test]
async fn what_the_site_says_of_caching_is_said_of_its_files_and_in_their_manifests() {
    let site = SiteDirectory::new();
    site.write("a.jpg", &noise(300_000));
    let control = "public, max-age=3600";
    let server = Server::start_with(&site, |config| {
        config.cache_control = Some(control.parse().unwrap());
    })
    .await;

    let file = server.get("/a.jpg").await;
    let manifest = Manifest::decode(&server.get("/dcdn/manifest?url=/a.jpg").await.body).unwrap();

    assert_eq!(file.header("cache-control"), Some(control));
    assert_eq!(manifest.cache_control.as_deref(), Some(control));
    let plain = Server::start(&site).await;
    assert_eq!(plain.get("/a.jpg").await.header("cache-control"), None);
}

#[tokio::test]
async fn what_the_site_says_is_for_one_visitor_has_no_manifest() {
    let site = SiteDirectory::new();
    site.write("a.jpg", &noise(300_000));
    let server = Server::start_with(&site, |config| {
        config.cache_control = Some("private".parse().unwrap());
    })
    .await;

    let answer = server.get("/dcdn/manifest?url=/a.jpg").await;

    assert_eq!((answer.status, answer.error_code().as_str()), (403, "personal"));
}

#[tokio::test]
async fn a_site_may_be_replaced_as_a_whole_while_it_is_served() {
    let site = SiteDirectory::new();
    site.write("a.txt", b"old");
    let server = Server::start(&site).await;
    assert_eq!(server.get("/a.txt").await.text(), "old");

    fs::rename(site.root(), site.outside().join("old")).unwrap();
    assert_eq!(server.get("/a.txt").await.status, 404);
    site.write("a.txt", b"new");

    assert_eq!(server.get("/a.txt").await.text(), "new");
}

#[tokio::test]
async fn dates_that_http_cannot_tell_are_not_told() {
    let site = SiteDirectory::new();
    let path = site.write("a.txt", b"A");
    let before_1970 = Duration::from_secs(100 * 365 * 24 * 3600);
    set_age(&path, before_1970);
    let server = Server::start(&site).await;

    let answer = server.get("/a.txt").await;

    assert_eq!((answer.status, answer.header("last-modified")), (200, None));
    assert!(answer.header("etag").is_some());
}

#[tokio::test]
async fn the_bytes_and_requests_of_the_site_are_counted() {
    let site = SiteDirectory::new();
    site.write("a.jpg", &noise(300_000));
    let server = Server::start(&site).await;

    server.get("/a.jpg").await;
    server.get_with("/a.jpg", &[("range", "bytes=0-99")]).await;
    server.request(Method::HEAD, "/a.jpg", &[]).await;
    server.get("/dcdn/manifest?url=/a.jpg").await;

    assert_eq!(server.metric("dcdn_origin_bytes_total").await, 300_100);
    assert_eq!(server.metric("dcdn_origin_requests_total").await, 3);
}

#[tokio::test]
async fn health_is_plain() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;

    let answer = server.get("/healthz").await;

    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let answer = server.get("/readyz").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ready"));
}
