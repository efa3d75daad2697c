//! Hashes files, each version of each once, across restarts too.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Instant, SystemTime};

use dcdn_protocol::chunk::{InvalidLayout, MAX_CHUNKS};
use dcdn_protocol::{ChunkHash, Layout};
use moka::future::Cache;
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::record;
use super::store::Store;
use crate::limit::address::{Excess, Purse};
use crate::metrics::Metrics;
use crate::requests::blocking;
use crate::site::root::{FileVersion, SiteFile};

/// Bytes of hashes that are remembered, least used out first: those of 512 GiB.
pub(super) const REMEMBERED_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes that a remembered file weighs besides its hashes.
pub(super) const ENTRY_BYTES: u32 = 512;

/// Files that are hashed or wait for their turn, each of which is open.
const WAITING: usize = 256;

/// Bytes of a file that may take a core longer than others should wait.
const LARGE: u64 = 256 * 1024 * 1024;

/// Hashes files on threads of their own, a bounded number at once, and of these always one that is
/// no large file. However many
/// ask for a file at once, it is read once, and not again until it changes.
#[derive(Clone, Debug)]
pub struct Hasher {
    remembered: Cache<Key, Arc<Hashes>>,
    store: Store,
    threads: Arc<Semaphore>,
    /// One fewer.
    large: Arc<Semaphore>,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    location: PathBuf,
    version: FileVersion,
}

/// The chunks of one version of one file.
#[derive(Debug)]
pub struct Hashes {
    /// How it is cut.
    pub layout: Layout,
    /// The hash of each chunk.
    pub chunks: Vec<ChunkHash>,
    /// Whether the version says that the bytes are still these. A file hashed
    /// right after it was written may have been written once more since, within
    /// the same tick of the file system's clock.
    settled: bool,
}

impl Hasher {
    /// Remembers what is in `store`.
    pub fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        let remembered = Cache::builder()
            .max_capacity(REMEMBERED_BYTES)
            .weigher(|_, hashes: &Arc<Hashes>| {
                let bytes = u32::try_from(size_of_val(hashes.chunks.as_slice()));
                bytes.unwrap_or(u32::MAX).saturating_add(ENTRY_BYTES)
            })
            .build();
        let threads = available_parallelism().map_or(1, usize::from).max(2);
        let [threads, large, places] =
            [threads, threads - 1, WAITING].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { remembered, store, threads, large, places, metrics }
    }

    /// The hashes of an open file that stands at its start. If nobody has them, `purse` pays
    /// for the work.
    ///
    /// # Errors
    /// [`HashError::Changed`] if the file is no longer what was opened;
    /// [`HashError::Excess`] may be that of another who asked at the same time.
    pub async fn hash(&self, file: SiteFile, purse: &Purse) -> Result<Arc<Hashes>, HashError> {
        let key = Key { location: file.location.clone(), version: file.version.clone() };
        if let Some(hashes) = self.remembered.get(&key).await {
            return Ok(hashes);
        }
        // A task of its own: when who asked first goes away, others still wait.
        let (hasher, purse) = (self.clone(), purse.clone());
        let task = async move {
            let hashes =
                hasher.remembered.try_get_with_by_ref(&key, hasher.compute(file, purse)).await?;
            if !hashes.settled {
                hasher.remembered.invalidate(&key).await;
            }
            Ok::<_, Arc<HashError>>(hashes)
        };
        let result = tokio::spawn(task.in_current_span()).await.map_err(|_| HashError::Stopped)?;
        result.map_err(|error| error.shared())
    }

    async fn compute(&self, file: SiteFile, purse: Purse) -> Result<Arc<Hashes>, HashError> {
        let _place = self.places.try_acquire().map_err(|_| HashError::Busy)?;
        let _large = match file.version.length {
            LARGE.. => Some(self.large.acquire().await.map_err(|_| HashError::Stopped)?),
            _ => None,
        };
        let _turn = self.threads.acquire().await.map_err(|_| HashError::Stopped)?;
        let (store, metrics) = (self.store.clone(), Arc::clone(&self.metrics));
        let hashing = blocking(move || find(file, &store, &purse, &metrics));
        Ok(Arc::new(hashing.await.map_err(|_| HashError::Stopped)??))
    }
}

/// Under what a file's hashes are stored.
pub(super) fn key(location: &Path) -> String {
    format!("file {}", location.display())
}

/// The hashes of an open file: stored ones, or else new ones, which are stored before
/// anybody is told.
fn find(
    file: SiteFile,
    store: &Store,
    purse: &Purse,
    metrics: &Metrics,
) -> Result<Hashes, HashError> {
    let (key, version) = (key(&file.location), file.version.clone());
    let stored = store.get(&key).and_then(|record| record::decode(&record, &version));
    if let Some((layout, chunks)) = stored {
        return Ok(Hashes { layout, chunks, settled: true });
    }
    purse.hash(version.length, Instant::now()).map_err(HashError::Excess)?;
    metrics.manifests_hashed.inc();
    let hashes = hash_file(file, |_| {})?;
    if hashes.settled {
        store.put(&key, &record::encode(version.stamp(), hashes.layout, &hashes.chunks));
    }
    Ok(hashes)
}

/// Reads a file through. What it had when opened must be what it has at the end,
/// or the hashes may be those of a mixture. `progress` hears how many bytes have been read.
pub(super) fn hash_file(opened: SiteFile, progress: impl Fn(u64)) -> Result<Hashes, HashError> {
    let SiteFile { mut file, version, .. } = opened;
    let settled = version.is_settled(SystemTime::now());
    let layout = Layout::of_length(version.length).map_err(HashError::TooLarge)?;
    let largest = layout.chunks().next().map_or(0, |first| layout.size_of(first));
    let mut buffer = vec![0; largest as usize];
    let mut chunks = Vec::with_capacity(layout.chunk_count() as usize);
    for chunk in layout.chunks() {
        let bytes = &mut buffer[..layout.size_of(chunk) as usize];
        file.read_exact(bytes)?;
        chunks.push(ChunkHash::of(bytes));
        progress(bytes.len() as u64);
    }
    if FileVersion::of(&file.metadata()?) != version {
        return Err(HashError::Changed);
    }
    Ok(Hashes { layout, chunks, settled })
}

/// Why a file has no hashes. Shared by all who wait for the same file.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// It is not, or no longer, the version that was opened.
    #[error("the file changed while it was read")]
    Changed,
    /// More than [`MAX_CHUNKS`] of the largest chunks.
    #[error("the file is too large: {0} (there may be {MAX_CHUNKS})")]
    TooLarge(#[source] InvalidLayout),
    /// The file system failed.
    #[error("the file could not be read")]
    Io(#[source] Arc<io::Error>),
    /// The visitor's address has had enough hashed.
    #[error(transparent)]
    Excess(Excess),
    /// Too many wait.
    #[error("too many manifests are being made; ask again later")]
    Busy,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
}

impl HashError {
    fn shared(&self) -> Self {
        match self {
            Self::Changed => Self::Changed,
            Self::TooLarge(error) => Self::TooLarge(error.clone()),
            Self::Io(error) => Self::Io(Arc::clone(error)),
            Self::Excess(excess) => Self::Excess(*excess),
            Self::Busy => Self::Busy,
            Self::Stopped => Self::Stopped,
        }
    }
}

impl From<io::Error> for HashError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Changed,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::io::Write;
    use std::time::Duration;

    use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;

    use super::*;
    use crate::limit::address::{AddressLimits, Guard};
    use crate::site::path::SitePath;
    use crate::site::root::Root;

    const LENGTH: usize = 600 * 1024;

    /// Of somebody without bounds.
    fn purse() -> Purse {
        let refusals = Metrics::new().address_refusals;
        Guard::new(0, 0, AddressLimits::default(), refusals).purse(None, Instant::now())
    }

    fn site_with(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jpg");
        fs::write(&path, bytes).unwrap();
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        fs::File::options().write(true).open(&path).unwrap().set_modified(hour_ago).unwrap();
        (directory, path)
    }

    fn open(directory: &tempfile::TempDir) -> SiteFile {
        let root = Root::new(directory.path().to_owned());
        root.open(&SitePath::parse("/a.jpg").unwrap()).unwrap()
    }

    #[test]
    fn the_hashes_are_those_of_the_chunks() {
        let bytes: Vec<u8> = (0..LENGTH).map(|i| (i % 251).to_le_bytes()[0]).collect();
        let (directory, _) = site_with(&bytes);

        let hashes = hash_file(open(&directory), |_| {}).unwrap();

        let expected: Vec<_> =
            bytes.chunks(DEFAULT_CHUNK_SIZE as usize).map(ChunkHash::of).collect();
        assert_eq!(hashes.chunks, expected);
        assert_eq!(hashes.layout.length(), LENGTH as u64);
    }

    #[test]
    fn a_file_that_grew_shrank_or_was_written_to_since_it_was_opened_has_changed() {
        let append = |path: &PathBuf| {
            fs::File::options().append(true).open(path).unwrap().write_all(b"x").unwrap();
        };
        let truncate = |path: &PathBuf| {
            fs::File::options().write(true).open(path).unwrap().set_len(1000).unwrap();
        };
        let overwrite = |path: &PathBuf| fs::write(path, [2; LENGTH]).unwrap();
        let changes: [&dyn Fn(&PathBuf); 3] = [&append, &truncate, &overwrite];
        for change in changes {
            let (directory, path) = site_with(&[1; LENGTH]);
            let opened = open(&directory);

            change(&path);

            assert!(matches!(hash_file(opened, |_| {}), Err(HashError::Changed)));
        }
    }

    #[tokio::test]
    async fn a_file_is_read_once_however_many_ask() {
        let (directory, _) = site_with(&[1; LENGTH]);
        let (hasher, purse) = (Hasher::new(Store::default(), Arc::new(Metrics::new())), purse());

        let asking = (0..20).map(|_| hasher.hash(open(&directory), &purse));
        let answers = futures::future::join_all(asking).await;

        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(hasher.metrics.manifests_hashed.get(), 1);
    }

    #[tokio::test]
    async fn who_goes_away_does_not_take_the_work_along() {
        let (directory, _) = site_with(&[1; LENGTH]);
        let (hasher, purse) = (Hasher::new(Store::default(), Arc::new(Metrics::new())), purse());
        let turns = u32::try_from(hasher.threads.available_permits()).unwrap();
        let held = Arc::clone(&hasher.threads).acquire_many_owned(turns).await.unwrap();

        let mut first = Box::pin(hasher.hash(open(&directory), &purse));
        assert!(futures::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
        drop(first);
        let second = hasher.hash(open(&directory), &purse);
        drop(held);

        assert!(second.await.is_ok());
        assert_eq!(hasher.metrics.manifests_hashed.get(), 1);
    }

    #[tokio::test]
    async fn however_many_large_files_are_hashed_a_small_one_is_too() {
        let (directory, _) = site_with(&[1; LENGTH]);
        let (hasher, purse) = (Hasher::new(Store::default(), Arc::new(Metrics::new())), purse());
        let film = fs::File::create(directory.path().join("film.mp4")).unwrap();
        film.set_len(LARGE).unwrap();
        let root = Root::new(directory.path().to_owned());
        let film = root.open(&SitePath::parse("/film.mp4").unwrap()).unwrap();
        let (threads, large) = (hasher.threads.available_permits(), hasher.large.clone());
        assert!(large.available_permits() < threads, "one is left for small files");
        let turns = u32::try_from(large.available_permits()).unwrap();
        let _others = large.acquire_many_owned(turns).await.unwrap();

        let mut waiting = Box::pin(hasher.hash(film, &purse));
        assert!(futures::poll!(&mut waiting).is_pending());
        let small = hasher.hash(open(&directory), &purse).await;

        assert!(small.is_ok());
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!(hasher.threads.available_permits(), threads, "who waits takes no thread");
    }

    #[tokio::test]
    async fn a_file_written_just_now_is_not_remembered() {
        let (directory, path) = site_with(&[1; LENGTH]);
        let (hasher, purse) = (Hasher::new(Store::default(), Arc::new(Metrics::new())), purse());
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(SystemTime::now())
            .unwrap();

        hasher.hash(open(&directory), &purse).await.unwrap();
        hasher.hash(open(&directory), &purse).await.unwrap();

        assert_eq!(hasher.metrics.manifests_hashed.get(), 2);
    }
}
