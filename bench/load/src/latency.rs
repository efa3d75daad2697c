//! How long an answer takes while requests come at a fixed rate, whatever the answers do.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use tokio::task::LocalSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::Plan;
use crate::socket::{self, Sender, Socket};
use crate::subject::Subject;
use crate::throughput::{self, Swarm};

/// Requests go out in groups, one per tick of the runtime's clock.
const TICK: Duration = Duration::from_millis(1);

/// Times from request to answer, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Half of the answers took no longer.
    pub p50: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
}

/// Of echoes of so many bytes.
pub async fn echo(plan: &Plan, subject: &Subject, bytes: usize) -> Result<Latency> {
    let frame = socket::frame(&vec![b'x'; bytes]);
    let mut lines = Vec::new();
    for _ in 0..plan.sockets {
        lines.push((Socket::open(subject.address, subject.path).await?, frame.clone()));
    }
    measure(plan, lines, |asked| asked).await
}

/// Of signals, until they are with whom they are for.
pub async fn relay(plan: &Plan, subject: &Subject, swarm: Swarm) -> Result<Latency> {
    let mut lines = throughput::pairs(plan, subject, swarm).await?;
    // One without a partner stays out of it.
    lines.truncate(lines.len() / 2 * 2);
    measure(plan, lines, throughput::partner).await
}

/// Of questions for peers.
pub async fn joins(plan: &Plan, subject: &Subject, swarm: Swarm) -> Result<Latency> {
    let lines = throughput::joined(plan, subject, swarm).await?;
    let lines = lines.into_iter().map(|(peer, frame)| (peer.socket, frame)).collect();
    measure(plan, lines, |asked| asked).await
}

/// A socket on which to ask.
struct Way {
    sender: Sender,
    frame: Vec<u8>,
    /// When those were asked that have no answer yet.
    asked: Rc<RefCell<VecDeque<Instant>>>,
}

/// What one socket asks comes at the one that `answered_at` says.
async fn measure(
    plan: &Plan,
    lines: Vec<(Socket, Vec<u8>)>,
    answered_at: fn(usize) -> usize,
) -> Result<Latency> {
    let times = Rc::new(RefCell::new(Vec::new()));
    let local = LocalSet::new();
    let mut ways = Vec::new();
    let mut sockets = Vec::new();
    for (socket, frame) in lines {
        ways.push(Way { sender: socket.sender(), frame, asked: Rc::default() });
        sockets.push(socket);
    }
    for (number, mut socket) in sockets.into_iter().enumerate() {
        // Who answers whom is the same either way.
        let asked = Rc::clone(&ways[answered_at(number)].asked);
        let times = Rc::clone(&times);
        local.spawn_local(async move {
            while let Ok(came) = socket.receive(|_| {}).await {
                // Answers come in the order of the questions.
                let now = Instant::now();
                let mut asked = asked.borrow_mut();
                times.borrow_mut().extend(asked.drain(..came).map(|at| now - at));
            }
        });
    }
    local.run_until(ask(plan, &ways)).await?;
    let mut times: Vec<Duration> = times.take();
    ensure!(!times.is_empty(), "nothing was answered");
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    Ok(Latency { p50: at(50), p99: at(99) })
}

/// Puts questions, in turns on each way, until the time is over.
async fn ask(plan: &Plan, ways: &[Way]) -> Result<()> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let start = Instant::now();
    let mut put = 0;
    let mut turns = ways.iter().cycle();
    while start.elapsed() < plan.time() {
        ticks.tick().await;
        let due = start.elapsed().as_micros() * u128::from(plan.rate) / 1_000_000;
        while put < due {
            let Some(Way { sender, frame, asked }) = turns.next() else { return Ok(()) };
            asked.borrow_mut().push_back(Instant::now());
            sender.send(frame).await?;
            put += 1;
        }
    }
    Ok(())
}
