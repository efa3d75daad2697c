//! A proxy that passes everything but some paths.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Whether a fault is there at present.
#[derive(Clone, Debug)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// From the next request on.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
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
        let (proxy, switch) = Self::faulty_at_times(server, paths, fault).await?;
        switch.set(true);
        Ok(proxy)
    }

    /// The same with a switch for the fault, which is off at first.
    ///
    /// # Errors
    /// As [`Proxy::faulty`].
    pub async fn faulty_at_times(
        server: &str,
        paths: &'static [&'static str],
        fault: Fault,
    ) -> Result<(Self, Switch)> {
        let (server, switch) = (server.to_owned(), Switch(Arc::default()));
        let faulty = switch.clone();
        let proxy = Self::start(move |mut request| {
            let (server, faulty) = (server.clone(), faulty.is_on());
            async move {
                if !faulty || !paths.iter().any(|it| request.head.path().starts_with(it)) {
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
        });
        Ok((proxy.await?, switch))
    }
}
