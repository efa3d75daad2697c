//! A proxy that says more than the server does.

use anyhow::Result;
use tokio::io::{AsyncWriteExt, BufReader, copy_bidirectional};

use crate::proxy::{Head, Proxy};

impl Proxy {
    /// Passes requests to `server` (`host:port`), and puts a header on the answers to those
    /// whose path starts so: `(path, "Name: value")`.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn dressed(
        server: &str,
        headers: &'static [(&'static str, &'static str)],
    ) -> Result<Self> {
        let server = server.to_owned();
        Self::start(move |request| {
            let server = server.clone();
            async move {
                let path = request.head.path().to_owned();
                let (mut client, server) = request.send(&server).await?;
                let mut server = BufReader::new(server);
                let mut answer = Head::read(&mut server).await?;
                for (_, header) in headers.iter().filter(|(start, _)| path.starts_with(start)) {
                    answer = answer.with(header);
                }
                client.write_all(answer.text().as_bytes()).await?;
                copy_bidirectional(&mut client, &mut server).await?;
                Ok(())
            }
        })
        .await
    }
}
