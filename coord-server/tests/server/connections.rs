//! How many connections there may be, and what becomes of those that hold others up.

use std::io;
use std::time::Duration;

use coord_server::asker::{Proxies, ProxyHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{PATIENCE, Server, SiteDirectory, noise};

/// A connection that has been answered once and stays open, or `None` if it was closed.
async fn answered(server: &Server) -> Option<TcpStream> {
    let exchange = async {
        let mut stream = TcpStream::connect(server.address).await?;
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
