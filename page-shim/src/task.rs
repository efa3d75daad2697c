//! A future that runs for as long as somebody owns it.

use std::future::Future;

use futures::future::{AbortHandle, abortable};
use wasm_bindgen_futures::spawn_local;

/// Dropping it stops the future at its next wait.
#[derive(Debug)]
#[must_use = "a task stops when it is dropped"]
pub struct Task(AbortHandle);

impl Task {
    /// Starts `future` in a microtask.
    pub fn spawn(future: impl Future<Output = ()> + 'static) -> Self {
        let (future, handle) = abortable(future);
        spawn_local(async move {
            // Aborted or finished: nobody waits for it either way.
            let _ = future.await;
        });
        Self(handle)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
