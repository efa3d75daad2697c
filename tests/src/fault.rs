//! A proxy that passes everything but some paths.

use std::future;

use anyhow::Result;
use tokio::io::{AsyncWriteExt, copy_bidirectional};

use crate::proxy::Proxy;

/// What happens to a request for one of the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with 503.
    Unavailable,
    /// Its connection is reset.
    Reset,
    /// It is never answered.
    Silence,
}

impl Proxy {
    /// Passes requests to `server` (`host:port`), but those whose path starts with one of
    /// `paths`.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn faulty(
        server: &str,
        paths: &'static [&'static str],
        fault: Fault,
    ) -> Result<Self> {
        let server = server.to_owned();
        Self::start(move |mut request| {
            let server = server.clone();
            async move {
                if !paths.iter().any(|it| request.head.path().starts_with(it)) {
                    let (mut client, mut server) = request.send(&server).await?;
                    copy_bidirectional(&mut client, &mut server).await?;
                    return Ok(());
                }
                match fault {
                    Fault::Unavailable => {
                        let answer = "HTTP/1.1 503 Service Unavailable\r\n\
                                      Content-Length: 0\r\nConnection: close\r\n\r\n";
                        request.client.write_all(answer.as_bytes()).await
                    }
                    Fault::Reset => request.client.get_ref().set_zero_linger(),
                    Fault::Silence => future::pending().await,
                }
            }
        })
        .await
    }
}
