//! Fetching ahead: as if a page read a resource, but only what the store lacks, and no
//! byte goes to the page.

use std::rc::Rc;

use dcdn_protocol::message::shim::{PageEvent, ToShim};
use dcdn_protocol::stats::Source;
use dcdn_protocol::{ByteRange, ChunkSet, Manifest, PolicyName};
use futures::StreamExt;

use super::{Call, OpenReader};
use crate::engine::Engine;
use crate::range::RangeSpec;
use crate::route;
use crate::session::{ManifestState, SessionId};
use crate::store::Known;

/// Bytes that may wait to be written before more is fetched.
const MAX_BACKLOG: u64 = 8 * 1024 * 1024;

impl Engine {
    /// Fetches what the store lacks of `url` (path and query) as the page of `client`
    /// would. Returns the bytes of the resource, all of which are in the store then.
    ///
    /// # Errors
    /// Why it is not there, for people.
    pub async fn prefetch(self: &Rc<Self>, client: &str, url: &str) -> Result<u64, String> {
        let page = match self.state().pages.get(client) {
            Some(page) => page.path.clone(),
            None => return Err("the page is gone".to_owned()),
        };
        let config = self.state().site.config_for(&page);
        if !config.enabled || config.policy == PolicyName::Http {
            return Err("this page is served over plain HTTP".to_owned());
        }
        if !route::is_of_site(url) {
            return Err("this is DCDN's own".to_owned());
        }
        let call = Call {
            url: url.to_owned(),
            client: client.to_owned(),
            page,
            spec: RangeSpec::Whole,
            if_range: None,
            media: false,
            must_check: false,
            segment: false,
        };
        let (id, cold) = self.open(&call).await;
        if cold {
            // There is no hurry: what is refused costs the origin nothing.
            self.find_manifest(id, false).await;
        }
        let fetched = self.fetch_missing(id, &call).await;
        self.linger(id);
        fetched
    }

    async fn fetch_missing(self: &Rc<Self>, id: SessionId, call: &Call) -> Result<u64, String> {
        let manifest = self.decided(id).await?;
        if !route::is_media(&manifest.mime, &call.url) {
            return Err(format!("{} is neither image, audio nor video", manifest.mime));
        }
        let (content, layout) = (manifest.content_id(), manifest.layout);
        if layout.length() > self.budget().await {
            return Err("it is larger than the store".to_owned());
        }
        self.remember(&manifest);
        let mut is_new = true;
        loop {
            let held = self.state().catalogue.chunks(content);
            let missing = ChunkSet::full(layout.chunk_count()).without(&held);
            if missing.is_empty() && is_new {
                self.say_all_is_there(call, layout.length());
            }
            for run in missing.runs() {
                let range = layout.range_of_run(&run);
                let spec = RangeSpec::Closed(range.start, range.end - 1);
                let (reader, _) = self
                    .register(&Call { spec, ..call.clone() }, id)
                    .ok_or("the transfer ended")?;
                if std::mem::replace(&mut is_new, false) {
                    for run in held.runs() {
                        self.count(&reader, layout.range_of_run(&run), Source::Cache);
                    }
                }
                self.drain(reader, range).await?;
            }
            self.until_kept(id, &manifest).await?;
            let now_held = self.state().catalogue.chunks(content);
            if now_held.is_full(layout.chunk_count()) {
                return Ok(layout.length());
            }
            // What another reader had in memory may have been too much for the store at a
            // time. If nothing was kept, nothing will be.
            if now_held.count() <= held.count() {
                return Err("there is no room for it in the store".to_owned());
            }
        }
    }

    /// The manifest of a session, once it is known whether there is one.
    async fn decided(self: &Rc<Self>, id: SessionId) -> Result<Rc<Manifest>, String> {
        loop {
            let news = {
                let state = &mut *self.state();
                let session = state.sessions.get(&id).ok_or("it could not be had at all")?;
                match &session.manifest {
                    ManifestState::Ready(manifest) if !session.personal => {
                        return Ok(Rc::clone(manifest));
                    }
                    ManifestState::Ready(_) => {
                        return Err("it is for this visitor alone".to_owned());
                    }
                    ManifestState::Unavailable => {
                        let refusal = session.refusal.clone();
                        let unknown = "the coordination server cannot be reached";
                        return Err(refusal.unwrap_or_else(|| unknown.to_owned()));
                    }
                    ManifestState::Pending => state.keeper.news(),
                }
            };
            // Ends by being cancelled.
            let _ = news.await;
        }
    }

    /// A content that was removed while a session went on with it is wanted again.
    fn remember(self: &Rc<Self>, manifest: &Rc<Manifest>) {
        let known = self.state().catalogue.urls.get(&manifest.url) == Some(&manifest.content_id());
        if known {
            return;
        }
        self.note(manifest);
        let known = Known { manifest: Rc::clone(manifest), etag: None, checked_ms: 0.0 };
        let engine = Rc::clone(self);
        wasm_bindgen_futures::spawn_local(async move { engine.keep_manifest(&known).await });
    }

    /// Reads to the end, no faster than the store takes it.
    async fn drain(
        self: &Rc<Self>,
        mut reader: OpenReader,
        range: ByteRange,
    ) -> Result<(), String> {
        let mut left = range.len();
        while let Some(piece) = reader.next().await {
            let piece = piece.map_err(|error| {
                crate::js::property(&error, "message").as_string().unwrap_or_default()
            })?;
            let length = crate::js::property(&piece, "byteLength").as_f64().unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length")]
            let length = length as u64;
            left = left.saturating_sub(length);
            while self.state().keeper.backlog() > MAX_BACKLOG {
                let news = self.state().keeper.news();
                let _ = news.await;
            }
        }
        if left == 0 { Ok(()) } else { Err("the transfer ended early".to_owned()) }
    }

    /// Waits until every chunk that has come is in the store, or is known not to get there.
    async fn until_kept(self: &Rc<Self>, id: SessionId, manifest: &Manifest) -> Result<(), String> {
        loop {
            let news = {
                let state = &mut *self.state();
                // It may have been read long ago, and the disk be slow.
                let session = state.sessions.get(&id);
                if session.is_some_and(|it| it.manifest().is_none() || it.personal) {
                    return Err("the server sends something else than it describes".to_owned());
                }
                let unverified = session.is_some_and(|it| !it.chunks.unverified().is_empty());
                let on_its_way = unverified || state.keeper.is_writing(manifest.content_id());
                if !on_its_way {
                    return Ok(());
                }
                state.keeper.news()
            };
            let _ = news.await;
        }
    }

    /// The page hears of a resource that was in the store already as it would have
    /// heard of its last chunk.
    fn say_all_is_there(&self, call: &Call, total: u64) {
        let state = self.state();
        let Some(page) = state.pages.get(&call.client) else { return };
        let (url, source) = (call.url.clone(), Source::Cache);
        let progress = PageEvent::Progress { url: url.clone(), loaded: total, total, source };
        page.post(&ToShim::Event { event: progress });
        page.post(&ToShim::Event { event: PageEvent::Done { url } });
    }
}
