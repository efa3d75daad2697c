//! The service worker.
//!
//! `static/sw.js` registers the listeners, compiles this crate and hands over the
//! events. The way of a request:
//!
//! ```text
//! fetch event ─► route ─► range ─► session ─► swarm's core ─► commands
//!                                                                │
//!      page ◄── stream ◄── chunks ◄── verify ◄── origin, peers, store
//!                                      └─► store ─► other visitors
//! ```
//!
//! [`route`], [`range`], [`answer`], [`room`], [`catalogue`], [`spans`], [`stats`] and [`site`] are pure. The engine
//! feeds each session's core and carries out its commands, one arm each. Payload
//! bytes stay in JS memory; what passes through here are handles and numbers.
//!
//! Whatever goes wrong, the page gets what plain HTTP would have given: before
//! the first byte by passing the request on, after it by an error in the body,
//! never by a clean-looking short one.

pub mod answer;
mod bridge;
pub mod catalogue;
mod chunks;
mod content;
mod delivery;
mod early;
mod engine;
mod errands;
pub mod error;
mod follow;
mod js;
mod keep;
mod lifetime;
mod origin;
mod pages;
mod peers;
mod probe;
pub mod range;
pub mod room;
pub mod route;
mod session;
mod shell;
pub mod site;
pub mod spans;
pub mod stats;
pub mod store;
pub mod stream;
mod tails;
mod transfer;
mod wire;

use std::rc::Rc;

use dcdn_protocol::SiteConfig;
use dcdn_protocol::store::CACHE;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise, spawn_local};
use web_sys::{ExtendableMessageEvent, FetchEvent, Request, RequestCache, RequestInit, Response};

use crate::engine::Engine;
use crate::error::Error;

/// The worker, for `static/sw.js`.
#[wasm_bindgen]
pub struct Worker(Rc<Engine>);

#[wasm_bindgen]
impl Worker {
    /// Reads what is remembered and calls the pages that a predecessor left behind.
    pub async fn start() -> Self {
        // Elsewhere panics have no words: they trap, and `sw.js` sees to what follows.
        #[cfg(debug_assertions)]
        console_error_panic_hook::set_once();
        let (site, catalogue) =
            futures::join!(store::document(site::DOCUMENT), store::document(catalogue::DOCUMENT));
        let engine = Engine::new(site, catalogue);
        engine.reconcile();
        let pages = Rc::clone(&engine);
        spawn_local(async move { pages.ask_for_ports().await });
        Self(engine)
    }

    /// Whether a request is for us. Decided at once.
    #[wasm_bindgen(js_name = isOurs)]
    pub fn is_ours(&self, request: &Request) -> bool {
        self.0.is_ours(request)
    }

    /// Answers a request, ours or not.
    pub fn respond(&self, event: FetchEvent) -> Promise {
        let engine = Rc::clone(&self.0);
        engine.heard();
        future_to_promise(async move { engine.respond(event).await.map(JsValue::from) })
    }

    /// Ends when no response is being read.
    pub fn idle(&self) -> Promise {
        let engine = Rc::clone(&self.0);
        future_to_promise(async move {
            engine.idle().await;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Takes a `message` event.
    pub fn message(&self, event: &ExtendableMessageEvent) {
        self.0.heard();
        self.0.message(event);
    }

    /// Asks whether the coordination server answers, for a page that is about to want it.
    pub fn probe(&self) {
        self.0.probe_ahead();
    }

    /// A page of the site is being opened: brings the configuration up to date, and asks whether
    /// the coordination server answers.
    pub fn refresh(&self) -> Promise {
        let engine = Rc::clone(&self.0);
        engine.probe_ahead();
        future_to_promise(async move {
            if let Ok(config) = fetch_config().await {
                if !config.enabled {
                    engine.switch_off(config).await;
                    return Ok(JsValue::UNDEFINED);
                }
                let news = {
                    let mut state = engine.state();
                    std::mem::replace(&mut state.site.config, config.clone()) != config
                };
                if news {
                    engine.save_site();
                    engine.trim().await;
                }
            }
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Deletes what older releases have left; `runtime` is the cache of `sw.js` itself.
    #[wasm_bindgen(js_name = dropOldCaches)]
    pub fn drop_old_caches(&self, runtime: String) -> Promise {
        future_to_promise(async move {
            let kept = [runtime.as_str(), CACHE, shell::CACHE];
            store::drop_caches_except(&kept).await.map_err(|error| JsValue::from(&error))?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Keeps a page for offline use, where the site wants that.
    #[wasm_bindgen(js_name = keepPage)]
    pub fn keep_page(&self, url: String, response: Response) -> Promise {
        let engine = Rc::clone(&self.0);
        future_to_promise(async move {
            let kept = engine.keep_page(&url, &response).await;
            kept.map_err(|error| JsValue::from(&error))?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// What was kept under `url`, or undefined.
    #[wasm_bindgen(js_name = keptPage)]
    pub fn kept_page(&self, url: String) -> Promise {
        future_to_promise(async move { Ok(shell::kept(&url).await.into()) })
    }
}

async fn fetch_config() -> Result<SiteConfig, Error> {
    let init = RequestInit::new();
    init.set_cache(RequestCache::NoCache);
    let response =
        origin::send(&Request::new_with_str_and_init("/dcdn/config.json", &init)?).await?;
    if !response.ok() {
        return Err(Error::Status { status: response.status() });
    }
    let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
    Ok(dcdn_plain::from_json(&text)?)
}
