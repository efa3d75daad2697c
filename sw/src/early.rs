//! What is at hand of a content by the time that it is known to be current: manifests used of late,
//! which need not be read again, and the chunk that its reader needs first, which is read meanwhile.

use std::rc::Rc;

use dcdn_protocol::{ChunkIndex, ContentId};
use futures::channel::oneshot;
use js_sys::Uint8Array;
use wasm_bindgen_futures::spawn_local;

use crate::engine::Engine;
use crate::session::SessionId;
use crate::store::{self, Known};

/// Manifests that are kept in memory at the most.
const MANIFESTS: usize = 32;

/// Most chunks of a content whose manifest is: 1 GiB in chunks of the usual size, 128 KiB of hashes.
const CHUNKS: usize = 4096;

/// Manifests used of late, the latest last.
#[derive(Default)]
pub struct Manifests(Vec<Known>);

impl Manifests {
    /// Notes what is now known of a resource.
    pub fn note(&mut self, known: &Known) {
        self.0.retain(|it| it.manifest.url != known.manifest.url);
        if known.manifest.hashes.len() > CHUNKS {
            return;
        }
        if self.0.len() == MANIFESTS {
            self.0.remove(0);
        }
        self.0.push(known.clone());
    }

    fn of(&self, url: &str, content: ContentId) -> Option<Known> {
        let is_it = |it: &&Known| it.manifest.url == url && it.manifest.content_id() == content;
        self.0.iter().find(is_it).cloned()
    }
}

/// A chunk that is being read from the store.
pub struct Early {
    content: ContentId,
    chunk: ChunkIndex,
    bytes: oneshot::Receiver<Option<Uint8Array>>,
}

impl Early {
    fn read(content: ContentId, chunk: ChunkIndex) -> Self {
        let (read, bytes) = oneshot::channel();
        spawn_local(async move {
            // Nobody wants it if the content has turned out to be another one.
            let _ = read.send(store::chunk(content, chunk).await.ok().flatten());
        });
        Self { content, chunk, bytes }
    }
}

impl Engine {
    /// Begins to read what a reader at `offset` needs first of a content that is yet to be
    /// checked, if the store has it.
    pub fn read_early(&self, id: SessionId, offset: u64) {
        let state = &mut *self.state();
        let Some(session) = state.sessions.get_mut(&id) else { return };
        let Some(&content) = state.catalogue.urls.get(&session.url) else { return };
        let Some(held) = state.catalogue.contents.get(&content) else { return };
        let Some(layout) = held.layout().filter(|layout| offset < layout.length()) else { return };
        let chunk = layout.chunk_at(offset);
        session.early = held.chunks.contains(chunk).then(|| Early::read(content, chunk));
    }

    /// A chunk from the store, whatever is in it.
    pub async fn stored_chunk(
        &self,
        id: SessionId,
        content: ContentId,
        chunk: ChunkIndex,
    ) -> Option<Uint8Array> {
        let is_it = |early: &mut Early| early.content == content && early.chunk == chunk;
        let early = match self.state().sessions.get_mut(&id) {
            Some(session) => session.early.take_if(is_it),
            None => None,
        };
        let early = early.unwrap_or_else(|| Early::read(content, chunk));
        early.bytes.await.ok().flatten()
    }

    /// The stored manifest of a resource, if it is that of `content`.
    pub async fn stored_manifest(self: &Rc<Self>, url: &str, content: ContentId) -> Option<Known> {
        let at_hand = self.state().manifests.of(url, content);
        match at_hand {
            Some(known) => Some(known),
            None => {
                let known = store::manifest(url).await.ok().flatten();
                known.filter(|known| known.manifest.content_id() == content)
            }
        }
    }
}

#[cfg(all(test, target_arch = "wasm32"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use dcdn_protocol::{ChunkHash, Layout, Manifest};
    use wasm_bindgen_test::*;

    use super::*;

    wasm_bindgen_test_configure!(run_in_service_worker);

    /// The manifest of a resource with `chunks` chunks, all of whose hashes begin with `version`.
    fn known(url: &str, chunks: u32, version: u8) -> Known {
        let layout = Layout::new(u64::from(chunks) * 1024, 1024).unwrap();
        let hashes = vec![ChunkHash([version; 32]); chunks as usize];
        let manifest =
            Manifest::new(url.to_owned(), layout, String::new(), None, None, hashes).unwrap();
        Known { manifest: Rc::new(manifest), etag: None, checked_ms: 0.0 }
    }

    #[wasm_bindgen_test]
    fn the_manifests_used_longest_ago_are_forgotten_first() {
        let mut manifests = Manifests::default();
        let all: Vec<Known> = (0..=32).map(|number| known(&format!("/{number}"), 1, 1)).collect();
        for it in &all[..32] {
            manifests.note(it);
        }
        manifests.note(&all[0]);
        manifests.note(&all[32]);
        let is_there = |it: &Known| manifests.of(&it.manifest.url, it.manifest.content_id());
        assert_eq!(is_there(&all[0]).as_ref(), Some(&all[0]));
        assert_eq!(is_there(&all[1]), None);
        assert_eq!(all.iter().filter_map(is_there).count(), 32);
    }

    #[wasm_bindgen_test]
    fn a_resource_has_one_manifest_the_latest_and_none_that_takes_much_memory() {
        let mut manifests = Manifests::default();
        let (old, new) = (known("/a", 2, 1), known("/a", 2, 2));
        let of = |manifests: &Manifests, it: &Known| manifests.of("/a", it.manifest.content_id());
        manifests.note(&old);
        manifests.note(&new);
        assert_eq!(of(&manifests, &old), None);
        assert_eq!(of(&manifests, &new).as_ref(), Some(&new));
        manifests.note(&known("/a", 4097, 3));
        assert_eq!(of(&manifests, &new), None);
    }
}
