//! Crowds of visitors in virtual time around the real scheduler.
//!
//! A discrete-event simulation: [`scenario`]s say who comes when and for what
//! (`world`), `network` what lies between them, and each `viewer` drives the
//! very same `swarm` code as a browser does. The coordination server's registry is
//! the real one too (`coord`).
//!
//! ```text
//!  scenario ─► World ─► run: shards on threads ─► outcomes, totals ─► report
//!                        │ queue: one bucket per millisecond
//!                        └ entities: viewers, origin, coordination server
//! ```
//!
//! Entities share no state; they act on each other by events that take some
//! milliseconds. What happens to one in a millisecond is sorted before it happens,
//! and every random number is a hash of what it is for. So the same seed gives the
//! same result on any number of threads.
//!
//! A large crowd's memory is many times what the processor's caches hold. What an event
//! will look at is known a few events before, and read then (`ahead`).

mod ahead;
mod coord;
mod dice;
mod event;
mod network;
mod num;
mod origin;
mod outcome;
mod queue;
mod run;
mod shard;
mod viewer;
mod world;

pub mod report;
pub mod scenario;
