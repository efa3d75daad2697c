//! A proxy that makes of the server one of a later release.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};

use crate::proxy::{Head, Proxy};

/// The scripts that name the release that they are of.
const NAMING: [&str; 2] = ["/sw.js", "/dcdn/dcdn.js"];

/// What they name it with.
const BUILD: &str = "const BUILD = ";

/// The name of the later release, as they have it.
const LATER: &str = "\"later\"";

/// Puts the later release in force.
#[derive(Clone, Debug, Default)]
pub struct Release(Arc<AtomicBool>);

impl Release {
    /// From now on the scripts are those of the later release.
    pub fn publish(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Proxy {
    /// Passes requests to `server` (`host:port`); once `release` is published, scripts are of
    /// another build than those that pages and workers have.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn released(server: &str, release: &Release) -> Result<Self> {
        let (server, release) = (server.to_owned(), release.clone());
        Self::start(move |mut request| {
            let (server, release) = (server.clone(), release.clone());
            async move {
                let path = request.head.path().split('?').next().unwrap_or_default();
                if !NAMING.contains(&path) || !release.0.load(Ordering::SeqCst) {
                    let (mut client, mut server) = request.send(&server).await?;
                    copy_bidirectional(&mut client, &mut server).await?;
                    return Ok(());
                }
                // As it is, to be read and changed here.
                request.head = request.head.without("If-None-Match").without("Accept-Encoding");
                let (mut client, server) = request.send(&server).await?;
                let mut server = BufReader::new(server);
                let answer = Head::read(&mut server).await?.without("ETag");
                let mut script = String::new();
                server.read_to_string(&mut script).await?;
                let script = of_later_release(&script);
                let length = format!("Content-Length: {}", script.len());
                let answer = answer.without("Content-Length").with(&length).text();
                client.write_all([answer, script].concat().as_bytes()).await?;
                client.shutdown().await
            }
        })
        .await
    }
}

fn of_later_release(script: &str) -> String {
    let Some((before, rest)) = script.split_once(BUILD) else { return script.to_owned() };
    let after = rest.find(';').map_or("", |end| &rest[end..]);
    format!("{before}{BUILD}{LATER}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_of_the_later_release_differs_in_its_name_alone() {
        let later = of_later_release("// a\nconst BUILD = 'f00';\nconst A = `b-${BUILD}`;\n");
        assert_eq!(later, "// a\nconst BUILD = \"later\";\nconst A = `b-${BUILD}`;\n");
    }
}
