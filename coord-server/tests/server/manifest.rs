//! `/dcdn/manifest` over HTTP.

use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dcdn_protocol::{ChunkHash, Manifest};
use reqwest::Method;

use crate::support::{Server, SiteDirectory, noise, set_age};

fn query(url: &str) -> String {
    let mut encoded = String::from("/dcdn/manifest?url=");
    for byte in url.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' => encoded.push(byte.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

async fn manifest(server: &Server, url: &str) -> Manifest {
    let answer = server.get(&query(url)).await;
    assert_eq!(answer.status, 200, "{url}: {}", String::from_utf8_lossy(&answer.body));
    Manifest::decode(&answer.body).unwrap()
}

#[tokio::test]
async fn a_manifest_says_what_the_site_sends_for_that_url() {
    let site = SiteDirectory::new();
    let bytes = noise(3_200_000);
    site.write("media/Käse & Brot+1.jpg", &bytes);
    site.write("gallery/index.html", &bytes);
    site.write("clip.mp4", &bytes[..262_144 * 3]);
    site.write("exact.ts", &bytes[..65_536]);
    let server = Server::start(&site).await;

    let urls = [
        ("/media/K%C3%A4se%20%26%20Brot+1.jpg", 13),
        ("/media/K%c3%a4se%20&%20Brot%2B1.jpg?v=1&w=a%20b", 13),
        ("/gallery/", 13),
        ("/clip.mp4", 3),
        ("/exact.ts", 1),
    ];
    for (url, chunks) in urls {
        let manifest = manifest(&server, url).await;
        let sent = server.get(url).await;
        assert_eq!(sent.status, 200, "{url}");
        assert_eq!(manifest.url, url);
        assert_eq!(Some(manifest.mime.as_str()), sent.header("content-type"), "{url}");
        assert_eq!(manifest.etag.as_deref(), sent.header("etag"), "{url}");
        assert_eq!(manifest.last_modified.as_deref(), sent.header("last-modified"), "{url}");
        assert_eq!(manifest.layout.length(), sent.body.len() as u64, "{url}");
        assert_eq!(manifest.layout.chunk_size(), 262_144, "{url}");
        let hashes: Vec<_> = sent.body.chunks(262_144).map(ChunkHash::of).collect();
        assert_eq!(hashes.len(), chunks, "{url}");
        assert_eq!(manifest.hashes, hashes, "{url}");
    }
}

#[tokio::test]
async fn a_manifest_is_checked_anew_and_readable_from_anywhere() {
    let site = SiteDirectory::new();
    site.write("a.jpg", &noise(100_000));
    let server = Server::start(&site).await;

    let answer = server.get("/dcdn/manifest?url=/a.jpg").await;
    let etag = answer.header("etag").unwrap();
    let again = server.get_with("/dcdn/manifest?url=/a.jpg", &[("if-none-match", etag)]).await;

    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("etag"));
    let content = Manifest::decode(&answer.body).unwrap().content_id();
    assert!(etag.starts_with(&format!("\"{content}")));
    assert_eq!((again.status, again.header("etag")), (304, Some(etag)));
    assert!(again.body.is_empty());
}

#[tokio::test]
async fn a_page_of_another_site_may_ask_whether_a_manifest_has_changed() {
    let site = SiteDirectory::new();
    let server = Server::start(&site).await;
    let asked = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "if-none-match"),
    ];

    let answer = server.request(Method::OPTIONS, "/dcdn/manifest?url=/a.jpg", &asked).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("if-none-match"));
}

#[tokio::test]
async fn a_file_that_was_only_touched_has_the_same_content_in_another_manifest() {
    let site = SiteDirectory::new();
    let path = site.write("a.jpg", &noise(100_000));
    let server = Server::start(&site).await;
    let before = server.get("/dcdn/manifest?url=/a.jpg").await;
    let etag = before.header("etag").unwrap();

    set_age(&path, Duration::from_secs(60));
    let after = server.get_with("/dcdn/manifest?url=/a.jpg", &[("if-none-match", etag)]).await;

    assert_eq!(after.status, 200, "its validators are others");
    let [before, after] = [before, after].map(|answer| Manifest::decode(&answer.body).unwrap());
    assert_eq!(before.content_id(), after.content_id());
    assert_ne!(before.etag, after.etag);
}

#[tokio::test]
async fn a_changed_file_is_another_content_at_once() {
    let site = SiteDirectory::new();
    let path = site.write("a.jpg", &[1; 100_000]);
    let server = Server::start(&site).await;
    let first = manifest(&server, "/a.jpg").await;

    fs::write(&path, [2; 100_000]).unwrap();
    let rewritten = manifest(&server, "/a.jpg").await;
    let replacement = site.write("b.jpg", &[3; 100_000]);
    fs::rename(&replacement, &path).unwrap();
    let replaced = manifest(&server, "/a.jpg").await;

    assert_eq!(first.hashes, [ChunkHash::of(&[1; 100_000])]);
    assert_eq!(rewritten.hashes, [ChunkHash::of(&[2; 100_000])]);
    assert_eq!(replaced.hashes, [ChunkHash::of(&[3; 100_000])]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_replaced_by_one_of_the_same_length_and_time_is_another_content() {
    let site = SiteDirectory::new();
    let path = site.write("a.jpg", &[1; 100_000]);
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let server = Server::start(&site).await;
    manifest(&server, "/a.jpg").await;

    let replacement = site.write("b.jpg", &[2; 100_000]);
    File::options().write(true).open(&replacement).unwrap().set_modified(time).unwrap();
    fs::rename(&replacement, &path).unwrap();

    let replaced = manifest(&server, "/a.jpg").await;
    assert_eq!(replaced.hashes, [ChunkHash::of(&[2; 100_000])]);
}

#[tokio::test]
async fn a_file_is_hashed_once_however_many_ask() {
    let site = SiteDirectory::new();
    site.write("a.mp4", &noise(8 << 20));
    let server = Server::start(&site).await;
    let urls: Vec<_> = (0..40).map(|n| format!("/a.mp4?n={n}")).collect();

    let asking = urls.iter().map(|url| manifest(&server, url));
    let answers = futures::future::join_all(asking).await;

    assert!(answers.iter().all(|answer| answer.content_id() == answers[0].content_id()));
    assert_eq!(server.metric("dcdn_manifests_hashed_total").await, 1);
}

#[tokio::test]
async fn every_refusal_has_its_code_and_status_and_a_soft_answer() {
    let site = SiteDirectory::new();
    site.write(".hidden.jpg", &noise(100_000));
    site.write("small.jpg", &noise(65_535));
    site.write("sw.js", &noise(100_000));
    site.write("folder/index.html", &noise(100_000));
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret.txt", site.root().join("link.jpg")).unwrap();
    let server = Server::start(&site).await;
    let cases = [
        ("/dcdn/manifest?url=%2Fnone.jpg", 404, "not_found"),
        ("/dcdn/manifest?url=%2Fnone%2F", 404, "not_found"),
        ("/dcdn/manifest?url=/.hidden.jpg", 403, "not_public"),
        ("/dcdn/manifest?url=/folder", 403, "not_public"),
        ("/dcdn/manifest?url=/sw.js", 403, "not_public"),
        ("/dcdn/manifest?url=/dcdn/config.json", 403, "not_public"),
        ("/dcdn/manifest?url=/small.jpg", 422, "too_small"),
        ("/dcdn/manifest?url=/../secret.txt", 403, "outside_root"),
        ("/dcdn/manifest?url=/%252e%252e/secret.txt", 403, "outside_root"),
        #[cfg(unix)]
        ("/dcdn/manifest?url=/link.jpg", 403, "outside_root"),
        ("/dcdn/manifest", 400, "bad_url"),
        ("/dcdn/manifest?url=", 400, "bad_url"),
        ("/dcdn/manifest?url=a.jpg", 400, "bad_url"),
        ("/dcdn/manifest?url=//host/a.jpg", 400, "bad_url"),
        ("/dcdn/manifest?url=http://host/a.jpg", 400, "bad_url"),
        ("/dcdn/manifest?url=/a%23b", 400, "bad_url"),
        ("/dcdn/manifest?url=/a%5Cb", 400, "bad_url"),
        ("/dcdn/manifest?url=/a%2500b", 400, "bad_url"),
        ("/dcdn/manifest?url=/a%252Fb", 400, "bad_url"),
        ("/dcdn/manifest?url=%FF", 400, "bad_url"),
    ];
    for (path, status, code) in cases {
        let hard = server.get(path).await;
        assert_eq!((hard.status, hard.error_code().as_str()), (status, code), "{path}");
        let soft_path = if path.contains('?') { "&soft=1" } else { "?soft=1" };
        let soft = server.get(&format!("{path}{soft_path}")).await;
        assert_eq!(soft.status, 200, "{path}");
        for answer in [&hard, &soft] {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        }
        assert_eq!(soft.body, hard.body, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_never_holds_still_is_said_to_be_changing() {
    let site = SiteDirectory::new();
    let path = site.write("a.log", &noise(64 << 20));
    let server = Server::start(&site).await;
    let writing = Arc::new(AtomicBool::new(true));
    let writer = std::thread::spawn({
        let writing = Arc::clone(&writing);
        let mut file = File::options().append(true).open(&path).unwrap();
        move || {
            while writing.load(Ordering::Relaxed) {
                file.write_all(b"x").unwrap();
            }
        }
    });

    let answer = server.get("/dcdn/manifest?url=/a.log").await;
    writing.store(false, Ordering::Relaxed);
    writer.join().unwrap();

    assert_eq!((answer.status, answer.error_code().as_str()), (503, "changing"));
    let settled = manifest(&server, "/a.log").await;
    assert_eq!(settled.layout.length(), fs::metadata(&path).unwrap().len());
}

#[tokio::test]
async fn the_minimum_is_the_sites() {
    let site = SiteDirectory::new();
    site.write("empty.txt", b"");
    let server = Server::start_with(&site, |config| config.site.min_bytes = 0).await;

    let manifest = manifest(&server, "/empty.txt").await;

    assert_eq!((manifest.layout.length(), manifest.hashes.len()), (0, 0));
}
