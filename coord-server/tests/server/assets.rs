//! `/sw.js` and `/dcdn/*`.

use std::io::Read;

use coord_server::Assets;
use flate2::read::GzDecoder;

use crate::support::{Server, SiteDirectory};

/// Long enough that it is shorter after gzip.
const LONG: &str = "\0asm, and again and again and again and again and again and again and again";

fn some() -> Assets {
    let files = [("sw.js", "// worker"), ("dcdn.js", "// page"), ("worker_bg.wasm", "\0asm")];
    files.map(|(name, text)| (name.to_owned(), text.into())).into_iter().collect()
}

#[tokio::test]
async fn the_worker_may_have_the_whole_site_and_is_always_checked_anew() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.assets = some()).await;

    for path in ["/sw.js", "/sw.js?v=1"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "// worker"));
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(answer.header("service-worker-allowed"), Some("/"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn an_asset_is_kept_only_if_its_url_names_its_version() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.assets = some()).await;
    let forever = "public, max-age=31536000, immutable";
    let cases = [
        ("/dcdn/worker_bg.wasm", "no-cache"),
        ("/dcdn/worker_bg.wasm?v=abc", forever),
        ("/dcdn/worker_bg.wasm?a=1&v=abc", forever),
        ("/dcdn/worker_bg.wasm?v=", "no-cache"),
        ("/dcdn/worker_bg.wasm?vv=1", "no-cache"),
    ];
    for (path, caching) in cases {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/wasm"), "{path}");
        assert_eq!(answer.header("cache-control"), Some(caching), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
    }
}

#[tokio::test]
async fn an_asset_that_the_client_has_is_not_sent_again() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.assets = some()).await;
    for path in ["/sw.js", "/dcdn/dcdn.js"] {
        let etag = server.get(path).await.header("etag").unwrap().to_owned();
        let again = server.get_with(path, &[("if-none-match", &etag)]).await;
        assert_eq!((again.status, again.header("etag")), (304, Some(etag.as_str())), "{path}");
        assert!(again.body.is_empty(), "{path}");
    }
}

/// A server whose assets are all long.
async fn start_with_long_ones(site: &SiteDirectory) -> Server {
    let names = ["sw.js", "dcdn.js", "worker_bg.wasm"];
    let assets: Assets = names.map(|name| (name.to_owned(), LONG.into())).into_iter().collect();
    Server::start_with(site, |config| config.assets = assets).await
}

#[tokio::test]
async fn an_asset_is_compressed_for_those_who_take_that() {
    let site = SiteDirectory::new();
    let server = start_with_long_ones(&site).await;
    for path in ["/sw.js", "/dcdn/dcdn.js", "/dcdn/worker_bg.wasm?v=1"] {
        let plain = server.get(path).await;
        let packed = server.get_with(path, &[("accept-encoding", "gzip, deflate, br")]).await;
        let refused = server.get_with(path, &[("accept-encoding", "br, gzip;q=0")]).await;

        assert_eq!(
            (packed.status, packed.header("content-encoding")),
            (200, Some("gzip")),
            "{path}"
        );
        assert!(packed.body.len() < LONG.len(), "{path}");
        assert_eq!(packed.header("content-length"), Some(packed.body.len().to_string().as_str()));
        let mut text = String::new();
        GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, LONG, "{path}");
        for answer in [&plain, &refused] {
            assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{path}");
            assert_eq!(answer.text(), LONG, "{path}");
            assert_eq!(answer.header("etag"), plain.header("etag"), "{path}");
        }
        for name in ["content-type", "cache-control", "service-worker-allowed"] {
            assert_eq!(packed.header(name), plain.header(name), "{path}: {name}");
        }
        for answer in [plain, packed, refused] {
            assert!(answer.header("vary").unwrap().contains("accept-encoding"), "{path}");
        }
    }
}

#[tokio::test]
async fn each_form_of_an_asset_has_a_name_of_its_own() {
    let site = SiteDirectory::new();
    let server = start_with_long_ones(&site).await;
    let (path, gzip) = ("/dcdn/dcdn.js", ("accept-encoding", "gzip"));
    let plain = server.get(path).await.header("etag").unwrap().to_owned();
    let packed = server.get_with(path, &[gzip]).await.header("etag").unwrap().to_owned();
    assert_ne!(plain, packed);

    for (held, status) in [(&packed, 304), (&plain, 200)] {
        let answer = server.get_with(path, &[gzip, ("if-none-match", held)]).await;
        assert_eq!((answer.status, answer.header("etag")), (status, Some(packed.as_str())));
        assert!(answer.header("vary").unwrap().contains("accept-encoding"));
    }
    let answer = server.get_with(path, &[("if-none-match", &packed)]).await;
    assert_eq!((answer.status, answer.header("etag")), (200, Some(plain.as_str())));
}

#[tokio::test]
async fn what_would_not_be_shorter_and_the_sites_own_files_are_never_compressed() {
    let site = SiteDirectory::new();
    site.write("a.jpg", LONG.as_bytes());
    site.write("a.js", LONG.as_bytes());
    let server = Server::start_with(&site, |config| config.assets = some()).await;

    for path in ["/sw.js", "/dcdn/worker_bg.wasm", "/a.jpg", "/a.js"] {
        let answer = server.get_with(path, &[("accept-encoding", "gzip")]).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{path}");
        assert!(!answer.header("vary").unwrap_or_default().contains("accept-encoding"), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_missing() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.assets = some()).await;

    for path in ["/dcdn/other.js", "/dcdn/sw.js", "/dcdn/a/b"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn a_server_without_assets_says_how_to_get_them() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.assets = Assets::default()).await;

    for path in ["/sw.js", "/dcdn/dcdn.js", "/dcdn/worker.js?v=1"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (503, "assets_missing"));
        assert!(answer.text().contains("cargo xtask build"), "{path}");
    }
    assert!(server.get("/dcdn/").await.text().contains("cargo xtask build"));
}

#[tokio::test]
async fn the_configuration_is_readable_from_anywhere_and_not_kept() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.site.slack_ms = 77).await;

    let answer = server.get("/dcdn/config.json").await;

    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let config: dcdn_protocol::SiteConfig = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(config.slack_ms, 77);
    assert!(config.offline_pages, "a directory's pages are the same for everybody");
}
