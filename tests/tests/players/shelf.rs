//! The films that the players play, and the players themselves: all files of the test's own
//! site, so that nothing comes from elsewhere while the tests run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dcdn_tests::Site;

/// The demo's media.
const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../static/demo/media");

/// The players' packages.
const PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/players/node_modules");

/// Of those, what the demo's page has.
const PLAYERS: [&str; 3] = [
    "hls.js/dist/hls.min.js",
    "shaka-player/dist/shaka-player.compiled.js",
    "video.js/dist/video.min.js",
];

/// The streams in [`stream`] that have their segments in one file each: [`one_file_each`].
const STREAMS: u32 = 3;

/// Puts one of the demo's media on the site, under the same name. Returns its path there.
pub fn film(site: &Site, name: &str) -> Result<String> {
    let path = format!("/media/{name}");
    put(site, &Path::new(DEMO).join(name), &path)?;
    Ok(path)
}

/// Puts a player's file on the site. Returns its path there.
pub fn player(site: &Site, file: &str) -> Result<String> {
    let path = format!("/players/{file}");
    put(site, &Path::new(PACKAGES).join(file), &path)
        .context("`npm ci` in tests/players fetches the players; `cargo xtask test` does that")?;
    Ok(path)
}

/// Puts the demo's page of players on the site, with the players. Returns the paths of what
/// they play that goes among visitors.
pub fn demo(site: &Site) -> Result<Vec<String>> {
    for name in ["players.html", "players.js", "style.css", "icon.svg"] {
        put(site, &Path::new(DEMO).join("..").join(name), &format!("/{name}"))?;
    }
    for file in PLAYERS {
        let name = Path::new(file).file_name().and_then(|it| it.to_str()).context("a name")?;
        put(site, &Path::new(PACKAGES).join(file), &format!("/players/{name}"))?;
    }
    let mut films = stream(site)?;
    for kind in ["mp4", "webm", "mp3"] {
        films.push(film(site, &format!("one-hour-up.{kind}"))?);
    }
    Ok(films)
}

/// Writes a sound of half a minute that is no music, as PCM: about 1.3 MB.
pub fn noise(site: &Site, path: &str) -> Result<()> {
    const RATE: u32 = 22_050;
    const SAMPLES: u32 = 30 * RATE;
    let bytes = 2 * SAMPLES;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    // PCM, mono, samples and bytes of a second, bytes of a sample, bits of a sample.
    file.extend([1_u16, 1].iter().flat_map(|it| it.to_le_bytes()));
    file.extend([RATE, 2 * RATE].iter().flat_map(|it| it.to_le_bytes()));
    file.extend([2_u16, 16].iter().flat_map(|it| it.to_le_bytes()));
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    let mut state = 1_u32;
    for _ in 0..SAMPLES {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [.., low, high] = state.to_le_bytes();
        file.extend([low, high & 15]);
    }
    Ok(fs::write(at(site, path), file)?)
}

/// Puts the film's segments on the site, with their playlists. Returns the paths of the
/// segments.
pub fn stream(site: &Site) -> Result<Vec<String>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(Path::new(DEMO).join("one-hour-up"))? {
        let name = entry?.file_name().into_string().ok().context("a name that is no text")?;
        let path = film(site, &format!("one-hour-up/{name}"))?;
        if path.ends_with(".m4s") {
            segments.push(path);
        }
    }
    segments.sort();
    ensure!(!segments.is_empty(), "the demo has no segments");
    Ok(segments)
}

/// Makes a file of each stream's segments, and playlists that ask for parts of it, beside those
/// that [`stream`] has put there. Returns the paths of the files.
pub fn one_file_each(site: &Site) -> Result<Vec<String>> {
    let folder = site.root().join("media/one-hour-up");
    (0..STREAMS).map(|stream| one_file(&folder, stream)).collect()
}

fn one_file(folder: &Path, stream: u32) -> Result<String> {
    let name = format!("all-{stream}.mp4");
    let list = folder.join(format!("media_{stream}.m3u8"));
    let mut file = fs::read(folder.join(format!("init-{stream}.mp4")))?;
    let start = format!("URI=\"{name}\",BYTERANGE=\"{}@0\"", file.len());
    let mut lines = String::new();
    for line in fs::read_to_string(&list)?.lines() {
        if line.starts_with("#EXT-X-MAP") {
            lines += &format!("#EXT-X-MAP:{start}\n");
        } else if line.starts_with('#') {
            lines += &format!("{line}\n");
        } else {
            let segment = fs::read(folder.join(line))?;
            lines += &format!("#EXT-X-BYTERANGE:{}@{}\n{name}\n", segment.len(), file.len());
            file.extend(segment);
        }
    }
    fs::write(folder.join(&name), file)?;
    fs::write(list, lines)?;
    Ok(format!("/media/one-hour-up/{name}"))
}

/// Makes an MP4 whose index comes last of one whose index comes first.
pub fn index_last(site: &Site, from: &str, path: &str) -> Result<()> {
    let file = fs::read(at(site, from))?;
    let mut index = part(&file, *b"moov")?.to_vec();
    let media = part(&file, *b"mdat")?;
    let start = part(&file, *b"ftyp")?;
    ensure!(start.len() + index.len() <= offset(&file, media), "the index is last already");
    // Where the media are is said from the file's start.
    let earlier = offset(&file, media) - start.len();
    move_chunks(&mut index, u32::try_from(earlier)?)?;
    Ok(fs::write(at(site, path), [start, media, &index].concat())?)
}

fn offset(file: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - file.as_ptr() as usize
}

/// A box of the file (ISO/IEC 14496-12, section 4.2), from its header on.
fn part(mut rest: &[u8], name: [u8; 4]) -> Result<&[u8]> {
    while let Some((length, it)) = header(rest) {
        ensure!((8..=rest.len()).contains(&length), "a box of {length} bytes");
        let (found, behind) = rest.split_at(length);
        if it == name {
            return Ok(found);
        }
        rest = behind;
    }
    anyhow::bail!("no box {}", name.escape_ascii())
}

fn header(bytes: &[u8]) -> Option<(usize, [u8; 4])> {
    let (length, name) = bytes.get(..8)?.split_at(4);
    let length = u32::from_be_bytes(length.try_into().ok()?);
    Some((usize::try_from(length).ok()?, name.try_into().ok()?))
}

/// Takes `earlier` from every entry of every `stco` (section 8.7.5).
fn move_chunks(index: &mut [u8], earlier: u32) -> Result<()> {
    let tables: Vec<usize> =
        (4..index.len()).filter(|&at| index[at..].starts_with(b"stco")).map(|at| at + 8).collect();
    ensure!(!tables.is_empty(), "an index without chunks");
    for table in tables {
        let count = word(index, table)?;
        for entry in 1..=usize::try_from(count)? {
            let at = table + entry * 4;
            let moved = word(index, at)?.checked_sub(earlier).context("a chunk in the index")?;
            index[at..at + 4].copy_from_slice(&moved.to_be_bytes());
        }
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let word = bytes.get(at..at + 4).context("an index that ends early")?;
    Ok(u32::from_be_bytes(word.try_into()?))
}

/// Writes a text to the site.
pub fn text(site: &Site, path: &str, text: &str) -> Result<()> {
    let to = at(site, path);
    fs::create_dir_all(to.parent().context("a path without a folder")?)?;
    Ok(fs::write(to, text)?)
}

fn put(site: &Site, from: &Path, path: &str) -> Result<()> {
    let to = at(site, path);
    fs::create_dir_all(to.parent().context("a path without a folder")?)?;
    fs::copy(from, to).with_context(|| format!("there is no {}", from.display()))?;
    Ok(())
}

fn at(site: &Site, path: &str) -> PathBuf {
    site.root().join(path.trim_start_matches('/'))
}
