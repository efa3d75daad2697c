//! A server that is far away: a round trip for everything, a line of limited capacity, and
//! connections that begin slowly, as TCP's do (RFC 5681, section 3.1; RFC 6928).

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::capped::Line;
use crate::proxy::Proxy;

/// Bytes that a connection sends before the first of them is acknowledged: ten segments.
const INITIAL_WINDOW: usize = 10 * 1460;

/// What is sent at a time.
const PIECE: usize = 4 * 1024;

/// Pieces that are on their way at once at the most: more than any line here carries.
const ON_THE_WAY: usize = 4096;

/// How far, and over which line.
#[derive(Clone, Copy, Debug)]
pub struct Distance {
    /// There and back.
    pub round_trip: Duration,
    /// Bytes per second of all answers together.
    pub bytes_per_second: u32,
}

impl Proxy {
    /// Puts `server` (`host:port`) at a distance.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn far(server: &str, distance: Distance) -> Result<Self> {
        let server = server.to_owned();
        let line = Line::new(distance.bytes_per_second);
        Self::forward(move |client| {
            let (server, line) = (server.clone(), line.clone());
            async move {
                let opened = Instant::now() + distance.round_trip;
                client.set_nodelay(true)?;
                let server = TcpStream::connect(&server).await?;
                server.set_nodelay(true)?;
                let (from_client, to_client) = split(client);
                let (from_server, to_server) = split(server);
                let one_way = distance.round_trip / 2;
                // Whichever end hangs up, the other has nothing more to say.
                tokio::select! {
                    asked = delay(from_client, to_server, one_way, opened) => asked,
                    answered = answer(from_server, to_client, distance.round_trip, &line) => {
                        answered
                    }
                }
            }
        })
        .await
    }
}

/// Passes everything on after `one_way`, and nothing before the connection has `opened` at
/// the other end.
async fn delay(
    mut from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    one_way: Duration,
    opened: Instant,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(ON_THE_WAY);
    let read = async {
        loop {
            let mut piece = vec![0; PIECE];
            let length = from.read(&mut piece).await?;
            piece.truncate(length);
            let arrives = Instant::now().max(opened) + one_way;
            if length == 0 || sender.send((arrives, piece)).await.is_err() {
                drop(sender);
                return Ok(());
            }
        }
    };
    tokio::try_join!(read, deliver(receiver, to)).map(drop)
}

/// The same for answers, which share a line and begin slowly.
async fn answer(
    mut from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    round_trip: Duration,
    line: &Line,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(ON_THE_WAY);
    let read = async {
        let mut window = Window::default();
        loop {
            let mut piece = vec![0; PIECE];
            let length = from.read(&mut piece).await?;
            piece.truncate(length);
            window.room(round_trip).await;
            line.pass(length).await;
            let now = Instant::now();
            window.sent(length, now + round_trip);
            if length == 0 || sender.send((now + round_trip / 2, piece)).await.is_err() {
                drop(sender);
                return Ok(());
            }
        }
    };
    tokio::try_join!(read, deliver(receiver, to)).map(drop)
}

async fn deliver(
    mut pieces: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    while let Some((arrives, piece)) = pieces.recv().await {
        sleep_until(arrives).await;
        to.write_all(&piece).await?;
    }
    to.shutdown().await
}

/// A sender's congestion window in slow start; nothing is ever lost.
#[derive(Debug)]
struct Window {
    size: usize,
    in_flight: usize,
    /// When what was sent is acknowledged, and how much.
    acknowledged: VecDeque<(Instant, usize)>,
}

impl Default for Window {
    fn default() -> Self {
        Self { size: INITIAL_WINDOW, in_flight: 0, acknowledged: VecDeque::new() }
    }
}

impl Window {
    /// Waits until more may be sent. A sender that had nothing to send for a while begins
    /// anew (RFC 5681, section 4.1).
    async fn room(&mut self, round_trip: Duration) {
        self.hear(Instant::now(), round_trip);
        while self.in_flight >= self.size {
            let Some((at, _)) = self.acknowledged.front() else { return };
            sleep_until(*at).await;
            self.hear(Instant::now(), round_trip);
        }
    }

    fn hear(&mut self, now: Instant, round_trip: Duration) {
        let mut last = None;
        while let Some((at, bytes)) = self.acknowledged.pop_front_if(|(at, _)| *at <= now) {
            self.in_flight -= bytes;
            self.size += bytes;
            last = Some(at);
        }
        // The retransmission timeout is a second at least, and four round trips are near it.
        let idle = round_trip.max(Duration::from_millis(50)) * 4;
        if self.in_flight == 0 && last.is_some_and(|last| now > last + idle) {
            self.size = INITIAL_WINDOW;
        }
    }

    fn sent(&mut self, bytes: usize, acknowledged: Instant) {
        self.in_flight += bytes;
        self.acknowledged.push_back((acknowledged, bytes));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{repeat, sink};

    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(50);

    async fn millis(bytes: u64, bytes_per_second: u32) -> u128 {
        let start = Instant::now();
        let line = Line::new(bytes_per_second);
        answer(repeat(0).take(bytes), sink(), ROUND_TRIP, &line).await.unwrap();
        start.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_begins_slowly() {
        // 14,600 bytes, and twice as many in each further round trip: 14, 43, 102, 219 KB.
        let mut took = Vec::new();
        for bytes in [10_000, 40_000, 100_000, 210_000] {
            took.push(millis(bytes, 100_000_000).await);
        }
        let expected = [25, 75, 125, 175];
        assert!(took.iter().zip(expected).all(|(it, at)| (at..at + 25).contains(it)), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn and_goes_on_as_fast_as_the_line() {
        let took = millis(3_000_000, 2_500_000).await;
        assert!((1_200..1_400).contains(&took), "{took} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_takes_half_a_round_trip_and_the_first_waits_for_the_connection() {
        let start = Instant::now();
        let opened = start + ROUND_TRIP;
        delay(repeat(0).take(100), sink(), ROUND_TRIP / 2, opened).await.unwrap();
        assert_eq!(start.elapsed().as_millis(), 75);
    }
}
