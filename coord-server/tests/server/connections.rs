//! How many connections there may be, and what becomes of those that hold others up.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::time::Duration;

use coord_server::asker::{Proxies, ProxyHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[cfg(unix)]
use crate::program::{Running, command};
use crate::support::{PATIENCE, Server, SiteDirectory, noise};

/// A connection that has been answered once and stays open, or `None` if it was closed.
async fn answered(server: &Server) -> Option<TcpStream> {
    answered_at(server.address).await
}

async fn answered_at(address: SocketAddr) -> Option<TcpStream> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await?;
        stream.read_exact(&mut [0; 12]).await?;
        Ok::<_, io::Error>(stream)
    };
    timeout(PATIENCE, exchange).await.expect("an answer or an end").ok()
}

async fn until_answered(server: &Server) -> TcpStream {
    let answered = async {
        loop {
            if let Some(stream) = answered(server).await {
                return stream;
            }
        }
    };
    timeout(PATIENCE, answered).await.expect("there is room again")
}

#[tokio::test]
async fn there_are_so_many_connections_and_one_that_goes_makes_room() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.connections.most = 2).await;
    let first = answered(&server).await.unwrap();
    // A socket is a connection, too.
    let page = server.socket().await;

    assert!(answered(&server).await.is_none());
    drop(first);
    let _again = until_answered(&server).await;
    assert!(answered(&server).await.is_none());
    drop(page);
    drop(until_answered(&server).await);

    while server.metric("dcdn_connections_refused_total").await < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_a_trusted_proxy_as_many_as_there_are() {
    let site = SiteDirectory::new();
    for is_trusted in [false, true] {
        let server = Server::start_with(&site, |config| {
            config.addresses.connections = 2;
            if !is_trusted {
                config.proxies = Proxies::new(Vec::new(), ProxyHeader::ForwardedFor);
            }
        })
        .await;
        let _kept = [answered(&server).await.unwrap(), answered(&server).await.unwrap()];

        assert_eq!(answered(&server).await.is_some(), is_trusted);
    }
}

#[tokio::test]
async fn who_does_not_finish_a_head_is_not_waited_for() {
    let site = SiteDirectory::new();
    let short = Duration::from_millis(100);
    let server = Server::start_with(&site, |config| config.connections.head_within = short).await;
    for head in [&b""[..], b"GET /heal", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head).await.unwrap();

        let ended = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;

        assert!(ended.is_ok(), "{:?} keeps its connection", String::from_utf8_lossy(head));
    }
    server.metric_becomes("dcdn_connections", 1).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_takes_nothing_of_what_it_asked_for_is_dropped() {
    let site = SiteDirectory::new();
    site.write("film.mp4", &noise(64 << 20));
    let short = Duration::from_millis(300);
    let server = Server::start_with(&site, |config| config.connections.taken_within = short).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /film.mp4 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 100]).await.unwrap();

    // Its own connection is the one that asks.
    server.metric_becomes("dcdn_connections", 1).await;
}

/// The program where the system allows so few open files, with what it logs in `log`.
#[cfg(unix)]
fn with_open_files(site: &SiteDirectory, files: u32, log: &Path) -> Command {
    let server = command(site);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -n {files}; exec \"$@\" 2>\"$LOG\""));
    shell.arg("sh").arg(server.get_program()).args(server.get_args());
    for (name, value) in server.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.env("LOG", log).env("RUST_LOG", "coord_server=info");
    shell
}

#[cfg(unix)]
#[tokio::test]
async fn with_few_open_files_there_are_few_connections_and_the_log_warns_of_none() {
    let site = SiteDirectory::new();
    let log = site.outside().join("log");
    let running = Running::start(&mut with_open_files(&site, 128, &log));

    let mut kept = Vec::new();
    while let Some(stream) = answered_at(running.address()).await {
        kept.push(stream);
    }

    // A quarter of the files is for others, and a connection may need two.
    assert_eq!(kept.len(), 48);
    let said = std::fs::read_to_string(log).unwrap();
    assert!(said.contains("connections=48") && !said.contains("open files are fewer"), "{said}");
}

#[cfg(unix)]
#[test]
fn who_asks_for_more_connections_than_there_are_files_for_is_warned() {
    let site = SiteDirectory::new();
    let log = site.outside().join("log");

    let mut server = with_open_files(&site, 128, &log);
    let _running = Running::start(server.arg("--max-connections=200"));

    let said = std::fs::read_to_string(log).unwrap();
    assert!(said.contains("WARN") && said.contains("open files are fewer"), "{said}");
}
