//! What the store holds, so that most questions need no look into the cache. Kept in
//! the store itself, as a JSON document that is written a little late: see
//! [`Catalogue::settled`].

use dcdn_protocol::plain::{self, Read, Tree, Write};
use dcdn_protocol::store::{Entry, manifest_path};
use dcdn_protocol::{ChunkSet, ContentId, Layout, record};
use vecmap::{VecMap, VecSet};

use crate::room::Shelf;

/// Name of its entry.
pub const DOCUMENT: &str = "/dcdn/store/catalogue";

/// What the store holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// Whether this is all, and all of this is there. A worker may be stopped at any
    /// time, so the document says `false` while entries are written and deleted; the
    /// next worker then compares it with what there is: [`Catalogue::reconcile`].
    pub settled: bool,
    /// The content that a resource had when last seen, by path and query.
    pub urls: VecMap<String, ContentId>,
    /// The contents.
    pub contents: VecMap<ContentId, Held>,
}

/// One content in the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// The chunks that are there.
    pub chunks: ChunkSet,
    /// When it was last used, in milliseconds since the epoch.
    pub used_ms: f64,
    /// Bytes of the whole content.
    pub length: u64,
    /// Bytes of its chunks.
    pub chunk_size: u32,
}

record!(Held or default { chunks, used_ms, length, chunk_size });

impl Held {
    /// How it is cut; `None` if nothing that makes sense was written.
    pub fn layout(&self) -> Option<Layout> {
        Layout::new(self.length, self.chunk_size).ok()
    }

    /// Bytes of the chunks that are there.
    pub fn bytes(&self) -> u64 {
        let Some(layout) = self.layout() else { return 0 };
        self.chunks.runs().map(|run| layout.range_of_run(&run).len()).sum()
    }
}

impl Catalogue {
    /// The chunks of `content` that are in the store.
    pub fn chunks(&self, content: ContentId) -> ChunkSet {
        self.contents.get(&content).map(|held| held.chunks.clone()).unwrap_or_default()
    }

    /// The contents used last, latest first.
    pub fn latest(&self, most: usize) -> Vec<ContentId> {
        let mut contents: Vec<_> =
            self.contents.iter().filter(|(_, held)| !held.chunks.is_empty()).collect();
        contents.sort_by(|(_, a), (_, b)| b.used_ms.total_cmp(&a.used_ms));
        contents.into_iter().take(most).map(|(content, _)| *content).collect()
    }

    /// `url` now is `content`, which is cut like this. What it was before stays until
    /// room is needed.
    pub fn describe(&mut self, url: &str, content: ContentId, layout: Layout, now_ms: f64) {
        self.urls.insert(url.to_owned(), content);
        let held = self.contents.entry(content).or_default();
        (held.length, held.chunk_size) = (layout.length(), layout.chunk_size());
        held.used_ms = now_ms;
    }

    /// `content` has just been used.
    pub fn used(&mut self, content: ContentId, now_ms: f64) {
        if let Some(held) = self.contents.get_mut(&content) {
            held.used_ms = now_ms;
        }
    }

    /// Bytes of all chunks that are there.
    pub fn bytes(&self) -> u64 {
        self.contents.values().map(Held::bytes).sum()
    }

    /// The contents as [`crate::room`] sees them.
    pub fn shelves(
        &self,
        in_use: impl Fn(ContentId) -> bool,
        being_written: impl Fn(ContentId) -> u64,
    ) -> Vec<Shelf> {
        let referenced: VecSet<ContentId> = self.urls.values().copied().collect();
        let shelf = |(&content, held): (&ContentId, &Held)| Shelf {
            content,
            bytes: held.bytes(),
            being_written: being_written(content),
            used_ms: held.used_ms,
            referenced: referenced.contains(&content),
            in_use: in_use(content),
        };
        self.contents.iter().map(shelf).collect()
    }

    /// Forgets a content and the URLs that refer to it. Returns the entries that it had.
    pub fn forget(&mut self, content: ContentId) -> Vec<Entry> {
        let of_it = |(url, it): (&String, &ContentId)| (*it == content).then(|| url.clone());
        let urls: Vec<String> = self.urls.iter().filter_map(of_it).collect();
        for url in &urls {
            self.urls.remove(url);
        }
        let held = self.contents.remove(&content).unwrap_or_default();
        let chunks = held.chunks.iter().map(|chunk| Entry::Chunk(content, chunk));
        chunks.chain(urls.into_iter().map(Entry::Manifest)).collect()
    }

    /// Makes this agree with the `entries` that there are. Returns those that belong to
    /// nothing and have to go.
    ///
    /// A chunk that is there and was not noted counts as held, since whoever reads it
    /// compares its hash.
    pub fn reconcile(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut found: VecMap<ContentId, ChunkSet> = VecMap::new();
        let manifests: VecSet<String> = self.urls.keys().map(|url| manifest_path(url)).collect();
        let mut lost = Vec::new();
        for entry in entries {
            match &entry {
                Entry::Chunk(content, chunk) => {
                    match self.contents.get(content).map(Held::layout) {
                        Some(Some(layout)) if chunk.0 < layout.chunk_count() => {
                            found.entry(*content).or_default().insert(*chunk);
                        }
                        _ => lost.push(entry),
                    }
                }
                Entry::Manifest(_) if manifests.contains(&entry.path()) => {}
                Entry::Manifest(_) => lost.push(entry),
            }
        }
        for (content, held) in &mut self.contents {
            held.chunks = found.remove(content).unwrap_or_default();
        }
        let referenced: VecSet<ContentId> = self.urls.values().copied().collect();
        self.contents
            .retain(|content, held| !held.chunks.is_empty() || referenced.contains(content));
        lost
    }
}

/// Properties that are absent are the default's.
impl Read for Catalogue {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        let mut catalogue = Self::default();
        plain::overwrite(&mut catalogue.settled, tree, "settled")?;
        plain::overwrite_entries(&mut catalogue.urls, tree, "urls")?;
        plain::overwrite_entries(&mut catalogue.contents, tree, "contents")?;
        Some(catalogue)
    }
}

impl Write for Catalogue {
    fn write<T: Tree>(&self) -> T {
        let Self { settled, urls, contents } = self;
        let mut tree = T::object();
        plain::put(&mut tree, "settled", settled);
        plain::put_entries(&mut tree, "urls", urls);
        plain::put_entries(&mut tree, "contents", contents);
        tree
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
