//! From a world to what became of it, on any number of threads with one result.

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{EntityId, Event, FIRST_VIEWER};
use crate::network::LOOKAHEAD_MS;
use crate::num::count;
use crate::outcome::{Outcome, Totals};
use crate::shard::{Part, Shard};
use crate::world::World;

/// Viewers that are simulated together where nobody shares anything.
const BATCH: u32 = 256;

/// Viewers that keep a thread busy from one meeting of the threads to the next.
const VIEWERS_A_THREAD: usize = 1000;

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// What the viewers have.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Plain HTTP: the control.
    Plain,
    /// The worker, with these settings; each session has a seed of its own.
    Swarm(dcdn_swarm::Settings),
}

/// What became of a world.
#[derive(Clone, Debug)]
pub struct Result {
    /// Of each viewer, in the order of their numbers.
    pub outcomes: Vec<Outcome>,
    /// Sums.
    pub totals: Totals,
}

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// Threads; `None` is as many as are worth while.
    pub threads: Option<usize>,
    /// Whether to tell of progress on standard error.
    pub progress: bool,
}

impl Engine {
    /// Simulates a world. The result does not depend on the number of threads.
    pub fn run(self, world: &World, mode: &Mode) -> Result {
        let nobody_shares = matches!(mode, Mode::Plain) && world.net.origin.mbit.is_none();
        let threads = self.threads.unwrap_or_else(|| worth_while(world)).clamp(1, 64);
        let parts = if nobody_shares {
            alone(world, mode, threads)
        } else {
            together(world, mode, threads, self.progress)
        };
        let mut totals = Totals::default();
        let mut outcomes = Vec::with_capacity(world.visits.len());
        for (of_part, sums) in parts {
            outcomes.extend(of_part);
            totals.merge(sums);
        }
        outcomes.sort_unstable_by_key(|(id, _)| *id);
        let outcomes = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        Result { outcomes, totals }
    }
}

/// Threads that have more to do than to wait for each other.
fn worth_while(world: &World) -> usize {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    available.min(world.visits.len() / VIEWERS_A_THREAD)
}

type Of = (Vec<(EntityId, Outcome)>, Totals);

/// Viewers who share nothing are simulated some at a time, which fits the caches.
fn alone(world: &World, mode: &Mode, threads: usize) -> Vec<Of> {
    let end = FIRST_VIEWER + count(world.visits.len());
    let next = AtomicU32::new(FIRST_VIEWER);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= end {
                        return;
                    }
                    let end = end.min(first.saturating_add(BATCH));
                    let mut shard = Shard::new(world, mode, Part::Alone { first, end });
                    shard.run(world.horizon);
                    let result = shard.finish(world.horizon);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What the threads share. Windows alternate between two sets of everything, so
/// that one barrier between them suffices.
struct Meeting {
    barrier: Barrier,
    /// By parity, sender and receiver.
    mail: [Vec<Vec<Mutex<Letters>>>; 2],
    /// By parity and shard: when it has something to do next.
    next: [Vec<AtomicU64>; 2],
    /// By parity and shard: viewers and events, for the progress.
    state: Vec<(AtomicU64, AtomicU64)>,
}

type Letters = Vec<(u64, Event)>;

fn together(world: &World, mode: &Mode, threads: usize, progress: bool) -> Vec<Of> {
    let boxes = || (0..threads).map(|_| Mutex::default()).collect();
    let mail = || (0..threads).map(|_| boxes()).collect();
    let next = || (0..threads).map(|_| AtomicU64::new(u64::MAX)).collect();
    let meeting = Meeting {
        barrier: Barrier::new(threads),
        mail: [mail(), mail()],
        next: [next(), next()],
        state: (0..threads).map(|_| (AtomicU64::new(0), AtomicU64::new(0))).collect(),
    };
    std::thread::scope(|scope| {
        let meeting = &meeting;
        let work = |index| move || attend(world, mode, meeting, index, progress && index == 0);
        let others: Vec<_> = (1..threads).map(|index| scope.spawn(work(index))).collect();
        let mut results = vec![work(0)()];
        for other in others {
            match other.join() {
                Ok(result) => results.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

/// The work of one thread.
fn attend(world: &World, mode: &Mode, meeting: &Meeting, index: usize, progress: bool) -> Of {
    // A thread that panics would leave the others waiting for it for ever.
    let _guard = AbortOnPanic;
    let of = meeting.next[0].len();
    let mut shard = Shard::new(world, mode, Part::Every { index, of });
    let mut reporter = progress.then(Reporter::new);
    let mut parity = 0;
    loop {
        meeting.next[parity][index].store(shard.next_at(), Ordering::Relaxed);
        for (to, letters) in meeting.mail[parity][index].iter().enumerate() {
            let outbox = shard.outbox(to);
            *letters.lock().unwrap_or_else(PoisonError::into_inner) = outbox;
        }
        let (present, events) = &meeting.state[index];
        present.store(shard.present() as u64, Ordering::Relaxed);
        events.store(shard.events(), Ordering::Relaxed);

        meeting.barrier.wait();

        for sender in &meeting.mail[parity] {
            let mut letters = sender[index].lock().unwrap_or_else(PoisonError::into_inner);
            shard.deliver(std::mem::take(&mut *letters));
        }
        let next = meeting.next[parity].iter().map(|at| at.load(Ordering::Relaxed)).min();
        let start = next.unwrap_or(u64::MAX);
        if start >= world.horizon {
            break;
        }
        if let Some(reporter) = &mut reporter {
            reporter.tell(start, meeting);
        }
        shard.run((start + LOOKAHEAD_MS).min(world.horizon));
        parity = 1 - parity;
    }
    shard.finish(world.horizon)
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

struct Reporter {
    started: Instant,
    told: Instant,
    windows: u32,
}

impl Reporter {
    fn new() -> Self {
        let now = Instant::now();
        Self { started: now, told: now, windows: 0 }
    }

    fn tell(&mut self, virtual_ms: u64, meeting: &Meeting) {
        self.windows += 1;
        if !self.windows.is_multiple_of(64) || self.told.elapsed() < PROGRESS {
            return;
        }
        self.told = Instant::now();
        let sum = |of: fn(&(AtomicU64, AtomicU64)) -> &AtomicU64| -> u64 {
            meeting.state.iter().map(|state| of(state).load(Ordering::Relaxed)).sum()
        };
        let (present, events) = (sum(|it| &it.0), sum(|it| &it.1));
        let wall = self.started.elapsed().as_secs_f64();
        let millions = events as f64 / 1e6;
        let _ = writeln!(
            std::io::stderr(),
            "  {:>6.1} s simulated in {wall:>5.0} s, {present} viewers, {millions:.1} M events, \
             {:.2} M/s, {} MB",
            virtual_ms as f64 / 1000.0,
            millions / wall,
            resident_mb().unwrap_or(0),
        );
    }
}

/// Memory in use, where the system says so.
pub fn resident_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kb: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb / 1024)
}

#[cfg(test)]
mod tests;
