//! Makes the media of the demo site: ten pictures of places that do not exist,
//! and a film, which is there in several forms.
//!
//! ```text
//! cargo run --release --manifest-path static/demo-media/Cargo.toml -- static/demo/media
//! ```
//!
//! Everything comes from noise, erosion and light; nothing is downloaded. The
//! same seed makes the same pictures. The film needs `ffmpeg` on the path.
//! Altogether it takes some twenty minutes on two cores; `--only` makes one
//! thing, `--draft` makes it small.

mod air;
mod atoll;
mod camera;
mod dunes;
mod film;
mod flight;
mod forms;
mod grid;
mod heavens;
mod landscape;
mod music;
mod noise;
mod pines;
mod terrain;
mod works;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::film::write_jpeg;
use crate::flight::Flight;
use crate::terrain::Terrain;
use crate::works::Work;

/// Makes the media of the demo site.
#[derive(Parser)]
struct Options {
    /// Folder to write to.
    out: PathBuf,
    /// Only these: a file's name without its extension. Any number of times.
    #[arg(long)]
    only: Vec<String>,
    /// Pictures a quarter as large, of any size in bytes; of the film, eight stills.
    #[arg(long)]
    draft: bool,
}

/// The film's file, without the extension.
const FILM: &str = "one-hour-up";

/// What the film's other forms are called together. They are cut from its file.
const FORMS: &str = "other-forms";

/// The country's seed. The cameras in [`works`] stand where they do because of it.
const SEED: u32 = 1;

fn main() -> Result<()> {
    let options = Options::parse();
    fs::create_dir_all(&options.out)
        .with_context(|| format!("making {}", options.out.display()))?;
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|n| n == name);
    let works = works::all();
    for name in &options.only {
        ensure!(
            [FILM, FORMS].contains(&name.as_str()) || works.iter().any(|work| work.name == name),
            "there is no {name}; there are {FILM}, {FORMS}, {}",
            works.iter().map(|work| work.name).collect::<Vec<_>>().join(", ")
        );
    }

    let works: Vec<_> = works.iter().filter(|work| wanted(work.name)).collect();
    if !works.is_empty() || wanted(FILM) {
        println!("the country rises and wears down");
        let terrain = Terrain::new(SEED);
        for work in works {
            make_picture(work, &terrain, &options)?;
        }
        if wanted(FILM) {
            make_film(&terrain, &options)?;
        }
    }
    if wanted(FORMS) && !options.draft {
        forms::write(&film(&options.out))?;
    }
    Ok(())
}

fn make_picture(work: &Work, terrain: &Terrain, options: &Options) -> Result<()> {
    let path = options.out.join(work.name).with_extension("jpg");
    let (size, within) = if options.draft {
        ((work.size.0 / 4, work.size.1 / 4), (0, usize::MAX))
    } else {
        (work.size, work.within)
    };
    let picture = work.subject.picture(terrain, size, 2);
    let mut how = work.how;
    for _ in 0..40 {
        let bytes = picture.develop(&how, SEED);
        if write_jpeg(&path, &bytes, size, within.1, work.finest)? >= within.0 {
            return Ok(());
        }
        // Too smooth to be that large: a little more grain.
        how.grain *= 1.06;
    }
    bail!("{} does not come to {} bytes", path.display(), within.0)
}

fn make_film(terrain: &Terrain, options: &Options) -> Result<()> {
    let flight = Flight::new(terrain);
    let still = |part: f32, name: &str, size: (usize, usize), most| {
        let path = options.out.join(name).with_extension("jpg");
        write_jpeg(&path, &flight.frame(part, size, 2), size, most, 95)
    };
    if options.draft {
        for k in 0..8_u8 {
            let size = (flight::SIZE.0 / 2, flight::SIZE.1 / 2);
            still(f32::from(k) / 8.0, &format!("{FILM}-{k}"), size, usize::MAX)?;
        }
        return Ok(());
    }
    // Small enough to be left to plain HTTP: it is there at once.
    still(flight::POSTER, &format!("{FILM}-poster"), flight::SIZE, 64_000)?;
    let sound = temporary(&options.out);
    music::write(&sound, flight::SECONDS)?;
    let film = flight.write(&film(&options.out), &sound);
    fs::remove_file(&sound).with_context(|| format!("removing {}", sound.display()))?;
    film
}

fn film(out: &Path) -> PathBuf {
    out.join(FILM).with_extension("mp4")
}

fn temporary(out: &Path) -> PathBuf {
    out.join(FILM).with_extension("wav")
}
