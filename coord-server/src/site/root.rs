//! Opens files of the site, and nothing else.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::mime::content_type;
use super::path::SitePath;

/// The site's directory. It is looked up anew for each file, so a site may be
/// replaced as a whole while it is served.
#[derive(Clone, Debug)]
pub struct Root {
    directory: PathBuf,
}

impl Root {
    /// The site below `directory`.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Opens the file that `path` stands for. Blocks on the disk.
    ///
    /// Symlinks are followed as long as they stay below the root and lead to no
    /// hidden name; a link with an absolute target counts as leading out of it.
    ///
    /// # Errors
    /// [`OpenError`] says why there is nothing to serve.
    pub fn open(&self, path: &SitePath) -> Result<SiteFile, OpenError> {
        if path.is_reserved() {
            return Err(OpenError::NotPublic("this path belongs to the server"));
        }
        let root = Dir::open_ambient_dir(&self.directory, ambient_authority())?;
        let location = root.canonicalize(path.file())?;
        if has_hidden_name(&location) {
            return Err(OpenError::NotPublic("names that start with a dot are not public"));
        }
        // Asked before opening: to open a pipe is to wait for its writer.
        let metadata = root.metadata(&location)?;
        if metadata.is_dir() {
            let has_slash = path.is_directory();
            return Err(if has_slash { OpenError::NotFound } else { OpenError::Directory });
        }
        if !metadata.is_file() {
            return Err(OpenError::NotPublic("not a regular file"));
        }
        let file = root.open(&location)?.into_std();
        let version = FileVersion::of(&file.metadata()?);
        let mime = content_type(&location);
        Ok(SiteFile { file, location, version, mime })
    }
}

fn has_hidden_name(location: &Path) -> bool {
    location.iter().any(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// An open file of the site.
#[derive(Debug)]
pub struct SiteFile {
    /// Open for reading, at its start.
    pub file: File,
    /// Where it is below the root, links resolved.
    pub location: PathBuf,
    /// What was there when it was opened.
    pub version: FileVersion,
    /// `Content-Type`.
    pub mime: &'static str,
}

/// What tells one version of a file from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileVersion {
    /// Bytes.
    pub length: u64,
    modified: Option<SystemTime>,
    /// Device, inode and time of the last change of any kind, where there are
    /// such: they see a file replaced by one of the same length and time.
    identity: [i128; 3],
}

impl FileVersion {
    /// From what the system says about an open file.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            identity: identity(metadata),
        }
    }

    /// Whether the same open file still has the bytes of this version, as far as its
    /// length and its time of modification tell.
    pub fn is_still(&self, metadata: &Metadata) -> bool {
        self.length == metadata.len() && self.modified == metadata.modified().ok()
    }

    /// The file's `ETag`: time of modification in nanoseconds and length, so that
    /// servers with copies of one site say the same.
    pub fn etag(&self) -> String {
        let nanos = self.modified.map_or(0, nanos_since_epoch);
        format!("\"{nanos:x}-{:x}\"", self.length)
    }

    /// Names this version of this very file on this machine.
    pub fn stamp(&self) -> String {
        let nanos = self.modified.map_or(0, nanos_since_epoch);
        let [device, inode, changed] = self.identity;
        format!("{:x}-{nanos:x}-{device:x}-{inode:x}-{changed:x}", self.length)
    }

    /// Names this version of a file and of its copies: length, and time of modification in
    /// seconds, which archives keep.
    pub fn portable_stamp(&self) -> String {
        let nanos = self.modified.map_or(0, nanos_since_epoch);
        format!("{:x}-{:x}", self.length, nanos.div_euclid(1_000_000_000))
    }

    /// The file's `Last-Modified`, if an HTTP date can tell it.
    pub fn last_modified(&self) -> Option<String> {
        self.modified_date().map(httpdate::fmt_http_date)
    }

    /// [`FileVersion::last_modified`] as a time.
    pub fn modified_date(&self) -> Option<SystemTime> {
        const YEAR_9999: Duration = Duration::from_secs(253_370_764_800);
        self.modified.filter(|time| {
            time.duration_since(UNIX_EPOCH).is_ok_and(|since_epoch| since_epoch < YEAR_9999)
        })
    }

    /// Whether the last modification is further from `now` than file systems'
    /// clocks are coarse. A file modified just now can change again and look the
    /// same; one that seems to come from the future cannot.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        const COARSEST_CLOCK: Duration = Duration::from_secs(2);
        let apart = |time| now.duration_since(time).unwrap_or_else(|error| error.duration());
        self.modified.is_some_and(|time| apart(time) > COARSEST_CLOCK)
    }
}

fn nanos_since_epoch(time: SystemTime) -> i128 {
    let signed = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => signed(after),
        Err(before) => -signed(before.duration()),
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> [i128; 3] {
    use std::os::unix::fs::MetadataExt;
    let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    [metadata.dev().into(), metadata.ino().into(), changed]
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> [i128; 3] {
    [0; 3]
}

/// Why a path of the site has no file to serve.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("there is no such file in the site")]
    NotFound,
    /// It is a directory, and the URL lacks the `/` at its end.
    #[error("this is a directory, not a file")]
    Directory,
    /// A symlink on the way leads out of the site.
    #[error("a symbolic link leads out of the site")]
    Outside,
    /// There is something, but it is not for the public.
    #[error("{0}")]
    NotPublic(&'static str),
    /// The file system failed.
    #[error("the file could not be read")]
    Io(#[source] io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
                Self::NotFound
            }
            // cap-std's own refusal has no code of the system.
            ErrorKind::PermissionDenied if error.raw_os_error().is_none() => Self::Outside,
            ErrorKind::PermissionDenied => Self::NotPublic("the server may not read this file"),
            _ => Self::Io(error),
        }
    }
}
