//! What sockets cost that are open and say nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use dcdn_protocol::ChunkSet;
use serde::Serialize;
use tokio::time::sleep;

use crate::Plan;
use crate::cast;
use crate::socket::Socket;
use crate::subject::Subject;

/// Time for a server to come to rest.
const REST: Duration = Duration::from_millis(300);

/// Swarms that every idle peer enters besides the first.
const FURTHER: usize = 10;

/// Swarms that these are of, all in all.
const SWARMS: usize = 1000;

/// Bytes of the server's own memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// For each idle peer in one swarm of all of them.
    pub peer: f64,
    /// For each further membership of such a peer, in 1,000 swarms in all.
    pub membership: f64,
    /// For each further swarm in which a peer is alone.
    pub lone_swarm: f64,
}

/// For each open socket of the echo that has been used once.
pub async fn echo(plan: &Plan) -> Result<f64> {
    let subject = Subject::echo()?;
    let before = at_rest(&subject).await?;
    let mut sockets = Vec::new();
    let frame = crate::socket::frame(&[b'x'; 256]);
    for _ in 0..plan.peers {
        let mut socket = Socket::open(subject.address, subject.path).await?;
        socket.send(&frame).await?;
        socket.next().await?;
        sockets.push(socket);
    }
    Ok(growth(before, at_rest(&subject).await?, plan.peers))
}

/// Of the coordination server.
pub async fn coord(plan: &Plan, server: &Path) -> Result<Memory> {
    let subject = Subject::coord(server)?;
    let start = at_rest(&subject).await?;
    let mut crowd = cast::crowd(&subject, plan.peers).await?;
    let joined = at_rest(&subject).await?;
    for (number, peer) in crowd.iter_mut().enumerate() {
        for further in 0..FURTHER {
            let swarm = 1 + (number * FURTHER + further) % SWARMS;
            peer.enter(cast::content(swarm), ChunkSet::full(12)).await?;
        }
    }
    let further = at_rest(&subject).await?;
    for (number, peer) in crowd.iter_mut().enumerate() {
        peer.enter(cast::content(1_000_000 + number), ChunkSet::full(12)).await?;
    }
    let alone = at_rest(&subject).await?;
    Ok(Memory {
        peer: growth(start, joined, plan.peers),
        membership: growth(joined, further, plan.peers * FURTHER),
        lone_swarm: growth(further, alone, plan.peers),
    })
}

async fn at_rest(subject: &Subject) -> Result<u64> {
    sleep(REST).await;
    subject.memory()
}

fn growth(before: u64, after: u64, count: usize) -> f64 {
    (after as f64 - before as f64) / count.max(1) as f64
}
