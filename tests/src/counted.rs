//! A line on which round trips are counted: how many had to be over before somebody asked for
//! something, whatever the clock says.
//!
//! What a browser sends may follow from anything that has reached it before, on any connection:
//! so it belongs to the round trip after the last of those, and what the server answers to the
//! same. The line is so slow that what does not wait for an answer is sent before one comes.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::proxy::Proxy;

/// What is read at a time: more than the head of a request.
const PIECE: usize = 16 * 1024;

/// Pieces that are on their way at once at the most.
const ON_THE_WAY: usize = 1024;

/// Counts the round trips of one browser, over all of its connections. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct RoundTrips {
    state: Arc<Mutex<State>>,
    /// Changes when everything begins anew.
    begun: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The last round trip of which something has reached the browser.
    over: u32,
    /// By method and path, the round trips over when something was first asked for, and the one
    /// in which it was.
    asked: BTreeMap<String, (u32, u32)>,
}

/// A connection's part of the count.
#[derive(Debug)]
struct Line {
    trips: RoundTrips,
    /// The round trip in which it was opened.
    opened: u32,
    /// The last one in which something was sent to the server that has arrived there.
    heard: Mutex<u32>,
}

struct Piece {
    trip: u32,
    arrives: Instant,
    bytes: Vec<u8>,
}

impl RoundTrips {
    /// Ends every connection, as for somebody who comes anew, and counts from zero.
    pub fn begin(&self) {
        *self.state() = State::default();
        self.begun.send_replace(());
    }

    /// Those that were over when `request`, a method and a path, was first sent; `None` if it
    /// was not.
    pub fn before(&self, request: &str) -> Option<u32> {
        self.state().asked.get(request).map(|(before, _)| *before)
    }

    /// Those until the first byte of its answer has come, with that of its connection.
    pub fn until(&self, request: &str) -> Option<u32> {
        self.state().asked.get(request).map(|(_, until)| *until)
    }

    /// Everything that was asked for so far, and when.
    pub fn asked(&self) -> BTreeMap<String, (u32, u32)> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Proxy {
    /// Puts `server` (`host:port`) so far away, and counts.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn counted(server: &str, round_trip: Duration, trips: &RoundTrips) -> Result<Self> {
        let (server, trips) = (server.to_owned(), trips.clone());
        Self::forward(move |client| {
            let (server, trips) = (server.clone(), trips.clone());
            async move {
                let mut begun = trips.begun.subscribe();
                let line = Line::open(trips);
                let opened = Instant::now() + round_trip;
                client.set_nodelay(true)?;
                let server = TcpStream::connect(&server).await?;
                server.set_nodelay(true)?;
                let (from_client, to_client) = split(client);
                let (from_server, to_server) = split(server);
                let one_way = round_trip / 2;
                // Whichever end hangs up, the other has nothing more to say.
                tokio::select! {
                    asked = line.ask(from_client, to_server, one_way, opened) => asked,
                    answered = line.answer(from_server, to_client, one_way) => answered,
                    _ = begun.changed() => Ok(()),
                }
            }
        })
        .await
    }
}

impl Line {
    fn open(trips: RoundTrips) -> Self {
        let opened = trips.state().over + 1;
        Self { trips, opened, heard: Mutex::new(opened) }
    }

    /// What the browser says, and nothing before the connection has `opened` at the other end.
    async fn ask(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        one_way: Duration,
        opened: Instant,
    ) -> io::Result<()> {
        let (sender, mut receiver) = mpsc::channel::<Piece>(ON_THE_WAY);
        let read = async move {
            while let Some(bytes) = read(&mut from).await? {
                let trip = self.note(&bytes);
                let arrives = Instant::now().max(opened) + one_way;
                if sender.send(Piece { trip, arrives, bytes }).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let write = async {
            while let Some(Piece { trip, arrives, bytes }) = receiver.recv().await {
                sleep_until(arrives).await;
                raise(&mut lock(&self.heard), trip);
                to.write_all(&bytes).await?;
            }
            to.shutdown().await
        };
        tokio::try_join!(read, write).map(drop)
    }

    /// What the server says to that.
    async fn answer(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        one_way: Duration,
    ) -> io::Result<()> {
        let (sender, mut receiver) = mpsc::channel::<Piece>(ON_THE_WAY);
        let read = async move {
            while let Some(bytes) = read(&mut from).await? {
                let trip = *lock(&self.heard);
                let arrives = Instant::now() + one_way;
                if sender.send(Piece { trip, arrives, bytes }).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let write = async {
            while let Some(Piece { trip, arrives, bytes }) = receiver.recv().await {
                sleep_until(arrives).await;
                raise(&mut self.trips.state().over, trip);
                to.write_all(&bytes).await?;
            }
            to.shutdown().await
        };
        tokio::try_join!(read, write).map(drop)
    }

    /// The round trip to which something belongs that the browser sends.
    fn note(&self, bytes: &[u8]) -> u32 {
        let mut state = self.trips.state();
        let trip = state.over.max(self.opened) + 1;
        if let Some(request) = request_of(bytes) {
            let over = state.over;
            state.asked.entry(request).or_insert((over, trip));
        }
        trip
    }
}

async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; PIECE];
    let length = from.read(&mut bytes).await?;
    bytes.truncate(length);
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

/// Method and path, if this is the beginning of a request.
fn request_of(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let (request, version) = std::str::from_utf8(line).ok()?.rsplit_once(' ')?;
    Some(request).filter(|_| version == "HTTP/1.1").map(ToOwned::to_owned)
}

fn raise(number: &mut u32, to: u32) {
    *number = (*number).max(to);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::net::TcpListener;

    use super::*;

    /// Answers every piece that comes with a byte.
    async fn answering() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while read(&mut stream).await.unwrap().is_some() {
                        stream.write_all(b".").await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
    }

    async fn answer(stream: &mut TcpStream) {
        stream.read_exact(&mut [0]).await.unwrap();
    }

    #[tokio::test]
    async fn what_waits_for_an_answer_is_a_round_trip_later_on_any_connection() {
        let trips = RoundTrips::default();
        let round_trip = Duration::from_millis(200);
        let proxy = Proxy::counted(&answering().await, round_trip, &trips).await.unwrap();
        let connect = async || TcpStream::connect(proxy.address()).await.unwrap();
        let mut first = connect().await;

        ask(&mut first, "/a").await;
        answer(&mut first).await;
        let mut second = connect().await;
        ask(&mut first, "/b").await;
        ask(&mut second, "/c").await;
        answer(&mut first).await;
        answer(&mut second).await;
        ask(&mut first, "/d").await;
        answer(&mut first).await;

        let expected =
            [("GET /a", (0, 2)), ("GET /b", (2, 3)), ("GET /c", (2, 4)), ("GET /d", (4, 5))];
        assert_eq!(trips.asked(), expected.map(|(it, trips)| (it.to_owned(), trips)).into());
    }

    #[tokio::test]
    async fn it_begins_anew_without_a_connection() {
        let trips = RoundTrips::default();
        let round_trip = Duration::from_millis(1);
        let proxy = Proxy::counted(&answering().await, round_trip, &trips).await.unwrap();
        let mut before = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut before, "/a").await;
        answer(&mut before).await;

        trips.begin();

        assert_eq!(before.read(&mut [0]).await.unwrap_or(0), 0);
        let mut after = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut after, "/b").await;
        answer(&mut after).await;
        assert_eq!((trips.before("GET /a"), trips.until("GET /b")), (None, Some(2)));
    }
}
