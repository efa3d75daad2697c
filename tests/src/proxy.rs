//! Proxies before the server: what they have in common. What each does to the requests
//! that pass is in a file of its own: [`crate::capped`], [`crate::counted`], [`crate::dressed`],
//! [`crate::far`], [`crate::fault`], [`crate::gated`], [`crate::rangeless`], [`crate::released`] and
//! [`crate::watched`].

use std::io;
use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Most bytes of the head of a request or an answer.
const MAX_HEAD: u64 = 64 * 1024;

/// A running proxy. Ends with the value, and so does every connection through it.
pub struct Proxy {
    address: SocketAddr,
    task: AbortHandle,
}

impl Proxy {
    /// `host:port` that it listens on.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The URL of a path that starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Has each request carried out by `pass`.
    pub(crate) async fn start<F>(
        pass: impl Fn(Request) -> F + Clone + Send + Sync + 'static,
    ) -> Result<Self>
    where
        F: Future<Output = io::Result<()>> + Send,
    {
        Self::forward(move |client| {
            let pass = pass.clone();
            async move { pass(Request::read(client).await?).await }
        })
        .await
    }

    /// Has each connection carried by `carry`.
    pub(crate) async fn forward<F>(
        carry: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> Result<Self>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                // A connection that breaks is the business of its two ends.
                connections.spawn(carry(client));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task: task.abort_handle() })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request, on a connection that carries no other: so each one is seen.
pub(crate) struct Request {
    pub head: Head,
    pub client: BufReader<TcpStream>,
}

impl Request {
    async fn read(client: TcpStream) -> io::Result<Self> {
        let mut client = BufReader::new(client);
        let head = Head::read(&mut client).await?;
        Ok(Self { head, client })
    }

    /// Sends the request to `server` (`host:port`). Gives both connections: the client's,
    /// and the server's, on which the answer comes.
    pub async fn send(self, server: &str) -> io::Result<(BufReader<TcpStream>, TcpStream)> {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(self.head.closing().text().as_bytes()).await?;
        Ok((self.client, stream))
    }
}

/// The first line and the headers of a request or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head(Vec<String>);

impl Head {
    /// Reads up to the empty line. Our requests have no body.
    pub async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Self> {
        let mut stream = stream.take(MAX_HEAD);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            match line.strip_suffix("\r\n") {
                Some("") => return Ok(Self(lines)),
                Some(line) => lines.push(line.to_owned()),
                None => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// The path that a request asks for.
    pub fn path(&self) -> &str {
        self.0.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default()
    }

    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.0.iter().find(|line| is(line, name))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    /// The same without the headers of this name.
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|line| !is(line, name));
        self
    }

    /// The same with one more header.
    pub fn with(mut self, header: &str) -> Self {
        self.0.push(header.to_owned());
        self
    }

    /// As it is sent.
    pub fn text(&self) -> String {
        self.0.iter().map(|line| format!("{line}\r\n")).chain(["\r\n".to_owned()]).collect()
    }

    /// The same with `Connection: close`, unless it asks for another protocol.
    fn closing(self) -> Self {
        if self.0.iter().any(|line| is(line, "Upgrade")) {
            return self;
        }
        self.without("Connection").with("Connection: close")
    }
}

fn is(line: &str, name: &str) -> bool {
    line.split_once(':').is_some_and(|(it, _)| it.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head(text.lines().map(ToOwned::to_owned).collect())
    }

    #[test]
    fn a_request_is_made_the_last_of_its_connection() {
        let head = head("GET / HTTP/1.1\r\nHost: a\r\nconnection: keep-alive\r\n").closing();
        assert_eq!(head.text(), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn a_change_of_protocol_is_passed_as_it_is() {
        let head = head("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
        assert_eq!(head.clone().closing(), head);
    }

    #[test]
    fn a_header_is_taken_out_by_its_name_alone() {
        let head = head("GET /Range: HTTP/1.1\r\nRANGE: bytes=0-\r\nIf-Range: \"a\"\r\n");
        assert_eq!(head.header("range"), Some("bytes=0-"));
        assert_eq!(head.without("Range").text(), "GET /Range: HTTP/1.1\r\nIf-Range: \"a\"\r\n\r\n");
    }
}
