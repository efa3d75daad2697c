//! A site of its own for each test: a folder with the demo's media and a few pages.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;
use dcdn_protocol::manifest::ChunkHash;
use dcdn_protocol::{ChunkIndex, Layout, Manifest, store};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Path of the large image: a JPEG of about the thesis's 3.2 MB.
pub const IMAGE: &str = "/media/image.jpg";

/// Path of the video, an MP4.
pub const VIDEO: &str = "/media/video.mp4";

/// Path of the page with image, video and the script tag.
pub const PAGE: &str = "/index.html";

/// Path of the page with image and video only.
pub const PLAIN_PAGE: &str = "/plain.html";

/// Path of the page with the script tag only.
pub const EMPTY_PAGE: &str = "/empty.html";

/// Bytes between two numbers in a [`Site::sparse`] file.
pub const SPARSE: u64 = 1024 * 1024;

/// The script tag.
pub const SCRIPT: &str = r#"<script type="module" src="/dcdn/dcdn.js"></script>"#;

const MEDIA: &str = r#"<img id="image" src="/media/image.jpg" alt="">
<video id="video" src="/media/video.mp4" preload="auto" muted playsinline></video>"#;

/// A folder to serve. Removed with the value.
pub struct Site {
    folder: TempDir,
}

impl Site {
    /// The usual one: [`PAGE`], [`PLAIN_PAGE`], [`EMPTY_PAGE`], [`IMAGE`] and [`VIDEO`].
    ///
    /// # Errors
    /// If the demo's media are not there.
    pub fn new() -> Result<Self> {
        let site = Self { folder: tempfile::Builder::new().prefix("dcdn-site-").tempdir()? };
        site.copy(&largest_of_demo("jpg")?, IMAGE)?;
        site.copy(&largest_of_demo("mp4")?, VIDEO)?;
        site.page(PAGE, &format!("{SCRIPT}\n{MEDIA}"))?;
        site.page(PLAIN_PAGE, MEDIA)?;
        site.page(EMPTY_PAGE, SCRIPT)?;
        Ok(site)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a page.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn page(&self, path: &str, body: &str) -> Result<()> {
        // An icon of its own keeps the browser from asking for /favicon.ico.
        let html = format!(
            "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{path}</title>\n\
             <link rel=\"icon\" href=\"data:,\">\n<body>\n{body}\n</body>\n"
        );
        Ok(fs::write(self.file(path), html)?)
    }

    /// Writes a file of random bytes, which no other file has.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn random(&self, path: &str, length: usize) -> Result<()> {
        let mut bytes = vec![0; length];
        rand::fill(&mut bytes[..]);
        Ok(fs::write(self.file(path), bytes)?)
    }

    /// Writes the same bytes under another name.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn copy_of(&self, path: &str, copy: &str) -> Result<()> {
        self.copy(&self.file(path), copy)
    }

    /// Writes a file that shows the same as [`IMAGE`] and is another content.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn image(&self, path: &str) -> Result<()> {
        let mut bytes = fs::read(self.file(IMAGE))?;
        // Nobody looks at what follows the end of a JPEG.
        bytes.extend(path.as_bytes());
        Ok(fs::write(self.file(path), bytes)?)
    }

    /// Writes a large file that takes little room on the disk: in every MiB its number, as
    /// eight bytes of little-endian, and zeros.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn sparse(&self, path: &str, length: u64) -> Result<()> {
        let mut file = fs::File::create(self.file(path))?;
        file.set_len(length)?;
        for number in 0..length.div_ceil(SPARSE) {
            file.seek(SeekFrom::Start(number * SPARSE))?;
            file.write_all(&number.to_le_bytes())?;
        }
        Ok(())
    }

    /// Replaces a file, all at once, by one of as many other bytes.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn replace(&self, path: &str) -> Result<()> {
        let next = format!("{path}.next");
        self.random(&next, usize::try_from(self.length(path)?)?)?;
        Ok(fs::rename(self.file(&next), self.file(path))?)
    }

    /// SHA-256 of a file, in hexadecimal.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn sha256(&self, path: &str) -> Result<String> {
        Ok(hex::encode(Sha256::digest(fs::read(self.file(path))?)))
    }

    /// The same of some of its bytes.
    ///
    /// # Errors
    /// If there is no such file, or it is shorter.
    pub fn sha256_of(&self, path: &str, bytes: Range<usize>) -> Result<String> {
        let file = fs::read(self.file(path))?;
        let part = file.get(bytes).context("the file is shorter")?;
        Ok(hex::encode(Sha256::digest(part)))
    }

    /// Bytes of a file.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn length(&self, path: &str) -> Result<u64> {
        Ok(self.file(path).metadata()?.len())
    }

    /// The chunks that a file is cut into: SHA-256 in hexadecimal by the path that a
    /// browser's store has for it.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn chunks(&self, path: &str) -> Result<BTreeMap<String, String>> {
        Ok(self.chunks_in_order(path)?.into_iter().collect())
    }

    /// The paths of those, in their order in the file.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn chunk_paths(&self, path: &str) -> Result<Vec<String>> {
        Ok(self.chunks_in_order(path)?.into_iter().map(|(path, _)| path).collect())
    }

    fn chunks_in_order(&self, path: &str) -> Result<Vec<(String, String)>> {
        let bytes = fs::read(self.file(path))?;
        let layout = Layout::new(bytes.len() as u64, DEFAULT_CHUNK_SIZE)?;
        let hashes = bytes.chunks(DEFAULT_CHUNK_SIZE as usize).map(ChunkHash::of).collect();
        let manifest = Manifest::new(path.to_owned(), layout, String::new(), None, None, hashes)?;
        let content = manifest.content_id();
        let entry = |(chunk, hash): (ChunkIndex, &ChunkHash)| {
            (store::chunk_path(content, chunk), hex::encode(hash.0))
        };
        Ok(layout.chunks().zip(&manifest.hashes).map(entry).collect())
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    fn copy(&self, from: &Path, path: &str) -> Result<()> {
        let to = self.file(path);
        fs::create_dir_all(to.parent().context("a path without a folder")?)?;
        fs::copy(from, to)?;
        Ok(())
    }
}

/// The demo's largest file with this extension.
fn largest_of_demo(extension: &str) -> Result<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../static/demo/media"));
    fs::read_dir(folder)
        .with_context(|| format!("the demo has no {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .max_by_key(|path| path.metadata().map_or(0, |it| it.len()))
        .with_context(|| format!("the demo has no media/*.{extension}"))
}
