//! A server in this process with a site of its own, and clients for it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use coord_server::Config;
use dcdn_protocol::message::coord::{FromCoord, ToCoord};
use dcdn_protocol::{GroupId, PeerId, VERSION, frame};
use futures::{SinkExt, StreamExt};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

/// Longest time that anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with a site in it and something beside it that is not the site's.
pub struct SiteDirectory(TempDir);

impl SiteDirectory {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("site")).unwrap();
        fs::write(directory.path().join("secret.txt"), "SECRET").unwrap();
        Self(directory)
    }

    pub fn root(&self) -> PathBuf {
        self.0.path().join("site")
    }

    pub fn outside(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file that has not been touched for an hour.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        set_age(&path, Duration::from_secs(3600));
        path
    }
}

pub fn set_age(path: &Path, age: Duration) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

/// Bytes without a pattern that a shift could hide.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// A running server; it stops when dropped.
pub struct Server {
    pub address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub async fn start(site: &SiteDirectory) -> Self {
        Self::start_with(site, |_| {}).await
    }

    pub async fn start_with(site: &SiteDirectory, adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(&site.root()).unwrap();
        adjust(&mut config);
        Self::run(config).await
    }

    pub async fn run(config: Config) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), config)
    }

    pub fn listen(listener: TcpListener, config: Config) -> Self {
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let shutdown = stop.clone().cancelled_owned();
        let task = tokio::spawn(coord_server::run(listener, config, shutdown));
        Self { address, stop, task }
    }

    /// Tells the server to stop.
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Stops the server and waits until it has.
    pub async fn stop(mut self) {
        self.stop.cancel();
        timeout(PATIENCE, &mut self.task).await.expect("the server stops").unwrap().unwrap();
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request(reqwest::Method::GET, path, headers).await
    }

    pub async fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let policy = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(policy).build().unwrap();
        let mut request = client.request(method, self.url(path)).timeout(PATIENCE);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().keys().map(|name| {
            // What is said in several headers of one name, as one.
            let values = response.headers().get_all(name).iter();
            let values: Vec<&str> = values.map(|value| value.to_str().unwrap()).collect();
            (name.to_string(), values.join(", "))
        });
        let headers = headers.collect();
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// A GET whose target goes out as it is: clients tidy up paths.
    pub async fn get_raw(&self, target: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat();
        stream.write_all(&head).await.unwrap();
        let mut bytes = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer").unwrap();
        Answer::parse(&bytes)
    }

    /// The value of a metric without labels.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Waits until a metric has a value.
    pub async fn metric_becomes(&self, name: &str, value: u64) {
        let reached = async {
            while self.metric(name).await != value {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{name} becomes {value}"));
    }

    pub async fn page(&self, group: u8) -> Page {
        let mut page = self.socket().await;
        page.hello(group).await;
        page
    }

    /// A socket that has not said hello.
    pub async fn socket(&self) -> Page {
        self.try_socket(None).await.unwrap()
    }

    /// A socket of a page of `origin`, or the answer that refuses it.
    pub async fn try_socket(&self, origin: Option<&str>) -> Result<Page, Answer> {
        Page::open(self.address, origin).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An HTTP response; header names are in lower case.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields = lines.map(|line| line.split_once(": ").unwrap());
        let headers = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Self { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() }
    }

    fn of_refusal(response: Response<Option<Vec<u8>>>) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let headers = headers.collect();
        Self { status, headers, body: response.into_body().unwrap_or_default() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of an error's JSON; checks that there is something for people too.
    pub fn error_code(&self) -> String {
        let json = self.json();
        assert!(!json["error"]["message"].as_str().unwrap().is_empty());
        json["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// A page's end of the signalling socket.
pub struct Page {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub id: PeerId,
}

/// How the server ended a socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Closed {
    With(u16, String),
    Broken,
}

impl Page {
    /// A socket that has not said hello, of a page of `origin`, or the answer that refuses it.
    pub async fn open(address: SocketAddr, origin: Option<&str>) -> Result<Self, Answer> {
        let headers = origin.map(|origin| ("origin", origin));
        Self::open_with(address, headers.as_slice()).await
    }

    /// The same with these headers.
    pub async fn open_with(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Answer> {
        let url = format!("ws://{address}/dcdn/ws");
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self { socket, id: PeerId([0; 16]) }),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                Err(Answer::of_refusal(*response))
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn hello(&mut self, group: u8) {
        self.say(&ToCoord::Hello { version: VERSION, group: GroupId([group; 16]), token: None })
            .await;
        let FromCoord::Welcome { version: VERSION, peer, .. } = self.hear().await else {
            panic!("no welcome");
        };
        self.id = peer;
    }

    pub async fn say(&mut self, message: &ToCoord) {
        self.say_bytes(frame::encode(message, &[]).unwrap()).await;
    }

    pub async fn say_bytes(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::Binary(bytes.into())).await.unwrap();
    }

    /// Bytes beside the WebSocket: what no client would send.
    pub async fn say_raw(&mut self, bytes: &[u8]) {
        let MaybeTlsStream::Plain(stream) = self.socket.get_mut() else { panic!("no TLS here") };
        stream.write_all(bytes).await.unwrap();
    }

    /// The next message from the server.
    pub async fn hear(&mut self) -> FromCoord {
        self.hear_or_end().await.unwrap_or_else(|end| panic!("the socket ended: {end:?}"))
    }

    /// The next message from the server, or how it closed the socket.
    pub async fn hear_or_end(&mut self) -> Result<FromCoord, Closed> {
        loop {
            let next =
                timeout(PATIENCE, self.socket.next()).await.expect("the server says something");
            match next {
                Some(Ok(Message::Binary(bytes))) => {
                    let (message, body) = frame::decode(&bytes).unwrap();
                    assert!(body.is_empty());
                    return Ok(message);
                }
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return Err(Closed::With(code.into(), reason.to_string()));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("unexpected {other:?}"),
                Some(Err(_)) | None => return Err(Closed::Broken),
            }
        }
    }
}
