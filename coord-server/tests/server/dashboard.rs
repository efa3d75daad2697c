//! `/dcdn/`, and what it asks for.

use coord_server::Assets;
use dcdn_protocol::message::coord::{FromCoord, ToCoord};
use dcdn_protocol::{ChunkSet, Manifest};
use serde_json::{Value, json};

use crate::support::{Server, SiteDirectory};

#[tokio::test]
async fn the_page_loads_nothing_but_its_own_script() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.assets = Assets::default()).await;

    let page = server.get("/dcdn/").await;

    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'; script-src 'self'"), "{policy}");
    assert!(page.text().contains("/dcdn/dashboard.js"));
    assert!(!page.text().contains("{{"));
    let script = server.get("/dcdn/dashboard.js").await;
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert!(script.text().contains("/dcdn/status.json"));
}

#[tokio::test]
async fn what_is_shared_is_named_by_its_url_with_those_who_share_it() {
    let site = SiteDirectory::new();
    site.write("a.jpg", &[7; 200_000]);
    let server = Server::start(&site).await;
    let manifest = server.get("/dcdn/manifest?url=/a.jpg").await;
    let content = Manifest::decode(&manifest.body).unwrap().content_id();
    let mut pages = Vec::new();
    for n in 0..2 {
        let mut page = server.page(n).await;
        page.say(&ToCoord::Join { content, want: 5, have: ChunkSet::new() }).await;
        assert!(matches!(page.hear().await, FromCoord::Peers { .. }));
        pages.push(page);
    }

    let answer = server.get("/dcdn/status.json").await;

    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let status = answer.json();
    assert_eq!(status["peers"], 2, "{status}");
    assert_eq!(status["redis"], Value::Null);
    let line = json!({ "content": content.to_string(), "url": "/a.jpg", "browsers": 2 });
    assert_eq!(status["largest"], json!([line]));
}
