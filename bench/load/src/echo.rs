//! The bare echo: axum's WebSocket, each message of which is written by itself; and another
//! that gathers what it writes as the coordination server does.

use std::io::Write;
use std::task::Poll;

use anyhow::Result;
use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use futures::{SinkExt, StreamExt, poll};
use tokio::net::TcpListener;

/// Path of the bare echo.
pub const PATH: &str = "/echo";

/// Path of the one that gathers.
pub const GATHERING: &str = "/gathering";

/// Sends back whatever comes, until the process is ended.
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "http://{}/", listener.local_addr()?)?;
    out.flush()?;
    drop(out);
    let listener = listener.tap_io(|stream| {
        // An error here shows again at the first write.
        let _ = stream.set_nodelay(true);
    });
    let router = Router::new().route(PATH, get(open)).route(GATHERING, get(open_gathering));
    Ok(axum::serve(listener, router).await?)
}

async fn open(upgrade: WebSocketUpgrade) -> Response {
    upgrade.read_buffer_size(4 * 1024).write_buffer_size(0).on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

/// As the coordination server has them (`signalling/socket.rs`): bytes that are gathered for one
/// write, messages that are read before anything is written, and what the buffer holds at the most.
const WRITE_AT_ONCE: usize = 16 * 1024;
const READ_AT_ONCE: usize = 32;
const MOST_BUFFERED: usize = WRITE_AT_ONCE + 128 * 1024;

async fn open_gathering(upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .read_buffer_size(4 * 1024)
        .write_buffer_size(WRITE_AT_ONCE)
        .max_write_buffer_size(MOST_BUFFERED)
        .on_upgrade(|socket| async move {
            let _ = gather(socket).await;
        })
}

/// Ends when the socket does.
async fn gather(mut socket: WebSocket) -> Result<(), axum::Error> {
    while let Some(message) = socket.recv().await {
        socket.feed(message?).await?;
        for _ in 1..READ_AT_ONCE {
            let Poll::Ready(Some(message)) = poll!(socket.next()) else { break };
            socket.feed(message?).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}
