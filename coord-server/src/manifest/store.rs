//! What has been hashed, kept across restarts.
//!
//! One file (redb), which one process has open at a time. It is a cache: whatever is wrong with
//! it, hashes are only made anew. What has been written before a crash is there after it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError,
};

/// Bytes of keys and values at which everything of a store is thrown away: the hashes of
/// 2 TiB.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

const ENTRIES: TableDefinition<&str, &[u8]> = TableDefinition::new("manifests");

const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");

/// Bytes of keys and values in [`ENTRIES`].
const BYTES: &str = "bytes";

/// A store, or none: then nothing is kept. Blocks on the disk. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Store(Option<Arc<Database>>);

impl Store {
    /// The store at `path`, made if there is none. A broken one is set aside.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let fails = |source| StoreError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fails)?;
        }
        let database = match Database::create(path) {
            Err(DatabaseError::Storage(StorageError::Corrupted(why))) => {
                let aside = path.with_added_extension("broken");
                tracing::warn!(why, aside = %aside.display(), "the manifest store is broken");
                std::fs::rename(path, aside).map_err(fails)?;
                Database::create(path)
            }
            result => result,
        };
        match database {
            Ok(database) => Ok(Self(Some(Arc::new(database)))),
            Err(DatabaseError::DatabaseAlreadyOpen) => Err(StoreError::InUse(path.to_owned())),
            Err(DatabaseError::Storage(StorageError::Io(error))) => Err(fails(error)),
            Err(error) => Err(fails(io::Error::other(error))),
        }
    }

    /// What was last put under `key`.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let database = self.0.as_ref()?;
        let read = || -> Result<_, redb::Error> {
            let table = match database.begin_read()?.open_table(ENTRIES) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                table => table?,
            };
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        };
        read().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the manifest store");
            None
        })
    }

    /// Keeps `value` under `key`. It is on the disk when this returns.
    pub fn put(&self, key: &str, value: &[u8]) {
        let Some(database) = &self.0 else { return };
        if let Err(error) = put(database, key, value, MAX_BYTES) {
            tracing::error!(%error, "cannot write to the manifest store");
        }
    }
}

fn put(database: &Database, key: &str, value: &[u8], most: u64) -> Result<(), redb::Error> {
    let weight = |value: &[u8]| (key.len() + value.len()) as u64;
    let transaction = database.begin_write()?;
    {
        let mut numbers = transaction.open_table(NUMBERS)?;
        let mut total = numbers.get(BYTES)?.map_or(0, |total| total.value());
        if total > most {
            tracing::info!("the manifest store is full; it starts anew");
            transaction.delete_table(ENTRIES)?;
            total = 0;
        }
        let mut entries = transaction.open_table(ENTRIES)?;
        let before = entries.insert(key, value)?.map_or(0, |before| weight(before.value()));
        numbers.insert(BYTES, (total + weight(value)).saturating_sub(before))?;
    }
    transaction.commit()?;
    Ok(())
}

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("the manifest store {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file system failed, or the file is another kind of file.
    #[error("cannot open the manifest store {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_put_is_there_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/manifests.redb");
        let store = Store::open(&path).unwrap();
        assert_eq!(store.get("/a"), None);
        store.put("/a", b"first");
        store.put("/a", b"second");
        assert!(matches!(Store::open(&path), Err(StoreError::InUse(_))));
        drop(store);

        assert_eq!(Store::open(&path).unwrap().get("/a").unwrap(), b"second");
    }

    #[test]
    fn without_a_store_nothing_is_kept() {
        let store = Store::default();
        store.put("/a", b"a");
        assert_eq!(store.get("/a"), None);
    }

    #[test]
    fn a_file_of_another_kind_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.html");
        std::fs::write(&path, "<!doctype html>").unwrap();

        assert!(matches!(Store::open(&path), Err(StoreError::Io { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "<!doctype html>");
    }

    #[test]
    fn a_full_store_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.redb")).unwrap();
        let database = store.0.as_ref().unwrap();
        for number in 0..3 {
            put(database, &format!("/{number}"), &[0; 1000], 2500).unwrap();
        }
        assert!(store.get("/0").is_some(), "three are over 2,500 bytes, but only now");
        put(database, "/4", &[0; 1000], 2500).unwrap();
        assert_eq!(store.get("/0"), None);
        assert!(store.get("/4").is_some());

        for _ in 0..9 {
            put(database, "/4", &[0; 1000], 2500).unwrap();
        }
        put(database, "/5", &[0; 1000], 2500).unwrap();
        assert!(store.get("/4").is_some(), "what is replaced counts once");
    }
}
