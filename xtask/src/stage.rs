//! The staging folder: what the server embeds, and the build's id.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// Stands for the build's id in a staged script.
const PLACEHOLDER: &str = "__DCDN_BUILD__";

/// Holds the build's id beside the staged files.
const ID_FILE: &str = "build.txt";

/// Staged files by name, in the order of their names.
#[derive(Default)]
pub struct Staged(BTreeMap<String, Vec<u8>>);

impl Staged {
    /// Adds files.
    pub fn extend(&mut self, files: impl IntoIterator<Item = (String, Vec<u8>)>) {
        self.0.extend(files);
    }

    /// Fills in the build's id and adds the file that tells it.
    pub fn seal(mut self) -> Self {
        let id = self.build_id();
        for (name, bytes) in &mut self.0 {
            let text = str::from_utf8(bytes).ok().filter(|text| text.contains(PLACEHOLDER));
            if let (true, Some(text)) = (name.ends_with(".js"), text) {
                *bytes = text.replace(PLACEHOLDER, &id).into_bytes();
            }
        }
        self.0.insert(ID_FILE.to_owned(), id.into_bytes());
        self
    }

    /// Hash over names and contents, short enough to read out.
    fn build_id(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, bytes) in &self.0 {
            hasher.update(name);
            hasher.update([0]);
            hasher.update(Sha256::digest(bytes));
        }
        hex::encode(&hasher.finalize()[..6])
    }

    /// Makes `folder` hold exactly these files. One that is right already keeps its
    /// modification time, so that cargo does not recompile what embeds it.
    pub fn write_to(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        for (name, bytes) in &self.0 {
            let path = folder.join(name);
            if fs::read(&path).ok().as_ref() != Some(bytes) {
                fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
            }
        }
        let wanted: BTreeSet<&str> = self.0.keys().map(String::as_str).collect();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| wanted.contains(name)) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// A line for each file: name, bytes, bytes after gzip.
    pub fn size_table(&self) -> io::Result<String> {
        let mut table = format!("{:<20} {:>10} {:>10}\n", "file", "raw", "gzip");
        for (name, bytes) in &self.0 {
            table += &format!("{name:<20} {:>10} {:>10}\n", bytes.len(), gzipped_len(bytes)?);
        }
        Ok(table)
    }
}

fn remove(path: &Path) -> Result<()> {
    let result = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    result.with_context(|| format!("removing {}, which is no longer staged", path.display()))
}

/// Bytes after gzip, as small as it gets.
pub fn gzipped_len(bytes: &[u8]) -> io::Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn staged(wasm: &[u8]) -> Staged {
        let mut staged = Staged::default();
        staged.extend([
            ("sw.js".to_owned(), b"const BUILD = '__DCDN_BUILD__';".to_vec()),
            ("worker_bg.wasm".to_owned(), wasm.to_vec()),
        ]);
        staged.seal()
    }

    #[test]
    fn the_worker_script_changes_with_its_wasm() {
        let (one, other) = (staged(b"\0asm one"), staged(b"\0asm other"));

        assert_ne!(one.0["sw.js"], other.0["sw.js"]);
        assert_eq!(one.0["sw.js"], staged(b"\0asm one").0["sw.js"]);
        let id = str::from_utf8(&one.0[ID_FILE]).unwrap();
        assert_eq!(one.0["sw.js"], format!("const BUILD = '{id}';").as_bytes());
    }

    #[test]
    fn a_file_that_is_right_already_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        staged(b"\0asm").write_to(folder.path()).unwrap();
        let path = folder.path().join("worker_bg.wasm");
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();

        staged(b"\0asm").write_to(folder.path()).unwrap();

        assert_eq!(path.metadata().unwrap().modified().unwrap(), long_ago);
    }

    #[test]
    fn what_is_no_longer_staged_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("old.js"), "").unwrap();
        fs::create_dir(folder.path().join("snippets")).unwrap();

        staged(b"\0asm").write_to(folder.path()).unwrap();

        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["build.txt", "sw.js", "worker_bg.wasm"]);
    }
}
