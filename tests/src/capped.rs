//! A proxy whose answers share a line of limited capacity, like a small server's.

use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;
use async_speed_limit::Limiter;
use async_speed_limit::clock::Clock;
use tokio::io::{
    AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy, copy_bidirectional, copy_buf, split,
};
use tokio::time::{Instant, Sleep, sleep};

use crate::proxy::Proxy;

/// Bytes of one answer that pass before it is another's turn. Small, so that a short
/// answer or a message on the socket is not stuck behind long ones.
const PIECE: usize = 4 * 1024;

/// How much unused time is made up for: timers of a busy machine come late.
const CATCH_UP: Duration = Duration::from_millis(50);

impl Proxy {
    /// Passes requests to `server` (`host:port`), and at most so many bytes per second of
    /// all answers together, in fair shares.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn capped(server: &str, bytes_per_second: u32) -> Result<Self> {
        Self::capped_at(server, "/", bytes_per_second).await
    }

    /// The same for what is asked of a path and everything below it; the rest passes freely.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn capped_at(
        server: &str,
        path: &'static str,
        bytes_per_second: u32,
    ) -> Result<Self> {
        Ok(Self::metered_at(server, path, bytes_per_second).await?.0)
    }

    /// The same, with a count of what has passed.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn metered_at(
        server: &str,
        path: &'static str,
        bytes_per_second: u32,
    ) -> Result<(Self, Passed)> {
        let server = server.to_owned();
        let line = Line::new(bytes_per_second);
        let passed = Passed(line.clone());
        let proxy = Self::start(move |request| {
            let (server, line) = (server.clone(), line.clone());
            async move {
                let is_capped = request.head.path().starts_with(path);
                let (mut client, mut server) = request.send(&server).await?;
                if !is_capped {
                    copy_bidirectional(&mut client, &mut server).await?;
                    return Ok(());
                }
                let (mut from_client, to_client) = split(client);
                let (from_server, mut to_server) = split(server);
                // Whichever end hangs up, the other has nothing more to say.
                tokio::select! {
                    answered = line.carry(from_server, to_client) => answered,
                    asked = copy(&mut from_client, &mut to_server) => asked.map(drop),
                }
            }
        });
        Ok((proxy.await?, passed))
    }
}

/// What has passed a capped proxy.
#[derive(Clone, Debug)]
pub struct Passed(Line);

impl Passed {
    /// Bytes so far, with the heads of answers.
    pub fn bytes(&self) -> u64 {
        self.0.0.total_bytes_consumed() as u64
    }
}

/// The line that all answers go through, in the order in which they ask for it.
#[derive(Clone, Debug)]
pub(crate) struct Line(Limiter<TokioClock>);

impl Line {
    pub(crate) fn new(bytes_per_second: u32) -> Self {
        let mut limiter = Limiter::builder(bytes_per_second.into());
        Self(limiter.refill(CATCH_UP).min_wait(Duration::ZERO).build())
    }

    /// Waits until so many bytes have passed.
    pub(crate) async fn pass(&self, bytes: usize) {
        self.0.consume(bytes).await;
    }

    async fn carry(
        &self,
        from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        let limited = self.0.clone().limit(from);
        copy_buf(&mut BufReader::with_capacity(PIECE, limited), &mut to).await?;
        to.shutdown().await
    }
}

/// Tokio's time, which tests can stop.
#[derive(Clone, Debug, Default)]
struct TokioClock;

impl Clock for TokioClock {
    type Instant = Instant;
    type Delay = Pin<Box<Sleep>>;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, duration: Duration) -> Self::Delay {
        Box::pin(sleep(duration))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::future::{join, join_all};
    use tokio::io::{AsyncReadExt, repeat, sink};

    use super::*;

    /// Milliseconds until `bytes` have passed.
    async fn carry(line: &Line, bytes: u64) -> u128 {
        let start = Instant::now();
        line.carry(repeat(0).take(bytes), sink()).await.unwrap();
        start.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn all_answers_together_pass_at_the_rate() {
        let line = Line::new(1_000_000);

        let each = join_all([500_000; 8].map(|bytes| carry(&line, bytes))).await;

        // For nothing come the 50 ms that a line makes up for, which one answer may have
        // all of, and the last piece of each.
        assert!((3_900..=4_000).contains(each.iter().max().unwrap()), "{each:?}");
        assert!(each.iter().all(|it| *it >= 3_500), "{each:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_answer_is_not_stuck_behind_long_ones() {
        let line = Line::new(1_000_000);
        let long = join_all([1_000_000; 8].map(|bytes| carry(&line, bytes)));

        let short = async {
            sleep(Duration::from_secs(1)).await;
            carry(&line, 10_000).await
        };
        let (short, long) = join(short, long).await;

        assert!(short <= 200, "{short} ms");
        assert!(long.iter().all(|it| *it > 7_000), "{long:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_line_saves_nothing_up() {
        let line = Line::new(1_000_000);
        sleep(Duration::from_secs(60)).await;

        let took = carry(&line, 1_000_000).await;

        assert!((900..=1_000).contains(&took), "{took} ms");
    }
}
