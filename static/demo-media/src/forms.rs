//! The film in the other forms that browsers and players take: WebM, sound alone, and cut
//! into segments for HLS and DASH.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Seconds of the film that WebM and segments have: enough for a player to have something
/// to seek in.
const SECONDS: &str = "16";

/// Seconds of a segment.
const SEGMENT: &str = "4";

/// Frames from one that stands alone to the next: those of a segment.
const GROUP: &str = "96";

/// Cuts them all from the film: `NAME.webm` and `NAME.mp3` beside it, and a folder `NAME` with
/// the segments, their `master.m3u8` and `manifest.mpd`.
pub fn write(film: &Path) -> Result<()> {
    web_m(film)?;
    sound(film)?;
    segments(film)
}

/// VP9 and Opus, which every Firefox has in it.
fn web_m(film: &Path) -> Result<()> {
    let mut ffmpeg = ffmpeg(film, SECONDS);
    ffmpeg
        .args(["-vf", "scale=-2:360", "-c:v", "libvpx-vp9", "-b:v", "450k", "-g", GROUP])
        .args(["-row-mt", "1", "-threads", "2", "-deadline", "good", "-cpu-used", "3"])
        .args(["-c:a", "libopus", "-b:a", "64k"]);
    run(ffmpeg, &film.with_extension("webm"))
}

/// All of the film's sound.
fn sound(film: &Path) -> Result<()> {
    let mut ffmpeg = ffmpeg(film, "30");
    ffmpeg.args(["-vn", "-c:a", "libmp3lame", "-b:a", "128k"]);
    run(ffmpeg, &film.with_extension("mp3"))
}

/// One set of CMAF segments for HLS and DASH alike: two sizes of the picture, one sound. Every
/// segment is larger than 64 KiB, below which a site leaves files to plain HTTP.
fn segments(film: &Path) -> Result<()> {
    let folder = film.with_extension("");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut ffmpeg = ffmpeg(film, SECONDS);
    ffmpeg
        .args(["-map", "0:v", "-map", "0:v", "-map", "0:a"])
        .args(["-c:v", "libx264", "-profile:v", "main", "-preset", "slow", "-threads", "2"])
        .args(["-g", GROUP, "-keyint_min", GROUP, "-sc_threshold", "0"])
        .args(["-filter:v:0", "scale=-2:360", "-b:v:0", "400k", "-maxrate:v:0", "600k"])
        .args(["-bufsize:v:0", "800k"])
        .args(["-b:v:1", "1200k", "-maxrate:v:1", "1800k", "-bufsize:v:1", "2400k"])
        // A little shorter than the picture: else its rest would be a segment of its own.
        .args(["-af", "atrim=end=15.9", "-c:a", "aac", "-b:a", "160k"])
        .args(["-f", "dash", "-seg_duration", SEGMENT, "-hls_playlist", "1"])
        .args(["-use_template", "1", "-use_timeline", "1"])
        .args(["-adaptation_sets", "id=0,streams=v id=1,streams=a"])
        .args(["-init_seg_name", "init-$RepresentationID$.mp4"])
        .args(["-media_seg_name", "$RepresentationID$-$Number$.m4s"]);
    run(ffmpeg, &folder.join("manifest.mpd"))?;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "m3u8") {
            forget_dates(&path)?;
        }
    }
    Ok(())
}

/// Takes the time of the making out of a playlist, so that it is the same every time.
fn forget_dates(playlist: &Path) -> Result<()> {
    let lines = fs::read_to_string(playlist)?;
    let kept = lines.lines().filter(|line| !line.starts_with("#EXT-X-PROGRAM-DATE-TIME"));
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    fs::write(playlist, kept).with_context(|| format!("writing {}", playlist.display()))
}

/// Reads the film's first seconds.
fn ffmpeg(film: &Path, seconds: &str) -> Command {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-hide_banner", "-loglevel", "error", "-y", "-t", seconds, "-i"])
        .arg(film)
        .args(["-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]);
    ffmpeg
}

fn run(mut ffmpeg: Command, out: &Path) -> Result<()> {
    println!("{}", out.display());
    let status =
        ffmpeg.arg(out).status().context("starting ffmpeg (Debian: apt install ffmpeg)")?;
    ensure!(status.success(), "ffmpeg failed");
    Ok(())
}
