//! Ctrl-C, as a question that whoever waits asks from time to time: so everything that
//! was started is ended by the ordinary way out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

/// How often a waiting loop asks.
pub const POLL: Duration = Duration::from_millis(100);

/// Whether SIGINT or SIGTERM has come.
#[derive(Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on signals no longer end the process. At most once.
    pub fn install() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        let raised = Arc::clone(&flag);
        ctrlc::set_handler(move || raised.store(true, Ordering::Relaxed))?;
        Ok(Self(flag))
    }

    /// Whether somebody wants us to end.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails once somebody wants us to end.
    pub fn check(&self) -> Result<()> {
        ensure!(!self.is_raised(), "interrupted");
        Ok(())
    }

    /// Asks `question` until it has an answer; fails once somebody wants us to end.
    pub fn wait_for<T>(&self, mut question: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        loop {
            self.check()?;
            if let Some(answer) = question()? {
                return Ok(answer);
            }
            thread::sleep(POLL);
        }
    }
}
