//! Taking out of the store: for want of room, because it is damaged, because the page or
//! the site says so.

use std::rc::Rc;

use dcdn_protocol::message::shim::ToShim;
use dcdn_protocol::store::Entry;
use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, SiteConfig};
use dcdn_swarm::Input;
use wasm_bindgen_futures::JsFuture;

use crate::engine::Engine;
use crate::js::scope;
use crate::session::SessionId;
use crate::{catalogue, shell, store};

impl Engine {
    /// Removes contents from the store. Sessions that nobody reads end with them; what
    /// others bring is not kept until the content is described anew.
    ///
    /// Pages stop offering them at once. A peer's request that comes in between is
    /// refused, since there is nothing to send.
    pub fn let_go(self: &Rc<Self>, contents: &[ContentId]) {
        for &content in contents {
            let (idle, entries) = {
                let state = &mut *self.state();
                let of_it = state.sessions.iter().filter(|(_, it)| it.content() == Some(content));
                let (busy, idle): (Vec<_>, Vec<_>) = of_it.partition(|(_, it)| it.is_in_use());
                let idle: Vec<SessionId> = idle.into_iter().map(|(id, _)| *id).collect();
                for (_, page) in state.pages.greeted() {
                    page.post(&ToShim::Have { content, chunks: ChunkSet::new() });
                    if busy.is_empty() {
                        page.post(&ToShim::Leave { content });
                    }
                }
                (idle, state.catalogue.forget(content))
            };
            for id in idle {
                self.remove_session(id);
            }
            self.delete_soon(entries);
        }
    }

    /// `url` is what it was no longer: the store has nothing under that name. Returns the
    /// bytes that go with it, which are none if another URL has the same content.
    pub fn forget_url(self: &Rc<Self>, url: &str) -> u64 {
        let (content, bytes, others) = {
            let catalogue = &self.state().catalogue;
            let Some(&content) = catalogue.urls.get(url) else { return 0 };
            let others = catalogue.urls.iter().any(|(it, of)| *of == content && it != url);
            let bytes = catalogue.contents.get(&content).map_or(0, catalogue::Held::bytes);
            (content, bytes, others)
        };
        if others {
            self.unname(url);
            return 0;
        }
        self.let_go(&[content]);
        bytes
    }

    /// `url` no longer is the content that it was, which stays until room is needed.
    pub fn unname(self: &Rc<Self>, url: &str) {
        if self.state().catalogue.urls.remove(url).is_some() {
            self.delete_soon(vec![Entry::Manifest(url.to_owned())]);
        }
    }

    /// Removes everything that is stored of media and pages. Returns the bytes of media
    /// that go.
    pub async fn clear(self: &Rc<Self>) -> u64 {
        let bytes = self.let_all_go();
        self.chore(async { store::drop_cache(shell::CACHE).await });
        self.chores_done().await;
        bytes
    }

    /// The site wants DCDN no more, as this configuration says.
    pub async fn switch_off(self: &Rc<Self>, config: SiteConfig) {
        self.state().site.config = config;
        self.leave(None).await;
    }

    /// Removes everything of ours from this browser, and keeps nothing from now on.
    /// Pages that are open hear of it, but for the one that wants it and waits for the end,
    /// and go on over plain HTTP.
    pub async fn leave(self: &Rc<Self>, wanted_by: Option<&str>) -> u64 {
        {
            let mut state = self.state();
            state.site.config.enabled = false;
            for (client, page) in state.pages.greeted() {
                if wanted_by != Some(client) {
                    page.configure(state.site.config.clone());
                }
            }
        }
        let bytes = self.let_all_go();
        self.chore(async {
            // What the browser refuses to do here, the page tries once more.
            let _ = store::drop_caches_except(&[]).await;
            if let Ok(unregistered) = scope().registration().unregister() {
                let _ = JsFuture::from(unregistered).await;
            }
        });
        self.chores_done().await;
        bytes
    }

    pub(super) fn let_all_go(self: &Rc<Self>) -> u64 {
        let (bytes, contents) = {
            let catalogue = &self.state().catalogue;
            let contents: Vec<ContentId> = catalogue.contents.keys().copied().collect();
            (catalogue.bytes(), contents)
        };
        self.let_go(&contents);
        bytes
    }

    /// Removes some chunks of a content.
    pub(super) fn give_up(self: &Rc<Self>, content: ContentId, gone: &ChunkSet) {
        let left = {
            let mut state = self.state();
            let Some(held) = state.catalogue.contents.get_mut(&content) else { return };
            held.chunks = held.chunks.without(gone);
            held.chunks.clone()
        };
        self.announce(content, &left);
        let missing = Input::StoreMissing { chunks: gone.clone() };
        self.feed_where(|it| it.content() == Some(content) && it.follows.is_none(), &missing);
        self.delete_soon(gone.iter().map(|chunk| Entry::Chunk(content, chunk)).collect());
    }

    /// An entry is not what it should be, or not there: it is not held any more.
    pub fn drop_damaged(self: &Rc<Self>, content: ContentId, chunk: ChunkIndex) {
        self.give_up(content, &[chunk].into_iter().collect());
    }

    pub(super) fn delete_soon(self: &Rc<Self>, entries: Vec<Entry>) {
        self.unsettle();
        let engine = Rc::clone(self);
        self.chore(async move {
            // Otherwise the whole cache goes, and this would bring it back.
            if engine.state().site.config.enabled {
                store::delete(&entries).await;
            }
        });
        self.save_catalogue();
    }

    pub(super) fn announce(&self, content: ContentId, chunks: &ChunkSet) {
        for (_, page) in self.state().pages.greeted() {
            page.post(&ToShim::Have { content, chunks: chunks.clone() });
        }
    }
}
