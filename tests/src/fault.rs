//! A proxy before the server that passes everything but some paths.

use std::io;
use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

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

/// Most bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// A running proxy. Ends with the value, and so does every connection through it.
pub struct FaultProxy {
    address: SocketAddr,
    task: AbortHandle,
}

impl FaultProxy {
    /// Passes requests to `server` (`host:port`), but those whose path starts with one of
    /// `paths`.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(server: &str, paths: &'static [&'static str], fault: Fault) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = server.to_owned();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = server.clone();
                // A connection that breaks is the business of its two ends.
                connections.spawn(async move { pass(client, &server, paths, fault).await });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task: task.abort_handle() })
    }

    /// The URL of a path that starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, which carries one request: so each one's path is seen.
async fn pass(mut client: TcpStream, server: &str, paths: &[&str], fault: Fault) -> io::Result<()> {
    let head = read_head(&mut client).await?;
    let path = head.split(' ').nth(1).unwrap_or_default();
    if !paths.iter().any(|it| path.starts_with(it)) {
        let mut server = TcpStream::connect(server).await?;
        server.write_all(closing(&head).as_bytes()).await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    match fault {
        Fault::Unavailable => {
            let answer = "HTTP/1.1 503 Service Unavailable\r\n\
                          Content-Length: 0\r\nConnection: close\r\n\r\n";
            client.write_all(answer.as_bytes()).await
        }
        Fault::Reset => client.set_zero_linger(),
        Fault::Silence => std::future::pending().await,
    }
}

/// The request's line and headers, with the empty line that ends them. Our requests
/// have no body, so nothing can follow before the answer.
async fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 || head.len() > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    String::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The head with `Connection: close`, unless it asks for another protocol.
fn closing(head: &str) -> String {
    let is = |line: &str, name: &str| {
        line.split_once(':').is_some_and(|(it, _)| it.eq_ignore_ascii_case(name))
    };
    if head.lines().any(|line| is(line, "Upgrade")) {
        return head.to_owned();
    }
    let mut lines: Vec<&str> =
        head.trim_end().lines().filter(|line| !is(line, "Connection")).collect();
    lines.extend(["Connection: close", "", ""]);
    lines.join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_made_the_last_of_its_connection() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nconnection: keep-alive\r\n\r\n";
        assert_eq!(closing(head), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn a_change_of_protocol_is_passed_as_it_is() {
        let head = "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        assert_eq!(closing(head), head);
    }
}
