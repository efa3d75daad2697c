//! A proxy that notes what is asked for.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::copy_bidirectional;

use crate::proxy::Proxy;

/// The `Range` of every request for a path, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Ranges(Arc<Mutex<Vec<String>>>);

impl Ranges {
    /// Those so far: `bytes=0-1` and the like, and nothing for a request without.
    pub fn so_far(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Proxy {
    /// Passes requests to `server` (`host:port`), and notes those for `path`.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn watched(server: &str, path: &'static str) -> Result<(Self, Ranges)> {
        let (server, ranges) = (server.to_owned(), Ranges::default());
        let seen = ranges.clone();
        let proxy = Self::start(move |request| {
            let (server, seen) = (server.clone(), seen.clone());
            async move {
                if request.head.path() == path {
                    let range = request.head.header("Range").unwrap_or_default().to_owned();
                    seen.0.lock().unwrap_or_else(PoisonError::into_inner).push(range);
                }
                let (mut client, mut server) = request.send(&server).await?;
                copy_bidirectional(&mut client, &mut server).await.map(drop)
            }
        });
        Ok((proxy.await?, ranges))
    }
}
