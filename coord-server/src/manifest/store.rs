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

/// Bytes of keys and values in one generation: the hashes of 1 TiB.
const GENERATION_BYTES: u64 = 128 * 1024 * 1024;

/// Two generations, by turns the young one, into which goes what is kept or was asked for, and
/// the old one. When the young one is full, the old one goes, with what nobody has asked for
/// since it was the young one itself: whoever has thousands of manifests made that nobody
/// wants does not drive out those that are in use.
const GENERATIONS: [TableDefinition<&str, &[u8]>; 2] =
    [TableDefinition::new("manifests"), TableDefinition::new("manifests-2")];

const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");

/// Bytes of keys and values in the young generation.
const BYTES: &str = "bytes";

/// Which of [`GENERATIONS`] is the young one.
const YOUNG: &str = "young";

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

    /// What was last put under `key`, if it has not had to make room.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let database = self.0.as_ref()?;
        let (value, is_old) = get(database, key).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the manifest store");
            None
        })?;
        if is_old {
            self.put(key, &value);
        }
        Some(value)
    }

    /// Keeps `value` under `key`. It is on the disk when this returns.
    pub fn put(&self, key: &str, value: &[u8]) {
        let Some(database) = &self.0 else { return };
        if let Err(error) = put(database, key, value, GENERATION_BYTES) {
            tracing::error!(%error, "cannot write to the manifest store");
        }
    }
}

/// The value, and whether it is in the old generation.
fn get(database: &Database, key: &str) -> Result<Option<(Vec<u8>, bool)>, redb::Error> {
    let transaction = database.begin_read()?;
    let young = match transaction.open_table(NUMBERS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        numbers => numbers?.get(YOUNG)?.map_or(0, |young| young.value()),
    };
    for is_old in [false, true] {
        match transaction.open_table(generation(young, is_old)) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                if let Some(value) = table?.get(key)? {
                    return Ok(Some((value.value().to_vec(), is_old)));
                }
            }
        }
    }
    Ok(None)
}

fn put(database: &Database, key: &str, value: &[u8], most: u64) -> Result<(), redb::Error> {
    let weight = |value: &[u8]| (key.len() + value.len()) as u64;
    let transaction = database.begin_write()?;
    {
        let mut numbers = transaction.open_table(NUMBERS)?;
        let mut young = numbers.get(YOUNG)?.map_or(0, |young| young.value());
        let mut total = numbers.get(BYTES)?.map_or(0, |total| total.value());
        if total > most {
            tracing::info!("the manifest store is full; what was not asked for lately goes");
            transaction.delete_table(generation(young, true))?;
            young = 1 - young.min(1);
            numbers.insert(YOUNG, young)?;
            total = 0;
        }
        let mut entries = transaction.open_table(generation(young, false))?;
        let before = entries.insert(key, value)?.map_or(0, |before| weight(before.value()));
        numbers.insert(BYTES, (total + weight(value)).saturating_sub(before))?;
    }
    transaction.commit()?;
    Ok(())
}

fn generation(young: u64, is_old: bool) -> TableDefinition<'static, &'static str, &'static [u8]> {
    GENERATIONS[usize::from((young != 0) != is_old)]
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
    fn what_is_asked_for_stays_however_much_is_put_in_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.redb")).unwrap();
        let database = store.0.as_ref().unwrap();
        let put = |key: &str| put(database, key, &[0; 1000], 2500).unwrap();
        put("/wanted");
        put("/unwanted");

        for number in 0..50 {
            put(&format!("/?{number}"));
            if store.get("/wanted").is_none() {
                panic!("gone after {number}");
            }
        }

        assert_eq!(store.get("/unwanted"), None);
        let kept = (0..50).filter(|number| store.get(&format!("/?{number}")).is_some()).count();
        assert!((1..=8).contains(&kept), "{kept}");
    }

    #[test]
    fn what_is_replaced_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.redb")).unwrap();
        let database = store.0.as_ref().unwrap();
        put(database, "/a", &[0; 1000], 2500).unwrap();
        for _ in 0..9 {
            put(database, "/b", &[0; 1000], 2500).unwrap();
        }

        assert_eq!(get(database, "/a").unwrap().map(|(_, is_old)| is_old), Some(false));
    }

    #[test]
    fn a_store_of_one_generation_is_read_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.redb")).unwrap();
        let database = store.0.as_ref().unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(GENERATIONS[0]).unwrap().insert("/a", &b"a"[..]).unwrap();
        transaction.open_table(NUMBERS).unwrap().insert(BYTES, 3000).unwrap();
        transaction.commit().unwrap();

        assert_eq!(store.get("/a").unwrap(), b"a");
        put(database, "/b", b"b", 2500).unwrap();
        assert_eq!(get(database, "/a").unwrap().map(|(_, is_old)| is_old), Some(true));
        assert_eq!(store.get("/b").unwrap(), b"b");
    }
}
