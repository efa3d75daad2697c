//! One computation for each key, however many ask at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tracing::Instrument;

/// Computations that are under way.
#[derive(Debug)]
pub struct Flights<K, T> {
    most: usize,
    under_way: Arc<Mutex<UnderWay<K, T>>>,
}

/// The result of each is `None` if there will be none.
type UnderWay<K, T> = HashMap<K, Flight<T>>;
type Flight<T> = Shared<BoxFuture<'static, Option<T>>>;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFlight {
    /// As many as there may be are under way.
    Full,
    /// The computation panicked, or the server is stopping.
    Stopped,
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// None under way, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self { most, under_way: Arc::default() }
    }

    /// The result for `key`: of the computation that is under way, or else of `compute`.
    /// It goes on when whoever asked for it goes away.
    ///
    /// # Errors
    /// [`NoFlight`].
    pub async fn join<F>(&self, key: &K, compute: impl FnOnce() -> F) -> Result<T, NoFlight>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let flight = {
            let mut under_way = lock(&self.under_way);
            match under_way.get(key) {
                Some(flight) => flight.clone(),
                None if under_way.len() >= self.most => return Err(NoFlight::Full),
                None => {
                    let landing = Landing { key: key.clone(), under_way: self.under_way.clone() };
                    let computing = compute();
                    let task = async move {
                        let _landing = landing;
                        computing.await
                    };
                    let task = tokio::spawn(task.in_current_span());
                    let flight = task.map(Result::ok).boxed().shared();
                    under_way.insert(key.clone(), flight.clone());
                    flight
                }
            }
        };
        flight.await.ok_or(NoFlight::Stopped)
    }
}

/// Takes a computation off the list, however it ends.
struct Landing<K: Eq + Hash, T: Clone> {
    key: K,
    under_way: Arc<Mutex<UnderWay<K, T>>>,
}

impl<K: Eq + Hash, T: Clone> Drop for Landing<K, T> {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.key);
    }
}

fn lock<K, T: Clone>(under_way: &Mutex<UnderWay<K, T>>) -> MutexGuard<'_, UnderWay<K, T>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_and_the_next_gets_another() {
        let (flights, runs) = (Flights::new(1), Arc::new(AtomicU32::new(0)));
        let compute = || {
            let runs = Arc::clone(&runs);
            async move { runs.fetch_add(1, Ordering::Relaxed) }
        };

        let first = futures::future::join_all((0..9).map(|_| flights.join(&"a", compute))).await;
        let second = flights.join(&"a", compute).await;

        assert_eq!(first, [Ok(0); 9]);
        assert_eq!(second, Ok(1));
    }

    #[tokio::test]
    async fn there_are_never_more_than_the_limit_and_one_goes_on_without_who_asked() {
        let (flights, go) = (Flights::new(1), Arc::new(Notify::new()));
        let waiting = Arc::clone(&go);
        let mut first = Box::pin(flights.join(&"a", || async move {
            waiting.notified().await;
            1
        }));
        assert!(futures::poll!(&mut first).is_pending());

        assert_eq!(flights.join(&"b", || async { 2 }).await, Err(NoFlight::Full));
        drop(first);
        go.notify_one();
        let joined = flights.join(&"a", || async { 3 }).await;

        assert_eq!(joined, Ok(1));
        assert_eq!(flights.join(&"b", || async { 2 }).await, Ok(2));
    }
}
