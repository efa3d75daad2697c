//! What the pages say.

use std::rc::Rc;

use dcdn_protocol::message::shim::{
    BODY, HANDSHAKE, KEEP_ALIVE, RECONNECT, SHELL, ToShim, ToWorker,
};
use dcdn_protocol::{SiteConfig, VERSION};
use dcdn_swarm::Input;
use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Client, ExtendableMessageEvent, MessageEvent, MessagePort, Response};

use crate::chunks::Chunk;
use crate::engine::Engine;
use crate::error::Error;
use crate::js::{property, scope, warn};
use crate::pages::Page;
use crate::session::SessionId;
use crate::{shell, store};

/// Contents that a page is found by at the most: those used last.
const MAX_SEEDED: usize = 64;

impl Engine {
    /// A `message` event of the worker. What is not ours is ignored.
    pub fn message(self: &Rc<Self>, event: &ExtendableMessageEvent) {
        let data = event.data();
        let Some(kind) = property(&data, "type").as_string() else { return };
        let source = event.source().map(JsValue::from).unwrap_or_default();
        let Some(client) = property(&source, "id").as_string() else { return };
        match kind.as_str() {
            HANDSHAKE => {
                if let Ok(port) = event.ports().get(0).dyn_into::<MessagePort>() {
                    self.take_port(&client, port);
                }
            }
            SHELL => {
                let urls = property(&data, "urls");
                if urls.is_array() {
                    let urls = Array::from(&urls);
                    let urls = urls.iter().filter_map(|url| url.as_string()).collect();
                    let engine = Rc::clone(self);
                    spawn_local(async move { engine.keep_parts(urls).await });
                }
            }
            KEEP_ALIVE => {
                // That it came is what keeps the worker alive.
                let state = self.state();
                state.pages.tell_one_busy(&client, state.open_readers > 0);
            }
            _ => {}
        }
    }

    /// Asks the pages for ports. Those that the worker had before it was stopped
    /// are dead.
    pub async fn ask_for_ports(self: &Rc<Self>) {
        for client in existing_clients().await.unwrap_or_default() {
            if self.state().pages.get(&client.id()).is_some() {
                continue;
            }
            let call = js_sys::Object::new();
            let _ = js_sys::Reflect::set(&call, &"type".into(), &RECONNECT.into());
            let _ = client.post_message(&call);
        }
    }

    /// Forgets the pages that have gone without a word.
    async fn forget_vanished(self: &Rc<Self>) {
        let Ok(existing) = existing_clients().await else { return };
        let existing: Vec<String> = existing.iter().map(Client::id).collect();
        let vanished = self.state().pages.vanished(&existing);
        for client in vanished {
            self.page_gone(&client);
        }
    }

    fn take_port(self: &Rc<Self>, client: &str, port: MessagePort) {
        let engine = Rc::clone(self);
        let from = client.to_owned();
        let on_message = Closure::new(move |event: MessageEvent| {
            if let Err(error) = engine.hear(&from, &event.data()) {
                warn(&format!("a page said something that is not understood: {error}"));
            }
        });
        let gone = self.state().pages.insert(client, Page::new(port, on_message));
        self.links_gone(&gone);
        let engine = Rc::clone(self);
        spawn_local(async move { engine.forget_vanished().await });
    }

    /// A message on the port of `client`.
    ///
    /// # Errors
    /// If it is none.
    pub fn hear(self: &Rc<Self>, client: &str, data: &JsValue) -> Result<(), Error> {
        let body = property(data, BODY);
        // Reading the message must not read the chunk into wasm memory.
        if let Some(object) = data.dyn_ref::<js_sys::Object>() {
            js_sys::Reflect::delete_property(object, &BODY.into())?;
        }
        let message: ToWorker = dcdn_plain::from_object(data)?;
        match message {
            ToWorker::Hello { version, settings, page, time_origin } => {
                if version != VERSION {
                    if let Some(page) = self.state().pages.get(client) {
                        page.turn_away();
                    }
                    self.page_gone(client);
                    return Ok(());
                }
                let news = self.state().site.page_said_hello(&page, &settings);
                if news {
                    self.save_site();
                }
                let config = self.state().site.config_for(&page);
                if let Some(it) = self.state().pages.get_mut(client) {
                    it.path = page;
                }
                self.greet(client, config, time_origin);
            }
            ToWorker::Probe => {
                let engine = Rc::clone(self);
                let client = client.to_owned();
                spawn_local(async move {
                    let Some(up) = engine.is_reachable(&client).await else { return };
                    if let Some(page) = engine.state().pages.get(&client) {
                        page.post(&ToShim::Reachable { up });
                    }
                });
            }
            ToWorker::NoPeers => {
                if let Some(page) = self.state().pages.get_mut(client) {
                    page.no_peers = true;
                }
                self.expect_all(client);
            }
            ToWorker::Expecting { content, peers } => {
                if let Some(page) = self.state().pages.get_mut(client) {
                    page.no_peers = false;
                    page.expecting.insert(content, peers);
                }
                self.expect_all(client);
            }
            ToWorker::PeerUp { peer, me, expected } => self.peer_up(client, peer, me, expected),
            ToWorker::PeerDown { peer } => {
                let link = self.state().pages.link_down(client, peer);
                self.links_gone(link.as_slice());
            }
            ToWorker::PeerHas { peer, content, chunks } => {
                self.peer_has(client, peer, content, &chunks);
            }
            ToWorker::Progress { peer, content, chunk, received } => {
                let (link, asked) = {
                    let state = self.state();
                    let Some(link) = state.pages.link(client, peer) else { return Ok(()) };
                    (link, state.requested.get(&(link, content, chunk)).copied())
                };
                if let Some(asked) = asked {
                    self.feed(asked.by, Input::LinkProgress { link, chunk, received });
                }
            }
            ToWorker::Chunk { peer, content, chunk } => {
                let bytes = body
                    .dyn_into::<ArrayBuffer>()
                    .map_err(|_| Error::Malformed("a chunk without bytes".to_owned()))?;
                let link = self.state().pages.link(client, peer);
                if let Some(link) = link {
                    let chunk = Chunk { index: chunk, bytes: Uint8Array::new(&bytes) };
                    self.peer_chunk(link, content, chunk);
                }
            }
            ToWorker::ChunkFail { peer, content, chunk, reason } => {
                let (link, asked) = {
                    let mut state = self.state();
                    let Some(link) = state.pages.link(client, peer) else { return Ok(()) };
                    (link, state.requested.remove(&(link, content, chunk)))
                };
                if let Some(asked) = asked {
                    self.feed(asked.by, Input::LinkFailed { link, chunk, reason });
                }
            }
            ToWorker::Salvaged { peer, content, chunk, .. } => {
                let link = self.state().pages.link(client, peer);
                if let Some(link) = link {
                    // None if nothing came from the chunk's beginning.
                    let beginning = body.dyn_into::<ArrayBuffer>().ok();
                    self.salvaged(link, content, chunk, beginning.as_ref());
                }
            }
            ToWorker::StatsRequest { id } => {
                let mut state = self.state();
                let Some(page) = state.pages.get(client) else { return Ok(()) };
                let time_origin = page.time_origin;
                let stats = state.pages.tally(client).report(time_origin);
                if let Some(page) = state.pages.get(client) {
                    page.post(&ToShim::Stats { id, stats });
                }
            }
            ToWorker::Do { id, errand } => self.run_errand(client, id, errand),
            ToWorker::Undo { id } => {
                if let Some(page) = self.state().pages.get_mut(client) {
                    page.errands.remove(&id);
                }
            }
            ToWorker::Bye => self.page_gone(client),
        }
        Ok(())
    }

    /// Keeps what a page has loaded.
    async fn keep_parts(&self, urls: Vec<String>) {
        for url in urls {
            if !self.keeps_pages() {
                return;
            }
            // Offline it is then as if it had not been kept.
            if let Ok(response) = shell::part(&url).await {
                let _ = self.keep_page(&url, &response).await;
            }
        }
    }

    /// Keeps a response that a page has got for offline use, where the site wants that.
    ///
    /// # Errors
    /// If the cache cannot be written.
    pub async fn keep_page(&self, url: &str, response: &Response) -> Result<(), Error> {
        if !self.keeps_pages() {
            return Ok(());
        }
        let outcome = shell::keep(url, response).await;
        if !self.keeps_pages() {
            // The site has changed its mind meanwhile, and this has brought the cache back.
            store::drop_cache(shell::CACHE).await;
        }
        outcome
    }

    fn keeps_pages(&self) -> bool {
        let config = &self.state().site.config;
        config.enabled && config.offline_pages
    }

    fn greet(self: &Rc<Self>, client: &str, config: SiteConfig, time_origin: f64) {
        let sessions: Vec<SessionId> = {
            let state = &mut *self.state();
            let Some(page) = state.pages.get_mut(client) else { return };
            page.time_origin = time_origin;
            page.coord.clone_from(&config.coord);
            page.welcome(config);
            if state.open_readers > 0 {
                page.post(&ToShim::Busy { open: true, totals: None });
            }
            // What the page itself is reading is joined below, with a wish for peers.
            let reads = |content| {
                let mut sessions = state.sessions.values();
                sessions.any(|it| it.content() == Some(content) && it.is_read_by(client))
            };
            let seeded = state.catalogue.latest(MAX_SEEDED);
            for content in seeded.into_iter().filter(|content| !reads(*content)) {
                page.post(&ToShim::Have { content, chunks: state.catalogue.chunks(content) });
                page.post(&ToShim::Join { content, want: 0 });
            }
            // Whatever the page was looking for before, its shim has forgotten.
            for session in state.sessions.values_mut() {
                session.joined.remove(client);
            }
            state.sessions.keys().copied().collect()
        };
        for id in sessions {
            self.join(id);
        }
    }

    fn page_gone(self: &Rc<Self>, client: &str) {
        let gone = self.state().pages.remove(client);
        self.links_gone(&gone);
        self.join_again();
        self.expect_all(client);
    }
}

async fn existing_clients() -> Result<Vec<Client>, Error> {
    let found = JsFuture::from(scope().clients().match_all()).await?;
    Ok(Array::from(&found).iter().map(JsCast::unchecked_into).collect())
}
