//! The end of the program, asked for or not, and what is there after it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coord_server::manifest::store::Store;
use dcdn_protocol::Manifest;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::connect_async;

use crate::program::{Running, command};
use crate::support::{PATIENCE, SiteDirectory, noise};

/// What a server that is asked to stop may take.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

const FILES: usize = 200;

fn site_with_files() -> SiteDirectory {
    let site = SiteDirectory::new();
    let bytes = noise(1 << 20);
    for number in 0..FILES {
        site.write(&format!("{number}.mp4"), &bytes[number..]);
    }
    site
}

/// Has manifests of all files asked for, several at a time. Sends the number of each that
/// has come.
fn load(url: &str) -> (JoinSet<()>, mpsc::UnboundedReceiver<usize>) {
    let (came, coming) = mpsc::unbounded_channel();
    let client = Arc::new(reqwest::Client::new());
    let mut asking = JoinSet::new();
    for worker in 0..8 {
        let (client, came, url) = (Arc::clone(&client), came.clone(), url.to_owned());
        asking.spawn(async move {
            for number in (worker..FILES).step_by(8) {
                let url = format!("{url}dcdn/manifest?url=/{number}.mp4");
                let Ok(answer) = client.get(url).send().await else { return };
                let Ok(bytes) = answer.bytes().await else { return };
                if Manifest::decode(&bytes).is_ok() {
                    let _ = came.send(number);
                }
            }
        });
    }
    (asking, coming)
}

/// How many files a server that is started again has to hash for these manifests.
async fn hashed_again(site: &SiteDirectory, numbers: &[usize]) -> u64 {
    let again = Running::start(&mut command(site));
    for number in numbers {
        let url = format!("{}dcdn/manifest?url=/{number}.mp4", again.url);
        assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
    }
    again.metric("dcdn_manifests_hashed_total").await
}

async fn unplug(signal: &str) -> (SiteDirectory, Vec<usize>, Duration) {
    let site = site_with_files();
    site.write("film.mp4", &noise(64 << 20));
    let mut running = Running::start(&mut command(&site));
    let address = running.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    // Somebody who asks for a film and does not take it, somebody in the middle of a request,
    // and a page.
    let mut slow = TcpStream::connect(&address).unwrap();
    slow.write_all(b"GET /film.mp4 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    slow.read_exact(&mut [0; 100]).unwrap();
    let mut half = TcpStream::connect(&address).unwrap();
    half.write_all(b"GET /film.mp4 HT").unwrap();
    let _page = connect_async(format!("ws://{address}/dcdn/ws")).await.unwrap();
    let (asking, mut coming) = load(&running.url);
    let mut came = Vec::new();
    while came.len() < FILES / 4 {
        let next = tokio::time::timeout(PATIENCE, coming.recv()).await;
        came.push(next.expect("manifests come").expect("more of them"));
    }

    let asked = Instant::now();
    running.signal(signal);
    let ended = tokio::task::spawn_blocking(move || (running.ended(), running)).await.unwrap();
    let took = asked.elapsed();

    assert_eq!(ended.0, signal == "TERM", "{signal}");
    drop(asking.join_all().await);
    while let Some(number) = coming.recv().await {
        came.push(number);
    }
    (site, came, took)
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_under_load_it_does_so_in_time_and_loses_no_manifest() {
    let (site, came, took) = unplug("TERM").await;

    assert!(took < STOPS_WITHIN, "{took:?}");
    println!("SIGTERM under load: {took:?} to the end");
    let again = hashed_again(&site, &came).await;
    println!("SIGTERM: of {} manifests sent {again} hashed again", came.len());
    assert_eq!(again, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_it_leaves_a_store_that_opens_and_has_every_manifest_that_was_sent() {
    let (site, came, _) = unplug("KILL").await;

    let again = hashed_again(&site, &came).await;
    println!("SIGKILL: of {} manifests sent {again} hashed again", came.len());
    assert_eq!(again, 0);
}

#[tokio::test]
async fn manifests_made_ahead_are_those_of_the_server_and_of_copies() {
    let site = SiteDirectory::new();
    site.write("a.mp4", &noise(300_000));
    site.write("sub/b c.mp4", &noise(400_000));
    site.write("small.txt", b"small");
    site.write(".hidden/c.mp4", &noise(300_000));
    let store = site.outside().join("build/manifests.redb");
    let make = || {
        let output = Command::new(env!("CARGO_BIN_EXE_coord-server"))
            .arg("manifest")
            .arg(site.root())
            .arg("--manifest-store")
            .arg(&store)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = make();
    assert!(first.starts_with("2 files hashed, 0 unchanged, 1 below 65536 bytes"), "{first}");
    let second = make();
    assert!(second.starts_with("0 files hashed, 2 unchanged, 1 below 65536 bytes"), "{second}");

    let copied = SiteDirectory::new();
    for name in ["a.mp4", "sub/b c.mp4"] {
        // With the original's time of modification, in seconds.
        let (from, to) = (site.root().join(name), copied.write(name, b""));
        assert!(
            Command::new("cp").arg("-p").args([&from, &to]).status().unwrap().success(),
            "{name}"
        );
    }
    let running = Running::start(command(&copied).arg("--manifest-store").arg(&store));
    for (url, length) in [("/a.mp4", 300_000), ("/sub/b%2520c.mp4", 400_000)] {
        let url = format!("{}dcdn/manifest?url={url}", running.url);
        let frame = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        assert_eq!(Manifest::decode(&frame).unwrap().layout.length(), length);
    }
    assert_eq!(running.metric("dcdn_manifests_hashed_total").await, 0);
}

#[tokio::test]
async fn a_file_that_changed_while_the_server_was_down_is_hashed_anew() {
    let site = SiteDirectory::new();
    site.write("0.mp4", &[1; 300_000]);
    site.write("1.mp4", &[1; 300_000]);
    assert_eq!(hashed_again(&site, &[0, 1]).await, 2);

    site.write("1.mp4", &[2; 300_000]);

    assert_eq!(hashed_again(&site, &[0, 1]).await, 1);
}

#[tokio::test]
async fn a_store_that_another_server_has_is_done_without() {
    let site = SiteDirectory::new();
    site.write("0.mp4", &noise(300_000));
    let path = site.outside().join("shared.redb");
    let _held = Store::open(&path).unwrap();

    let running = Running::start(command(&site).arg("--manifest-store").arg(&path));
    let url = format!("{}dcdn/manifest?url=/0.mp4", running.url);

    assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
}
