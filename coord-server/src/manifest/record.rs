//! The hashes of a file as the store has them: one frame.

use dcdn_protocol::manifest::HASH_LEN;
use dcdn_protocol::{ChunkHash, Layout, frame};
use serde::{Deserialize, Serialize};

use crate::site::root::FileVersion;

/// What is stored of a file beside its hashes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    /// [`FileVersion::stamp`], or of what was made ahead [`FileVersion::portable_stamp`].
    stamp: String,
    length: u64,
    chunk_size: u32,
}

/// Writes a record of the version with this stamp.
pub fn encode(stamp: String, layout: Layout, chunks: &[ChunkHash]) -> Vec<u8> {
    let header = Header { stamp, length: layout.length(), chunk_size: layout.chunk_size() };
    let body: Vec<u8> = chunks.iter().flat_map(|hash| hash.0).collect();
    // A header of three short fields always fits.
    frame::encode(&header, &body).unwrap_or_default()
}

/// Reads a record, if it is of this version.
pub fn decode(bytes: &[u8], version: &FileVersion) -> Option<(Layout, Vec<ChunkHash>)> {
    let (header, body): (Header, _) = frame::decode(bytes).ok()?;
    if header.stamp != version.stamp() && header.stamp != version.portable_stamp() {
        return None;
    }
    let layout = Layout::new(header.length, header.chunk_size).ok()?;
    let (chunks, rest) = body.as_chunks::<HASH_LEN>();
    let is_whole = rest.is_empty() && chunks.len() == layout.chunk_count() as usize;
    is_whole.then(|| (layout, chunks.iter().copied().map(ChunkHash).collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    use super::*;

    fn version(path: &std::path::Path) -> FileVersion {
        FileVersion::of(&fs::metadata(path).unwrap())
    }

    #[test]
    fn a_record_is_of_one_version_and_one_made_ahead_of_its_copies_too() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("a"), folder.path().join("b"));
        let time = SystemTime::now() - Duration::from_secs(3600);
        for path in [&path, &copy] {
            fs::write(path, [0; 3000]).unwrap();
            File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }
        let (original, copied) = (version(&path), version(&copy));
        let layout = Layout::new(3000, 1024).unwrap();
        let chunks = vec![ChunkHash([7; 32]); 3];

        let own = encode(original.stamp(), layout, &chunks);
        let ahead = encode(original.portable_stamp(), layout, &chunks);

        assert_eq!(decode(&own, &original), Some((layout, chunks.clone())));
        assert_eq!(decode(&own, &copied), None);
        assert_eq!(decode(&ahead, &copied), Some((layout, chunks.clone())));
        assert_eq!(decode(&own[..own.len() - 1], &original), None);
        fs::write(&path, [1; 3001]).unwrap();
        assert_eq!(decode(&ahead, &version(&path)), None);
    }
}
