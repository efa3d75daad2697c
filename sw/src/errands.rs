//! What a page's script wants done: `dcdn.prefetch`, `forget`, `clear`, `unregister`.

use std::rc::Rc;

use dcdn_protocol::message::shim::{Errand, Outcome, ToShim};
use futures::channel::oneshot;
use futures::future::{Either, select};
use wasm_bindgen_futures::spawn_local;

use crate::engine::Engine;

impl Engine {
    /// Runs an errand of `client`, and tells it how that ended, unless it is taken back or
    /// the page goes. Pages keep the worker alive meanwhile.
    pub fn run_errand(self: &Rc<Self>, client: &str, id: u32, errand: Errand) {
        let undone = {
            let mut state = self.state();
            let Some(page) = state.pages.get_mut(client) else { return };
            let (undo, undone) = oneshot::channel();
            if page.errands.contains_key(&id) {
                return;
            }
            page.errands.insert(id, undo);
            undone
        };
        let (engine, client) = (Rc::clone(self), client.to_owned());
        spawn_local(async move {
            engine.begin_work();
            let work = Box::pin(engine.outcome(&client, errand));
            let ended = match select(work, undone).await {
                Either::Left((outcome, _)) => Some(outcome),
                // Whoever took it back waits for nothing.
                Either::Right(_) => None,
            };
            engine.end_work();
            let mut state = engine.state();
            let (Some(outcome), Some(page)) = (ended, state.pages.get_mut(&client)) else { return };
            if page.errands.remove(&id).is_some() {
                page.post(&ToShim::Outcome { id, outcome });
            }
        });
    }

    async fn outcome(self: &Rc<Self>, client: &str, errand: Errand) -> Outcome {
        let bytes = match errand {
            Errand::Prefetch { url } => match self.prefetch(client, &url).await {
                Ok(bytes) => bytes,
                Err(why) => return Outcome { ok: false, bytes: 0, error: Some(why) },
            },
            Errand::Forget { url } => {
                let bytes = self.forget_url(&url);
                self.chores_done().await;
                bytes
            }
            Errand::Clear => self.clear().await,
            Errand::Unregister => self.leave(Some(client)).await,
        };
        Outcome { ok: true, bytes, error: None }
    }
}
