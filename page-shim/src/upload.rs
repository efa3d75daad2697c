//! Serving one peer: a queue of requests, sent piece by piece as the channel and
//! the rate allow. Each peer has a task of its own, so a slow one holds up nobody.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use dcdn_protocol::message::peer::{
    ChunkFailReason, MAX_QUEUED_IN_ALL, MAX_QUEUED_REQUESTS, PIECE_SIZE, PeerMessage,
};
use dcdn_protocol::{SiteConfig, VERSION};
use gloo_timers::future::TimeoutFuture;
use js_sys::Uint8Array;

use crate::browser;
use crate::channel::Outbox;
use crate::download::ChunkKey;
use crate::error::ShimError;
use crate::manners::Restraint;
use crate::pace::Pace;
use crate::senses::Senses;
use crate::store;
use crate::task::Task;
use crate::wire;

/// Small messages that follow the last piece. That a packet is lost is reported by those that
/// arrive after it, and three reports have it sent again (RFC 9260, section 7.2.4). Without any
/// the last packets of a chunk would wait for a timer of 400 ms and more.
const FOLLOWERS: u32 = 4;

/// Milliseconds before each: a burst that has overfilled a buffer on the way is over by then.
const FOLLOWER_MS: u32 = 20;

/// What all uploads of a page share.
#[derive(Debug)]
pub struct Uplink {
    /// What the site wants.
    pub site: RefCell<SiteConfig>,
    senses: Senses,
    pace: RefCell<Pace>,
    /// Bytes of chunks sent so far, to all peers together.
    total: Cell<u64>,
    /// Bytes of chunks that are being sent, and have not been yet.
    promised: Cell<u64>,
    /// Requests that wait, of all peers together.
    waiting: Rc<Cell<usize>>,
}

impl Default for Uplink {
    fn default() -> Self {
        Self {
            site: RefCell::default(),
            senses: Senses::watch(),
            pace: RefCell::default(),
            total: Cell::default(),
            promised: Cell::default(),
            waiting: Rc::default(),
        }
    }
}

impl Uplink {
    /// The site's configuration has come, perhaps again.
    pub fn configure(&self, site: &SiteConfig) {
        self.site.borrow_mut().clone_from(site);
        self.pace.borrow_mut().set_rate(site.upload_bytes_per_second);
    }

    /// Bytes of chunks sent so far, to all peers together.
    pub fn total(&self) -> u64 {
        self.total.get()
    }

    /// Why nothing is uploaded, if nothing is. A chunk that is being sent counts as sent.
    pub fn restraint(&self) -> Option<Restraint> {
        let sent = self.total.get() + self.promised.get();
        Restraint::of(&self.site.borrow(), &self.senses.surroundings(), sent)
    }
}

/// A chunk that is being sent; what has not been when it is dropped is not sent any more.
struct Promise<'a> {
    uplink: &'a Uplink,
    left: u32,
}

impl<'a> Promise<'a> {
    fn of(size: u32, uplink: &'a Uplink) -> Self {
        uplink.promised.set(uplink.promised.get() + u64::from(size));
        Self { uplink, left: size }
    }

    fn keep(&mut self, len: u32) {
        self.take_back(len);
        self.uplink.total.set(self.uplink.total.get() + u64::from(len));
    }

    fn take_back(&mut self, len: u32) {
        self.left -= len;
        self.uplink.promised.set(self.uplink.promised.get() - u64::from(len));
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.take_back(self.left);
    }
}

/// The uploads to one peer. Dropping it stops them.
#[derive(Debug)]
pub struct Uploads {
    queue: Rc<RefCell<Queue>>,
    sent: Rc<Cell<u64>>,
    outbox: Outbox,
    uplink: Rc<Uplink>,
    task: Option<Task>,
}

impl Uploads {
    /// No uploads yet.
    pub fn new(outbox: Outbox, uplink: Rc<Uplink>) -> Self {
        let queue = Rc::new(RefCell::new(Queue::new(Rc::clone(&uplink.waiting))));
        Self { queue, sent: Rc::default(), outbox, uplink, task: None }
    }

    /// The peer asks for a chunk. True if it will be answered by the upload task;
    /// false if it, or all peers together, ask for too much at once.
    pub fn request(&mut self, key: ChunkKey) -> bool {
        let admission = self.queue.borrow_mut().push(key);
        if admission == Admission::Start {
            let (queue, sent) = (Rc::clone(&self.queue), Rc::clone(&self.sent));
            let (outbox, uplink) = (self.outbox.clone(), Rc::clone(&self.uplink));
            self.task = Some(Task::spawn(serve(queue, sent, outbox, uplink)));
        }
        admission != Admission::Full
    }

    /// The peer takes a request back.
    pub fn cancel(&mut self, key: ChunkKey) {
        self.queue.borrow_mut().cancel(key);
    }

    /// Bytes of chunks sent to this peer.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }
}

/// Sends what is in the queue, and ends some moments after it is empty, or when the channel
/// breaks (which its owner hears of from the channel).
async fn serve(queue: Rc<RefCell<Queue>>, sent: Rc<Cell<u64>>, outbox: Outbox, uplink: Rc<Uplink>) {
    loop {
        let Some(key) = queue.borrow().current() else { break };
        if send_chunk(key, &queue, &sent, &outbox, &uplink).await.is_err() {
            return;
        }
        queue.borrow_mut().advance();
    }
    // A request that comes meanwhile starts anew: what follows then is the next chunk.
    for _ in 0..FOLLOWERS {
        TimeoutFuture::new(FOLLOWER_MS).await;
        if outbox.send(&PeerMessage::Hello { version: VERSION }).is_err() {
            return;
        }
    }
}

async fn send_chunk(
    key: ChunkKey,
    queue: &RefCell<Queue>,
    sent: &Cell<u64>,
    outbox: &Outbox,
    uplink: &Uplink,
) -> Result<(), ShimError> {
    let ChunkKey { content, chunk } = key;
    let fail = |reason| outbox.send(&PeerMessage::ChunkFail { content, chunk, reason });
    // A store that throws holds nothing for us.
    let Some(bytes) = store::read_chunk(content, chunk).await.ok().flatten() else {
        return fail(ChunkFailReason::NotHeld);
    };
    // It has waited for its turn, and things may have changed.
    if uplink.restraint().is_some() {
        return fail(ChunkFailReason::Declined);
    }
    let bytes = Uint8Array::new(&bytes);
    let size = bytes.length();
    let mut promise = Promise::of(size, uplink);
    for offset in (0..size).step_by(PIECE_SIZE as usize) {
        let body = bytes.subarray(offset, size.min(offset + PIECE_SIZE));
        let len = body.length();
        let head = wire::head(&PeerMessage::Chunk { content, chunk, offset, size })?;

        outbox.room_for(len).await;
        let wait = uplink.pace.borrow_mut().reserve(len, browser::now());
        if wait > 0.0 {
            TimeoutFuture::new(browser::whole_ms(wait)).await;
        }
        if queue.borrow().is_cancelled() {
            return Ok(());
        }
        outbox.send_with_body(&head, &body)?;
        sent.set(sent.get() + u64::from(len));
        promise.keep(len);
    }
    Ok(())
}

/// The requests of one peer, in their order.
#[derive(Debug, Default)]
pub struct Queue {
    current: Option<ChunkKey>,
    cancelled: bool,
    waiting: VecDeque<ChunkKey>,
    /// How many wait in all queues together.
    in_all: Rc<Cell<usize>>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the current one; nothing was going on before.
    Start,
    /// It waits, or is being answered already.
    Queued,
    /// There is no room.
    Full,
}

impl Queue {
    /// An empty queue, one of those that share the count of all that wait.
    pub fn new(in_all: Rc<Cell<usize>>) -> Self {
        Self { current: None, cancelled: false, waiting: VecDeque::new(), in_all }
    }

    /// Takes a request in.
    pub fn push(&mut self, key: ChunkKey) -> Admission {
        if self.current.is_none() {
            self.current = Some(key);
            return Admission::Start;
        }
        if (self.current == Some(key) && !self.cancelled) || self.waiting.contains(&key) {
            return Admission::Queued;
        }
        if self.waiting.len() >= MAX_QUEUED_REQUESTS || self.in_all.get() >= MAX_QUEUED_IN_ALL {
            return Admission::Full;
        }
        self.waiting.push_back(key);
        self.in_all.set(self.in_all.get() + 1);
        Admission::Queued
    }

    /// Takes a request out.
    pub fn cancel(&mut self, key: ChunkKey) {
        self.cancelled |= self.current == Some(key);
        let before = self.waiting.len();
        self.waiting.retain(|waiting| *waiting != key);
        self.no_longer_wait(before - self.waiting.len());
    }

    /// The request being answered.
    pub fn current(&self) -> Option<ChunkKey> {
        self.current
    }

    /// Whether the current request has been taken back.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The current request is done with; the next takes its place.
    pub fn advance(&mut self) {
        self.current = self.waiting.pop_front();
        self.cancelled = false;
        self.no_longer_wait(usize::from(self.current.is_some()));
    }

    fn no_longer_wait(&self, requests: usize) {
        self.in_all.set(self.in_all.get() - requests);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.no_longer_wait(self.waiting.len());
    }
}

#[cfg(test)]
mod tests {
    use dcdn_protocol::{ChunkIndex, ContentId};

    use super::*;

    fn key(index: u32) -> ChunkKey {
        ChunkKey { content: ContentId([1; 32]), chunk: ChunkIndex(index) }
    }

    #[test]
    fn requests_are_answered_in_their_order_and_each_once() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(key(0)), Admission::Start);
        for index in [1, 0, 2, 1] {
            assert_eq!(queue.push(key(index)), Admission::Queued);
        }
        let mut answered = Vec::new();
        while let Some(current) = queue.current() {
            answered.push(current);
            queue.advance();
        }
        assert_eq!(answered, [key(0), key(1), key(2)]);
        assert_eq!(queue.push(key(0)), Admission::Start);
    }

    #[test]
    fn one_request_more_than_may_wait_is_refused() {
        let mut queue = Queue::default();
        queue.push(key(0));
        for index in 1..=32 {
            assert_eq!(queue.push(key(index)), Admission::Queued);
        }
        assert_eq!(queue.push(key(33)), Admission::Full);
    }

    #[test]
    fn all_peers_together_wait_for_so_much_and_each_has_one_request_answered_all_the_same() {
        let in_all = Rc::new(Cell::new(0));
        let queue = || Queue::new(Rc::clone(&in_all));
        let (mut first, mut second, mut third) = (queue(), queue(), queue());
        for index in 0..=32 {
            assert_ne!(first.push(key(index)), Admission::Full);
            assert_ne!(second.push(key(index)), Admission::Full);
        }
        assert_eq!(in_all.get(), MAX_QUEUED_IN_ALL);

        assert_eq!(third.push(key(0)), Admission::Start);
        assert_eq!(third.push(key(1)), Admission::Full);
        first.advance();
        assert_eq!(third.push(key(1)), Admission::Queued);
        assert_eq!(third.push(key(2)), Admission::Full);
        first.cancel(key(20));
        assert_eq!(third.push(key(2)), Admission::Queued);

        drop(second);
        assert_eq!(in_all.get(), 32, "30 of the first, 2 of the third");
        third.advance();
        third.advance();
        third.advance();
        assert_eq!(in_all.get(), 30);
    }

    #[test]
    fn a_request_taken_back_and_made_again_is_answered() {
        let mut queue = Queue::default();
        queue.push(key(0));
        queue.push(key(1));
        queue.cancel(key(1));
        queue.cancel(key(0));
        assert!(queue.is_cancelled());
        assert_eq!(queue.push(key(0)), Admission::Queued);
        queue.advance();
        assert_eq!(queue.current(), Some(key(0)));
        assert!(!queue.is_cancelled());
    }
}
