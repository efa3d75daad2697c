//! A worker that hears of no event is stopped, whatever it is sending. Pages with our script see to
//! it that it does hear of some (`page-shim/src/bridge.rs`), for all others, too; without one of them
//! nobody does.
//!
//! A page in Chromium sees that as an error in the body. In Firefox it looks as if the body had
//! come to its end, which must not be. So what a page without our script fetches in one piece is left to
//! the network once it is known that the page is one, and until then ends in an error if it takes too long.

use std::rc::Rc;
use std::time::Duration;

use gloo_timers::future::TimeoutFuture;
use wasm_bindgen_futures::spawn_local;

use crate::engine::Engine;
use crate::error::Error;
use crate::js::{now, property, scope};
use crate::session::Session;

/// Time without an event after which a body is given up. Firefox stops a worker after 30 s.
const SILENCE: Duration = Duration::from_secs(25);

impl Engine {
    /// Whether nobody would keep the worker alive for the page at `path`.
    pub fn is_on_its_own(&self, path: &str) -> bool {
        let state = self.state();
        state.site.is_silent(path) && state.pages.greeted().next().is_none()
    }

    /// Whether all of `url` is stored, as far as is known.
    pub fn holds_all(&self, url: &str) -> bool {
        let state = self.state();
        let content = state.catalogue.urls.get(url);
        content.and_then(|content| state.catalogue.contents.get(content)).is_some_and(|held| {
            held.layout().is_some_and(|layout| held.chunks.is_full(layout.chunk_count()))
        })
    }

    /// An event has come.
    pub fn heard(&self) {
        self.state().heard = now();
    }

    /// Sees to it, where that is necessary, that what is read ends in an error before the worker is
    /// stopped.
    pub fn watch_silence(self: &Rc<Self>) {
        // Where it is not, once is enough to find that out.
        if std::mem::replace(&mut self.state().watches, true) || !stops_look_like_ends() {
            return;
        }
        let engine = Rc::clone(self);
        spawn_local(async move {
            while let Some(left) = engine.may_last() {
                TimeoutFuture::new(left).await;
                if engine.state().open_readers == 0 {
                    engine.state().watches = false;
                    return;
                }
            }
            engine.state().watches = false;
            // A player asks again for what is missing of a range.
            let in_one_piece = |it: &Session| it.readers.values().any(|it| !it.goes_on);
            for id in engine.sessions_where(in_one_piece) {
                engine.fail(id, &Error::Unavailable);
            }
        });
    }

    /// Milliseconds for which nothing need be heard yet.
    fn may_last(&self) -> Option<u32> {
        let left = SILENCE.checked_sub(now() - self.state().heard)?;
        u32::try_from(left.as_millis()).ok().filter(|left| *left > 0)
    }
}

/// Whether a body is taken for complete when its worker is stopped: in Firefox.
fn stops_look_like_ends() -> bool {
    let agent = property(&scope().navigator(), "userAgent").as_string().unwrap_or_default();
    agent.contains("Firefox/")
}
