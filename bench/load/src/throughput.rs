//! How much goes through while every socket always has some requests on their way.

use std::cell::Cell;
use std::rc::Rc;

use anyhow::{Result, ensure};
use dcdn_protocol::message::coord::{ADAPTIVE_WANT, FromCoord};
use serde::Serialize;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

use crate::Plan;
use crate::cast::{self, Peer};
use crate::socket::{self, Socket};
use crate::subject::Subject;

/// Peers of a small swarm, and of one in which as many are looked at as in a large one.
const SMALL: usize = 10;
const MIDDLE: usize = 100;

/// Whom the busy peers share swarms with.
#[derive(Clone, Copy)]
pub enum Swarm {
    /// Ten of them, all busy.
    Small,
    /// A hundred, all busy.
    Middle,
    /// A [`cast::crowd`].
    Large,
}

impl Swarm {
    /// The content that a busy peer wants.
    pub fn content_of(self, number: usize) -> dcdn_protocol::ContentId {
        match self {
            Self::Small => cast::content(1 + number / SMALL),
            Self::Middle => cast::content(1_000 + number / MIDDLE),
            Self::Large => cast::content(0),
        }
    }

    /// Busy peers of each, of `sockets` in all.
    fn size(self, sockets: usize) -> usize {
        match self {
            Self::Small => SMALL,
            Self::Middle => MIDDLE,
            Self::Large => sockets,
        }
        .min(sockets)
    }
}

/// What went through.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Throughput {
    /// Messages answered or passed on, per second.
    pub per_second: f64,
    /// Share of its core that the server was busy: below 0.9 the load was too small, or others
    /// had the core.
    pub busy: f64,
}

impl Throughput {
    /// Processor time of the server for each, in microseconds: what others on the machine
    /// change least.
    pub fn cost(&self) -> f64 {
        self.busy * 1e6 / self.per_second
    }
}

/// Echoes of so many bytes.
pub async fn echo(plan: &Plan, subject: &Subject, bytes: usize) -> Result<Throughput> {
    let frame = socket::frame(&vec![b'x'; bytes]);
    let mut lines = Vec::new();
    for _ in 0..plan.sockets {
        lines.push((Socket::open(subject.address, subject.path).await?, frame.clone()));
    }
    load(plan, subject, lines).await
}

/// Questions for peers by peers that are in the swarm already.
pub async fn joins(plan: &Plan, subject: &Subject, swarm: Swarm) -> Result<Throughput> {
    let lines = joined(plan, subject, swarm).await?;
    let lines = lines.into_iter().map(|(peer, frame)| (peer.socket, frame)).collect();
    load(plan, subject, lines).await
}

/// The same by peers that enter the swarm anew each time, and leave it before.
pub async fn entering(plan: &Plan, subject: &Subject, swarm: Swarm) -> Result<Throughput> {
    let lines = joined(plan, subject, swarm).await?;
    let again = |(number, (peer, frame)): (usize, (Peer, Vec<u8>))| {
        let leave = cast::leave(swarm.content_of(number))?;
        Ok((peer.socket, [leave, frame].concat()))
    };
    let lines = lines.into_iter().enumerate().map(again).collect::<Result<_>>()?;
    load(plan, subject, lines).await
}

/// What members say that they hold. That has no answer: behind eight of them comes a question
/// that has a short one, whose cost is among theirs.
pub async fn haves(plan: &Plan, subject: &Subject, swarm: Swarm) -> Result<Throughput> {
    let peers = joined(plan, subject, swarm).await?;
    let (mut lines, mut each) = (Vec::new(), 0);
    for (number, (peer, _)) in peers.into_iter().enumerate() {
        let content = swarm.content_of(number);
        let (haves, count) = cast::haves(content)?;
        lines.push((peer.socket, [haves, cast::nothing(content)?].concat()));
        each = count;
    }
    let answers = load(plan, subject, lines).await?;
    Ok(Throughput { per_second: answers.per_second * f64::from(each), ..answers })
}

/// Signals between pairs of members of one swarm.
pub async fn relay(plan: &Plan, subject: &Subject, swarm: Swarm) -> Result<Throughput> {
    load(plan, subject, pairs(plan, subject, swarm).await?).await
}

/// Members of one swarm, each with a signal to its [`partner`].
pub async fn pairs(plan: &Plan, subject: &Subject, swarm: Swarm) -> Result<Vec<(Socket, Vec<u8>)>> {
    let peers = joined(plan, subject, swarm).await?;
    let ids: Vec<_> = peers.iter().map(|(peer, _)| peer.id).collect();
    let to_partner = |(number, (peer, _)): (usize, (Peer, _))| {
        // Of an odd number the last has none but the first.
        let partner = ids.get(partner(number)).unwrap_or(&ids[0]);
        Ok((peer.socket, cast::signal(*partner)?))
    };
    peers.into_iter().enumerate().map(to_partner).collect()
}

/// The other of a pair.
pub fn partner(number: usize) -> usize {
    number ^ 1
}

/// The busy peers, each with its question; all have been answered once, with as many peers
/// as they wanted.
pub async fn joined(plan: &Plan, subject: &Subject, swarm: Swarm) -> Result<Vec<(Peer, Vec<u8>)>> {
    let peers = cast::peers(subject, 0, plan.sockets).await?;
    let mut lines = Vec::with_capacity(peers.len());
    for (number, peer) in peers.into_iter().enumerate() {
        lines.push((peer, cast::join(swarm.content_of(number))?));
    }
    for turn in 0..2 {
        for (number, (peer, frame)) in lines.iter_mut().enumerate() {
            peer.socket.send(frame).await?;
            let FromCoord::Peers { peers, .. } = cast::heard(&peer.socket.next().await?)? else {
                anyhow::bail!("no peers");
            };
            // The last swarm may not be full.
            let size = swarm.size(plan.sockets);
            let filled = number / size < plan.sockets / size;
            let wanted = turn == 0 || !filled || peers.len() == usize::from(ADAPTIVE_WANT);
            ensure!(wanted, "only {} peers", peers.len());
        }
    }
    Ok(lines)
}

/// Lets each socket send its frame as often as messages come, after `window` of them.
async fn load(plan: &Plan, subject: &Subject, lines: Vec<(Socket, Vec<u8>)>) -> Result<Throughput> {
    let count = Rc::new(Cell::new(0u64));
    let local = LocalSet::new();
    for (socket, frame) in lines {
        local.spawn_local(keep_busy(socket, frame, plan.window, Rc::clone(&count)));
    }
    let measured = local.run_until(async {
        sleep(plan.time() / 4).await;
        let (before, used, since) = (count.get(), subject.processor_time()?, Instant::now());
        sleep(plan.time()).await;
        let elapsed = since.elapsed().as_secs_f64();
        let used = (subject.processor_time()? - used).as_secs_f64();
        let messages = (count.get() - before) as f64;
        Ok(Throughput { per_second: messages / elapsed, busy: used / elapsed })
    });
    measured.await
}

/// Goes on until the socket breaks or the task is dropped.
async fn keep_busy(
    mut socket: Socket,
    frame: Vec<u8>,
    window: usize,
    count: Rc<Cell<u64>>,
) -> Result<()> {
    let burst = frame.repeat(window);
    let mut due = window;
    loop {
        while due > 0 {
            let now = due.min(window);
            socket.send(&burst[..now * frame.len()]).await?;
            due -= now;
        }
        due = socket.receive(|_| {}).await?;
        count.set(count.get() + due as u64);
    }
}
