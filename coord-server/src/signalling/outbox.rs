//! What waits for one socket to take it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use axum::body::Bytes;
use dcdn_protocol::message::coord::ErrorCode;
use futures::future::poll_fn;
use futures::task::AtomicWaker;

/// What a socket's task is to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// A frame.
    Message(Bytes),
    /// A question for a sign of life.
    Ping,
    /// The last words.
    Close(ErrorCode),
}

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Messages.
    pub messages: usize,
    /// Bytes of them all.
    pub bytes: usize,
}

/// More waits than there is room for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A queue that has no memory of its own while it is empty, and gives all that is in it
/// at once, so that it can go out in few writes. Many fill it; one task empties it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    reader: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Outgoing>,
    bytes: usize,
    cut: bool,
}

impl Outbox {
    /// Queues something.
    ///
    /// # Errors
    /// If there is no room for it: the socket is to be cut then.
    pub fn put(&self, outgoing: Outgoing, room: Room) -> Result<(), Full> {
        let bytes = match &outgoing {
            Outgoing::Message(message) => message.len(),
            Outgoing::Ping | Outgoing::Close(_) => 0,
        };
        let mut state = self.lock();
        if state.waiting.len() >= room.messages || state.bytes + bytes > room.bytes {
            return Err(Full);
        }
        state.bytes += bytes;
        state.waiting.push(outgoing);
        let is_first = state.waiting.len() == 1;
        drop(state);
        if is_first {
            self.reader.wake();
        }
        Ok(())
    }

    /// Ends the socket, whatever waits.
    pub fn cut(&self) {
        let mut state = self.lock();
        *state = State { cut: true, ..State::default() };
        drop(state);
        self.reader.wake();
    }

    /// All that waits, once there is something; `None` if the socket was cut.
    pub async fn take(&self) -> Option<Vec<Outgoing>> {
        poll_fn(|context| {
            if let Some(taken) = self.take_now() {
                return Poll::Ready(taken);
            }
            self.reader.register(context.waker());
            self.take_now().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Ends when the socket is cut.
    pub async fn until_cut(&self) {
        poll_fn(|context| {
            self.reader.register(context.waker());
            if self.lock().cut { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn take_now(&self) -> Option<Option<Vec<Outgoing>>> {
        let mut state = self.lock();
        if state.cut {
            return Some(None);
        }
        if state.waiting.is_empty() {
            return None;
        }
        Some(Some(std::mem::take(&mut *state).waiting))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::*;

    const ROOM: Room = Room { messages: 3, bytes: 10 };

    fn message(bytes: &'static [u8]) -> Outgoing {
        Outgoing::Message(Bytes::from_static(bytes))
    }

    #[tokio::test]
    async fn what_was_put_comes_out_at_once_and_in_order() {
        let outbox = Arc::new(Outbox::default());
        let reader = Arc::clone(&outbox);
        let taken = tokio::spawn(async move { reader.take().await });
        tokio::task::yield_now().await;
        outbox.put(message(b"one"), ROOM).unwrap();
        outbox.put(message(b"two"), ROOM).unwrap();
        outbox.put(Outgoing::Close(ErrorCode::Version), ROOM).unwrap();

        let all = vec![message(b"one"), message(b"two"), Outgoing::Close(ErrorCode::Version)];
        assert_eq!(taken.await.unwrap(), Some(all));
    }

    #[tokio::test]
    async fn messages_and_bytes_are_bounded_until_they_are_taken() {
        let outbox = Outbox::default();
        outbox.put(message(b"12345678"), ROOM).unwrap();
        assert_eq!(outbox.put(message(b"abc"), ROOM), Err(Full));
        outbox.put(message(b"ab"), ROOM).unwrap();
        outbox.put(message(b""), ROOM).unwrap();
        assert_eq!(outbox.put(message(b""), ROOM), Err(Full));

        assert_eq!(outbox.take().await.unwrap().len(), 3);
        outbox.put(message(b"1234567890"), ROOM).unwrap();
    }

    #[tokio::test]
    async fn who_is_cut_gets_nothing_more() {
        let outbox = Outbox::default();
        outbox.put(message(b"one"), ROOM).unwrap();
        outbox.cut();

        outbox.until_cut().await;
        assert_eq!(outbox.take().await, None);
    }
}
