//! `coord-server manifest DIR`: manifests made ahead, in a build pipeline for one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressStyle};

use super::hashing::{HashError, hash_file};
use super::record;
use super::store::Store;
use crate::site::path::SitePath;
use crate::site::root::{Root, SiteFile};

/// Time between two looks at a file that has just been written.
const SETTLING: Duration = Duration::from_millis(100);

/// What has been done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files that were hashed.
    pub hashed: usize,
    /// Files whose hashes were in the store already.
    pub known: usize,
    /// Files below the minimum, which get no manifest.
    pub small: usize,
}

/// Puts the hashes of all public files of at least `min_bytes` below `directory` into
/// `store`. They count for copies of the files too, as long as length and time of
/// modification (in seconds) are kept.
///
/// # Errors
/// If something cannot be read, or changes meanwhile.
pub fn make(directory: &Path, min_bytes: u64, store: &Store) -> Result<Summary, AheadError> {
    let root = Root::new(directory.to_owned());
    let mut summary = Summary::default();
    let mut files = Vec::new();
    for path in public_files(directory)? {
        let Ok(file) = root.open(&path) else { continue };
        if file.version.length < min_bytes {
            summary.small += 1;
        } else if is_known(store, &file) {
            summary.known += 1;
        } else {
            files.push((path, file.version.length));
        }
    }
    summary.hashed = files.len();
    let bar = progress_bar(files.iter().map(|(_, length)| length).sum());
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((path, _)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            hash(&root, path, store, &bar)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // A thread that panics has said so.
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Ok(())))
    })?;
    bar.finish_and_clear();
    Ok(summary)
}

/// Every path below `directory` that can have a file to serve, in no order.
fn public_files(directory: &Path) -> Result<Vec<SitePath>, AheadError> {
    let mut paths = Vec::new();
    let mut open = vec![(directory.to_owned(), String::new())];
    while let Some((folder, prefix)) = open.pop() {
        let fails = |source| AheadError::Folder { path: folder.clone(), source };
        for entry in folder.read_dir().map_err(fails)? {
            let entry = entry.map_err(fails)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = format!("{prefix}/{name}");
            // Links are followed when they are asked for, as they may lead in circles.
            if entry.file_type().map_err(fails)?.is_dir() {
                open.push((entry.path(), path));
            } else if let Ok(path) = SitePath::of_names(path.split('/')) {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

fn is_known(store: &Store, file: &SiteFile) -> bool {
    let record = store.get(&super::hashing::key(&file.location));
    record.is_some_and(|record| record::decode(&record, &file.version).is_some())
}

fn hash(root: &Root, path: &SitePath, store: &Store, bar: &ProgressBar) -> Result<(), AheadError> {
    let name = path.file();
    bar.set_message(name.display().to_string());
    let fails = |source| AheadError::File { path: name.clone(), source };
    let open = || root.open(path).map_err(|error| fails(io::Error::other(error)));
    let mut file = open()?;
    while !file.version.is_settled(SystemTime::now()) {
        thread::sleep(SETTLING);
        file = open()?;
    }
    let (location, version) = (file.location.clone(), file.version.clone());
    let hashes = hash_file(file, |bytes| bar.inc(bytes)).map_err(|error| match error {
        HashError::Io(error) => fails(io::Error::other(error)),
        error => fails(io::Error::other(error)),
    })?;
    let record = record::encode(version.portable_stamp(), hashes.layout, &hashes.chunks);
    store.put(&super::hashing::key(&location), &record);
    Ok(())
}

/// Drawn on standard error, if that is a terminal.
fn progress_bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left  {wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Why manifests cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AheadError {
    /// A folder cannot be listed.
    #[error("cannot list {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be hashed.
    #[error("cannot hash {}", path.display())]
    File {
        /// Which, below the directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
