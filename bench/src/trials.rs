//! The thesis's evaluation (sections 2.1 and 4), and what it could not measure: real browsers,
//! a real server, everything in one run.
//!
//! Some seeding visitors with profiles of their own hold what is asked for. Each trial has
//! contents of its own (the same picture with other bytes behind it), so that no cache can hold
//! them; configurations take turns, after warm-ups that do not count. Times are the browser's
//! own (Resource Timing), from navigationStart, unless a section says otherwise.

pub mod about;
mod crowd;
mod delivery;
mod handshake;
mod large;
mod log;
mod raw;
pub mod section;
pub mod targets;
mod video;
mod visits;
mod world;

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use self::about::About;
use self::log::Log;
pub use self::section::Section;
use self::targets::Target;
use self::world::World;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Thesis, Table 1: opening a socket beside a HEAD request
    Sockets,
    /// Table 2: an image that peers hold, everything near
    Near,
    /// Table 3: the same with the server 50 ms and 20 Mbit/s away
    Far,
    /// First visits, and a worker that has to be started
    Visits,
    /// A file of 50 MB
    Large,
    /// A film's start, and a seek
    Video,
    /// Eight who arrive a second apart
    Crowd,
}

/// How much to measure.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Trials that count, of each configuration.
    pub trials: usize,
    /// Trials before those.
    pub warm_ups: usize,
    /// Seeding visitors.
    pub peers: usize,
    /// What to measure.
    #[serde(skip)]
    pub parts: Vec<Part>,
}

impl Plan {
    /// Trials, warm-ups included.
    fn rounds(&self) -> usize {
        self.warm_ups + self.trials
    }

    /// Trials of what takes long.
    fn few(&self) -> usize {
        self.trials.div_ceil(3)
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

/// What came out.
#[derive(Debug, Serialize)]
pub struct Results {
    /// What was measured, and where.
    pub about: About,
    /// How much was measured.
    pub plan: Plan,
    /// One for each part.
    pub sections: Vec<Section>,
    /// What was to be reached.
    pub targets: Vec<Target>,
}

/// Runs the plan, with progress on standard error and each trial in `folder`.
///
/// # Errors
/// If a browser or the server fails.
pub async fn run(plan: Plan, folder: &Path) -> Result<Results> {
    let mut log = Log::create(folder)?;
    let mut sections = Vec::new();
    if plan.parts.iter().any(|part| *part != Part::Crowd) {
        let mut world = World::new(&plan, log).await?;
        if plan.has(Part::Sockets) {
            sections.push(handshake::run(&world, &plan).await?);
        }
        for (part, place) in [(Part::Near, world.near()), (Part::Far, world.far())] {
            if plan.has(part) {
                sections.push(delivery::run(&mut world, &plan, &place).await?);
            }
        }
        if plan.has(Part::Visits) {
            sections.extend(visits::run(&mut world, &plan).await?);
        }
        if plan.has(Part::Large) {
            sections.push(large::run(&world, &plan).await?);
        }
        if plan.has(Part::Video) {
            sections.extend(video::run(&mut world, &plan).await?);
        }
        log = world.close().await?;
    }
    if plan.has(Part::Crowd) {
        sections.push(crowd::run(&plan, &log).await?);
    }
    let targets = targets::targets(&sections);
    Ok(Results { about: About::here(), plan, sections, targets })
}
