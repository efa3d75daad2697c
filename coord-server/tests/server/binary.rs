//! The program: its flags, its one line of output, its errors and its end.

use std::net::TcpListener;
use std::process::{Command, Output};

use dcdn_protocol::{PolicyName, SiteConfig};

use crate::program::{Running, command, program};
use crate::support::SiteDirectory;

fn failure(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(!status.success());
    assert!(stdout.is_empty(), "nothing that looks like a URL");
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn it_prints_the_url_at_which_it_serves() {
    let site = SiteDirectory::new();
    site.write("index.html", b"home");

    let running = Running::start(&mut command(&site));

    assert!(running.url.starts_with("http://127.0.0.1:") && running.url.ends_with('/'));
    assert_eq!(reqwest::get(&running.url).await.unwrap().text().await.unwrap(), "home");
}

#[tokio::test]
async fn the_flags_are_the_sites_configuration() {
    let site = SiteDirectory::new();
    let config = async |flags: &[&str]| -> SiteConfig {
        let running = Running::start(command(&site).args(flags));
        let url = format!("{}dcdn/config.json", running.url);
        let body = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap()
    };

    let default = config(&[]).await;
    let set = config(&[
        "--policy=basic",
        "--slack-ms=5",
        "--slack-percent=1000",
        "--mixed-http-percent=0",
        "--min-bytes=1000",
        "--stun=stun:a.example:1",
        "--stun=stun:b.example:2",
        "--max-peers=3",
        "--upload-limit=50000",
        "--store-bytes=20000000",
        "--persist-store",
        "--upload-bytes=1000000",
        "--upload-on-cellular",
        "--min-battery-percent=0",
        "--background-seconds=10",
        "--min-viewers=4",
        "--require-consent",
        "--disabled",
    ])
    .await;
    let without_stun = config(&["--stun=none"]).await;

    let expected = SiteConfig {
        stun: vec!["stun:stun.cloudflare.com:3478".to_owned()],
        offline_pages: true,
        ..SiteConfig::default()
    };
    assert_eq!(default, expected);
    let expected = SiteConfig {
        enabled: false,
        policy: PolicyName::Basic,
        slack_ms: 5,
        slack_percent: 1000,
        mixed_http_percent: Some(0),
        min_bytes: 1000,
        stun: vec!["stun:a.example:1".to_owned(), "stun:b.example:2".to_owned()],
        max_peers: 3,
        upload_bytes_per_second: Some(50_000),
        store_bytes: Some(20_000_000),
        persist_store: true,
        upload_bytes: Some(1_000_000),
        upload_on_cellular: true,
        min_battery_percent: 0,
        background_seconds: 10,
        min_viewers: 4,
        require_consent: true,
        ..expected
    };
    assert_eq!(set, expected);
    assert_eq!(without_stun.stun, Vec::<String>::new());
}

#[test]
fn an_error_says_what_to_do() {
    let site = SiteDirectory::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let missing = failure(program().arg("--root").arg("/no/such/site"));
    assert!(missing.contains("/no/such/site") && missing.contains("--root DIR"), "{missing}");
    let nothing = failure(&mut program());
    assert!(nothing.contains("--root <DIR>"), "{nothing}");
    let both = failure(command(&site).args(["--origin", "http://127.0.0.1:1"]));
    assert!(both.contains("--root") && both.contains("--origin"), "{both}");
    let origin = |url| failure(program().args(["--origin", url]));
    let no_url = origin("shop.example/a");
    assert!(no_url.contains("http://HOST:PORT"), "{no_url}");
    let private = origin("http://127.1:1");
    assert!(private.contains("--allow-private-origin"), "{private}");
    let port = failure(command(&site).args(["--listen", &address]));
    assert!(port.contains(&address) && port.contains("--listen 127.0.0.1:0"), "{port}");
    let listen = failure(command(&site).args(["--listen", "8080"]));
    assert!(listen.contains("--listen HOST:PORT"), "{listen}");
    let policy = failure(command(&site).args(["--policy", "fast"]));
    assert!(PolicyName::ALL.iter().all(|name| policy.contains(name.as_str())), "{policy}");
    for (flag, most) in [("--slack-percent", 1000), ("--mixed-http-percent", 100)] {
        let beyond = (most + 1).to_string();
        let percent = failure(command(&site).args([flag, &beyond]));
        assert!(percent.contains(&format!("0..={most}")), "{percent}");
    }
    let stun = failure(command(&site).args(["--stun", "example.com"]));
    assert!(stun.contains("stun:HOST:PORT"), "{stun}");
    let origin = failure(command(&site).args(["--allow-origin", "example.com"]));
    assert!(origin.contains("https://example.com"), "{origin}");
}

#[cfg(unix)]
#[test]
fn it_ends_well_when_asked_to() {
    let site = SiteDirectory::new();
    for signal in ["INT", "TERM"] {
        let mut running = Running::start(&mut command(&site));

        running.signal(signal);

        assert!(running.ended(), "{signal}");
    }
}
