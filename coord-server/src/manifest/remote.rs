//! Manifests of what the site's own server sends to anybody.
//!
//! Fetched without cookies and hashed while they come. Of what is known the origin is
//! asked whether it has changed, unless its `max-age` has not run out.

mod answer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use dcdn_protocol::Manifest;
use dcdn_protocol::caching::CacheControl;
use futures::TryStreamExt;
use moka::future::Cache;
use tokio::sync::Semaphore;

use self::answer::Described;
use super::error::ManifestError;
use super::flights::{Flights, NoFlight};
use super::hashing::{ENTRY_BYTES, REMEMBERED_BYTES};
use super::store::Store;
use super::streamed::ChunkHasher;
use crate::error::ApiError;
use crate::limit::address::Purse;
use crate::metrics::Metrics;
use crate::origin::Origin;
use crate::requests::blocking;

/// Contents that are fetched at once.
const FETCHED_AT_ONCE: usize = 4;

/// Questions to the origin at once, those that wait for their turn included.
const QUESTIONS_AT_ONCE: usize = 1024;

/// How often is asked again when what was asked failed by another's fault.
const ATTEMPTS: u32 = 4;

/// Makes manifests of what an origin sends. A clone is the same.
#[derive(Clone, Debug)]
pub struct Remote(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Origin,
    min_bytes: u64,
    known: Cache<String, Arc<Known>>,
    questions: Flights<String, Result<Arc<Manifest>, ApiError>>,
    turns: Semaphore,
    store: Store,
    metrics: Arc<Metrics>,
}

/// A manifest, and until when the origin need not be asked about it.
#[derive(Debug)]
struct Known {
    manifest: Arc<Manifest>,
    fresh_until: Instant,
}

impl Remote {
    /// Manifests of what `origin` sends of at least `min_bytes`, kept in `store`.
    pub fn new(origin: Origin, min_bytes: u64, store: Store, metrics: Arc<Metrics>) -> Self {
        let known = Cache::builder()
            .max_capacity(REMEMBERED_BYTES)
            .weigher(|url: &String, known: &Arc<Known>| {
                let bytes = size_of_val(known.manifest.hashes.as_slice()) + url.len();
                u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(ENTRY_BYTES)
            })
            .build();
        Self(Arc::new(Inner {
            origin,
            min_bytes,
            known,
            questions: Flights::new(QUESTIONS_AT_ONCE),
            turns: Semaphore::new(FETCHED_AT_ONCE),
            store,
            metrics,
        }))
    }

    /// The manifest of `url`, whose path and query are `target`. `scheme` is how visitors
    /// ask for it: some servers redirect what is not `https`. What has to be fetched and
    /// hashed is at the cost of `purse`.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub async fn describe(
        &self,
        url: &str,
        target: PathAndQuery,
        scheme: HeaderValue,
        purse: &Purse,
    ) -> Result<Arc<Manifest>, ApiError> {
        for _ in 1..ATTEMPTS {
            let described = self.try_describe(url, target.clone(), scheme.clone(), purse).await;
            match described {
                // Somebody else's excess, who asked for the same at the same time.
                Err(error) if error.status == StatusCode::TOO_MANY_REQUESTS => {
                    if !purse.may_hash(Instant::now()) {
                        return Err(error);
                    }
                }
                described => return described,
            }
        }
        self.try_describe(url, target, scheme, purse).await
    }

    async fn try_describe(
        &self,
        url: &str,
        target: PathAndQuery,
        scheme: HeaderValue,
        purse: &Purse,
    ) -> Result<Arc<Manifest>, ApiError> {
        let known = self.0.known.get(url).await;
        if let Some(known) = known.as_ref().filter(|known| Instant::now() < known.fresh_until) {
            return Ok(Arc::clone(&known.manifest));
        }
        let url = url.to_owned();
        let asked = self.0.questions.join(&url, || {
            let (inner, url, purse) = (Arc::clone(&self.0), url.clone(), purse.clone());
            async move {
                let result = inner.ask(&url, target, scheme, known, &purse).await;
                if result.is_err() {
                    inner.known.invalidate(&url).await;
                }
                result.map_err(ApiError::from)
            }
        });
        match asked.await {
            Ok(result) => result,
            Err(NoFlight::Full) => Err(ManifestError::Busy.into()),
            Err(NoFlight::Stopped) => Err(ManifestError::Stopped.into()),
        }
    }
}

impl Inner {
    async fn ask(
        &self,
        url: &str,
        target: PathAndQuery,
        scheme: HeaderValue,
        known: Option<Arc<Known>>,
        purse: &Purse,
    ) -> Result<Arc<Manifest>, ManifestError> {
        let known = match known {
            Some(known) => Some(Arc::clone(&known.manifest)),
            None => self.stored(url).await,
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", scheme);
        if let Some(known) = &known {
            add_conditions(&mut headers, known);
        }
        let asked_at = Instant::now();
        let response = self.origin.get(target, headers).await.map_err(ManifestError::Origin)?;
        let (head, body) = response.into_parts();
        if let (StatusCode::NOT_MODIFIED, Some(known)) = (head.status, &known) {
            let cache_control = answer::still_shared(&head.headers, known)?;
            let manifest = Manifest::clone(known).with_cache_control(cache_control);
            return Ok(self.remember(url, manifest, &head.headers, asked_at).await);
        }
        let described = Described::read(head.status, &head.headers, self.min_bytes)?;
        if let Some(known) = known.filter(|known| described.is_version_of(known)) {
            let manifest = Manifest::clone(&known).with_cache_control(described.cache_control);
            return Ok(self.remember(url, manifest, &head.headers, asked_at).await);
        }
        let length = described.layout.length();
        purse.hash(length, Instant::now()).map_err(ManifestError::Excess)?;
        let _turn = self.turns.acquire().await.map_err(|_| ManifestError::Stopped)?;
        self.metrics.manifests_hashed.inc();
        let mut hasher = ChunkHasher::new(described.layout);
        let mut pieces = self.origin.pieces(body);
        while let Some(piece) = pieces.try_next().await.map_err(ManifestError::Broken)? {
            hasher.update(&piece);
        }
        let hashes = hasher.finish().map_err(ManifestError::Manifest)?;
        let manifest = described.manifest(url, hashes).map_err(ManifestError::Manifest)?;
        self.keep(url, &manifest).await?;
        Ok(self.remember(url, manifest, &head.headers, asked_at).await)
    }

    async fn stored(&self, url: &str) -> Option<Arc<Manifest>> {
        let (store, key) = (self.store.clone(), self.key(url));
        let stored = blocking(move || store.get(&key)).await.ok()??;
        Manifest::decode(&stored).ok().map(Arc::new)
    }

    /// Before anybody is told of the manifest.
    async fn keep(&self, url: &str, manifest: &Manifest) -> Result<(), ManifestError> {
        let (store, key) = (self.store.clone(), self.key(url));
        let frame = manifest.encode().map_err(ManifestError::Frame)?;
        let kept = blocking(move || store.put(&key, &frame)).await;
        kept.map_err(|_| ManifestError::Stopped)
    }

    /// Another origin may have another resource there.
    fn key(&self, url: &str) -> String {
        format!("{} {url}", self.origin)
    }

    async fn remember(
        &self,
        url: &str,
        manifest: Manifest,
        headers: &HeaderMap,
        asked_at: Instant,
    ) -> Arc<Manifest> {
        let control = CacheControl::parse(manifest.cache_control.as_deref());
        let age = answer::age(headers);
        let fresh = Duration::from_millis(control.fresh_ms()).saturating_sub(age);
        let manifest = Arc::new(manifest);
        // Longer than any process runs.
        let fresh_until = asked_at.checked_add(fresh).unwrap_or(asked_at);
        let known = Arc::new(Known { manifest: Arc::clone(&manifest), fresh_until });
        self.known.insert(url.to_owned(), known).await;
        manifest
    }
}

fn add_conditions(headers: &mut HeaderMap, manifest: &Manifest) {
    let conditions = [
        (header::IF_NONE_MATCH, &manifest.etag),
        (header::IF_MODIFIED_SINCE, &manifest.last_modified),
    ];
    for (name, validator) in conditions {
        if let Some(value) = validator.as_ref().and_then(|it| HeaderValue::from_str(it).ok()) {
            headers.insert(name, value);
        }
    }
}
