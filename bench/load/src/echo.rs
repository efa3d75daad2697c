//! The bare echo: axum's WebSocket as the coordination server sets it up, without one.

use std::io::Write;

use anyhow::Result;
use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// Path of the socket.
pub const PATH: &str = "/echo";

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
    Ok(axum::serve(listener, Router::new().route(PATH, get(open))).await?)
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
