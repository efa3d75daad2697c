//! Connections, whatever is spoken on them: how many there may be, in all and from one address,
//! and how long the other end of one may take nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::asker::Proxies;
use crate::limit::address::{ConnectionPermit, Guard};
use crate::metrics::Metrics;

/// Bounds of all connections together. Those of one address are
/// [`AddressLimits::connections`](crate::limit::address::AddressLimits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once, those of signalling sockets among them.
    pub most: usize,
    /// Time that a connection may take to send the head of its next request.
    pub head_within: Duration,
    /// Time after which a connection is dropped whose other end takes nothing of what is sent
    /// to it. On Linux only.
    pub taken_within: Duration,
}

impl Default for Limits {
    /// Twice as many as sockets; the times are nginx's.
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { most: 32_768, head_within: minute, taken_within: minute }
    }
}

/// Lets connections in.
#[derive(Clone, Debug)]
pub struct Door {
    limits: Limits,
    room: Arc<Semaphore>,
    guard: Guard,
    proxies: Arc<Proxies>,
    metrics: Arc<Metrics>,
}

impl Door {
    /// Nobody is in yet. What comes from `proxies` is that of many, and counts for no address.
    pub fn new(limits: Limits, guard: Guard, proxies: Arc<Proxies>, metrics: Arc<Metrics>) -> Self {
        let room = Arc::new(Semaphore::new(limits.most.min(Semaphore::MAX_PERMITS)));
        Self { limits, room, guard, proxies, metrics }
    }

    /// `stream`, or nothing if there is no room for it: then it is closed.
    pub fn admit(&self, stream: TcpStream, from: SocketAddr) -> Option<Connection> {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            self.metrics.connections_refused.inc();
            return None;
        };
        let visitor = Some(from.ip()).filter(|address| !self.proxies.trust(*address));
        let now = Instant::now();
        let permit = self.guard.purse(visitor, now).connection().ok()?;
        // Signals are small and urgent. An error here shows again at the first write.
        let _ = stream.set_nodelay(true);
        drop_unless_taken_within(&stream, self.limits.taken_within);
        self.metrics.connections.inc();
        let place = Place { _room: room, _permit: permit, metrics: Arc::clone(&self.metrics) };
        Some(Connection { stream, _place: place })
    }
}

/// RFC 5482: what was sent and is not acknowledged in that time, or cannot be sent since the
/// other end has no room for it.
#[cfg(target_os = "linux")]
fn drop_unless_taken_within(stream: &TcpStream, time: Duration) {
    use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
    let ms = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = setsockopt(stream, TcpUserTimeout, &ms) {
        tracing::debug!(%error, "no time limit for a connection");
    }
}

#[cfg(not(target_os = "linux"))]
fn drop_unless_taken_within(_: &TcpStream, _: Duration) {}

/// A connection, which gives up its place when it is dropped, even if what is spoken on it has
/// changed since.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _place: Place,
}

#[derive(Debug)]
struct Place {
    _room: OwnedSemaphorePermit,
    _permit: ConnectionPermit,
    metrics: Arc<Metrics>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
