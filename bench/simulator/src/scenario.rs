//! Who comes when and for what: one function for each scenario.

mod crowds;
mod sites;

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail};
use coord_server::registry::Recommendation;
use dcdn_protocol::PolicyName;
use dcdn_protocol::chunk::DEFAULT_CHUNK_SIZE;

use crate::dice::{self, Purpose};
use crate::event::ContentNo;
use crate::network::NetworkModel;
use crate::num::{narrow, whole};
use crate::world::{Content, Plan, Visit, World};

/// Bit rate of the videos: 4 Mbit/s, in bytes per second.
pub const VIDEO_RATE: u64 = 500_000;

/// The scenarios by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The thesis's measurement (section 4.2): five seeds and one client.
    Thesis,
    /// Everybody comes within a minute for the same video.
    FlashCrowd,
    /// A catalogue of videos, watched at all times.
    SteadyVod,
    /// Pages of images, visits of 10 to 60 s.
    ImageHeavy,
    /// A live stream in segments.
    Live,
    /// Short visits, many of which end without a word.
    Churn,
    /// A fifth of the viewers sends wrong bytes.
    Poison,
    /// Half of the viewers upload at 50 KB/s, and some stop for a while.
    SlowPeers,
    /// All at the same moment for one file, from an origin of 20 Mbit/s.
    Together,
    /// The origin is down for a minute in the middle.
    OriginOutage,
    /// The same short video for more and more viewers.
    Scale,
}

impl Name {
    /// Those that `all` means: [`Name::Scale`] is another kind of question.
    pub const ALL: [Self; 10] = [
        Self::Thesis,
        Self::FlashCrowd,
        Self::SteadyVod,
        Self::ImageHeavy,
        Self::Live,
        Self::Churn,
        Self::Poison,
        Self::SlowPeers,
        Self::Together,
        Self::OriginOutage,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Thesis => "thesis",
            Self::FlashCrowd => "flash-crowd",
            Self::SteadyVod => "steady-vod",
            Self::ImageHeavy => "image-heavy",
            Self::Live => "live",
            Self::Churn => "churn",
            Self::Poison => "poison",
            Self::SlowPeers => "slow-peers",
            Self::Together => "together",
            Self::OriginOutage => "origin-outage",
            Self::Scale => "scale",
        }
    }
}

impl FromStr for Name {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().chain([Self::Scale]).find(|it| it.as_str() == text);
        let Some(found) = found else {
            let names = Self::ALL.map(Self::as_str).join(", ");
            bail!("unknown scenario {text:?}; there are {names}, scale, all");
        };
        Ok(found)
    }
}

/// What can be set from outside. `None` leaves a scenario its own number.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of every draw.
    pub seed: u64,
    /// Visitors.
    pub viewers: Option<u32>,
    /// The configurations to run.
    pub policies: Vec<PolicyName>,
    /// See `SiteConfig::slack_ms`.
    pub slack_ms: u32,
    /// See `SiteConfig::slack_percent`.
    pub slack_percent: u32,
    /// Capacity of the origin; 0 is no limit.
    pub origin_mbit: Option<u32>,
    /// Length of the video.
    pub minutes: Option<f64>,
    /// KiB of a chunk.
    pub chunk_kib: Option<u32>,
    /// Percentage of pairs that cannot connect.
    pub nat_percent: Option<f64>,
    /// How the coordination server chooses whom to name.
    pub recommendation: Recommendation,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            viewers: None,
            policies: vec![PolicyName::Adaptive],
            slack_ms: 3000,
            slack_percent: 0,
            origin_mbit: None,
            minutes: None,
            chunk_kib: None,
            nat_percent: None,
            recommendation: Recommendation::default(),
        }
    }
}

impl Options {
    /// What the scheduler is told; sessions get seeds of their own.
    pub fn settings(&self, policy: PolicyName) -> dcdn_swarm::Settings {
        dcdn_swarm::Settings {
            policy,
            slack: Duration::from_millis(self.slack_ms.into()),
            slack_percent: self.slack_percent,
            mixed_http_percent: None,
            among_peers: false,
            seed: 0,
        }
    }

    fn viewers_or(&self, default: u32) -> u32 {
        self.viewers.unwrap_or(default)
    }

    fn video_ms(&self, default_minutes: f64) -> u64 {
        whole(self.minutes.unwrap_or(default_minutes) * 60_000.0).max(1000)
    }

    fn chunk_size(&self) -> u32 {
        self.chunk_kib.map_or(DEFAULT_CHUNK_SIZE, |kib| kib.saturating_mul(1024))
    }
}

/// Builds the world of a scenario.
///
/// # Errors
/// If an option does not make sense in it.
pub fn build(name: Name, options: &Options) -> Result<World> {
    let draft = Draft::new(options);
    let mut world = match name {
        Name::Thesis => crowds::thesis(draft, options),
        Name::FlashCrowd => crowds::flash_crowd(draft, options),
        Name::Poison => crowds::poison(draft, options),
        Name::SlowPeers => crowds::slow_peers(draft, options),
        Name::Together => crowds::together(draft, options),
        Name::OriginOutage => crowds::origin_outage(draft, options),
        Name::Scale => crowds::scale(draft, options),
        Name::SteadyVod => sites::steady_vod(draft, options),
        Name::ImageHeavy => sites::image_heavy(draft, options),
        Name::Live => sites::live(draft, options),
        Name::Churn => sites::churn(draft, options),
    }?;
    if let Some(mbit) = options.origin_mbit {
        world.net.origin.mbit = (mbit > 0).then_some(mbit);
    }
    if let Some(percent) = options.nat_percent {
        world.net.nat_percent = percent;
    }
    world.net.coord.recommendation = options.recommendation;
    world.visits.sort_by_key(|visit| visit.arrive);
    Ok(world)
}

/// A world that is being put together.
struct Draft {
    world: World,
    chunk_size: u32,
}

impl Draft {
    fn new(options: &Options) -> Self {
        let world = World {
            seed: options.seed,
            net: NetworkModel::default(),
            contents: Vec::new(),
            visits: Vec::new(),
            horizon: 0,
        };
        Self { world, chunk_size: options.chunk_size() }
    }

    /// A content of so many bytes, there from `since` on.
    fn content(&mut self, length: u64, since: u64) -> Result<ContentNo> {
        self.world.contents.push(Content { since, ..Content::new(length, self.chunk_size)? });
        Ok(ContentNo(crate::num::count(self.world.contents.len() - 1)))
    }

    /// A video of so many milliseconds at [`VIDEO_RATE`].
    fn video(&mut self, ms: u64) -> Result<ContentNo> {
        self.content(VIDEO_RATE * ms / 1000, 0)
    }

    fn unit(&self, purpose: Purpose, a: u64, b: u64) -> f64 {
        dice::unit(self.world.seed, purpose, a, b)
    }

    fn visit(&mut self, arrive: u64, leave: Option<u64>, plan: Plan) {
        self.world.visits.push(Visit { arrive, leave, stay_ms: 0, plan });
    }

    /// Draws a rank of `popularity`.
    fn zipf(&self, popularity: &Popularity, a: u64) -> u32 {
        let mut draw = self.unit(Purpose::Choice, a, 0) * popularity.total;
        let rank = popularity.weights.iter().position(|weight| {
            draw -= weight;
            draw < 0.0
        });
        crate::num::count(rank.unwrap_or(popularity.weights.len().saturating_sub(1)))
    }

    /// Arrivals of `count` visitors over `span` milliseconds, independent of each
    /// other: given how many there are, a Poisson process puts each anywhere.
    fn arrivals(&self, count: u32, span: u64) -> Vec<u64> {
        let mut times: Vec<u64> = (0..count)
            .map(|n| whole(self.unit(Purpose::Arrival, n.into(), 0) * span as f64))
            .collect();
        times.sort_unstable();
        times
    }

    fn done(mut self, horizon: u64) -> World {
        self.world.horizon = horizon;
        self.world
    }
}

/// How popular each of some contents is, by Zipf's law.
struct Popularity {
    weights: Vec<f64>,
    total: f64,
}

impl Popularity {
    /// Of `count` contents, with exponent `s`.
    fn new(count: u32, s: f64) -> Self {
        let weights: Vec<f64> = (1..=count).map(|rank| f64::from(rank).powf(-s)).collect();
        Self { total: weights.iter().sum(), weights }
    }
}

/// Between `least` and `most`, evenly.
fn between(draw: f64, least: u64, most: u64) -> u64 {
    least + whole(draw * most.saturating_sub(least) as f64)
}

/// `count` as a number that fits where viewers are counted.
fn fit(count: u64) -> u32 {
    narrow(count)
}
