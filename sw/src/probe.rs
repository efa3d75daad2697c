//! Whether the coordination server answers: asked about when a page is opened, so that the page
//! need not wait for it, and again whenever one asks.

use std::rc::Rc;

use dcdn_protocol::PolicyName;
use futures::channel::oneshot;
use wasm_bindgen_futures::spawn_local;

use crate::engine::Engine;
use crate::js::epoch_ms;
use crate::origin;

/// Milliseconds for which an answer says something.
const FRESH_MS: f64 = 10_000.0;

/// A question under way, or its answer.
pub struct Probe {
    coord: String,
    asked_ms: f64,
    up: oneshot::Receiver<bool>,
}

impl Probe {
    fn start(coord: String) -> Self {
        let (answer, up) = oneshot::channel();
        let asked = coord.clone();
        spawn_local(async move {
            // Nobody may want to know any more.
            let _ = answer.send(origin::probe(&asked).await);
        });
        Self { coord, asked_ms: epoch_ms(), up }
    }

    fn is_of(&self, coord: &str) -> bool {
        self.coord == coord && epoch_ms() - self.asked_ms < FRESH_MS
    }
}

impl Engine {
    /// A page is being opened, which will probably want a socket.
    pub fn probe_ahead(&self) {
        let state = &mut *self.state();
        let config = &state.site.config;
        if state.probe.as_ref().is_some_and(|it| it.is_of(&config.coord)) {
            return;
        }
        if config.policy != PolicyName::Http && !config.require_consent {
            state.probe = Some(Probe::start(config.coord.clone()));
        }
    }

    /// Whether the coordination server of `client` answers; `None` if there is no such page.
    pub async fn is_reachable(self: &Rc<Self>, client: &str) -> Option<bool> {
        let probe = {
            let state = &mut *self.state();
            let coord = &state.pages.get(client)?.coord;
            // Each answers one question: whoever asks again has not been able to connect.
            let ahead = state.probe.take().filter(|it| it.is_of(coord));
            ahead.unwrap_or_else(|| Probe::start(coord.clone()))
        };
        Some(probe.up.await == Ok(true))
    }
}
