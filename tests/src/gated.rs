//! A server that shows some of its files to those alone whom it knows.

use anyhow::Result;
use tokio::io::{AsyncWriteExt, copy_bidirectional};

use crate::proxy::Proxy;

/// The answer to everybody else.
const FORBIDDEN: &[u8] =
    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

impl Proxy {
    /// Passes requests to `server` (`host:port`); those whose path starts with `path` only with
    /// this cookie (`name=value`).
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn gated(server: &str, path: &'static str, cookie: &'static str) -> Result<Self> {
        let server = server.to_owned();
        Self::start(move |mut request| {
            let server = server.clone();
            async move {
                let is_known = request.head.header("Cookie").is_some_and(|it| it.contains(cookie));
                if request.head.path().starts_with(path) && !is_known {
                    return request.client.write_all(FORBIDDEN).await;
                }
                let (mut client, mut server) = request.send(&server).await?;
                copy_bidirectional(&mut client, &mut server).await?;
                Ok(())
            }
        })
        .await
    }
}
