//! A proxy that makes of the server one that does not know ranges.

use anyhow::Result;
use tokio::io::{AsyncWriteExt, BufReader, copy_bidirectional};

use crate::proxy::{Head, Proxy};

impl Proxy {
    /// Passes requests to `server` (`host:port`) without their `Range`, so that each is
    /// answered with 200 and everything.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn rangeless(server: &str) -> Result<Self> {
        let server = server.to_owned();
        Self::start(move |mut request| {
            let server = server.clone();
            async move {
                request.head = request.head.without("Range");
                let (mut client, server) = request.send(&server).await?;
                let mut server = BufReader::new(server);
                let answer = Head::read(&mut server).await?.without("Accept-Ranges");
                client.write_all(answer.text().as_bytes()).await?;
                copy_bidirectional(&mut client, &mut server).await?;
                Ok(())
            }
        })
        .await
    }
}
