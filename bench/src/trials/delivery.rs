//! Thesis, Tables 2 and 3: an image of the thesis's size on a page that is navigated to.

use anyhow::{Context, Result};
use dcdn_tests::Visitor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::section::{Piece, Section, TimeLine, compared, plain};
use super::world::{CONFIGURATIONS, Place, World, page};
use super::{Part, Plan};

/// The row of open data channels without anything else.
pub const RAW: &str = "open data channels, no DCDN";

/// First byte, last byte, share, bandwidth, as the thesis has them.
const NEAR: [(&str, &str); 5] = [
    ("plain HTTP", "7, -, -, -"),
    ("basic", "465, 1412, 100 %, 3.41"),
    ("prefetch", "369, 1536, 80 %, 2.77"),
    ("head-start", "354, 1252, 80 %, 3.60"),
    ("mixed", "386, 1313, 55 %, 3.49"),
];

/// The same from Los Angeles.
const FAR: [(&str, &str); 1] = [("basic", "470, 1335, -, 3.74")];

/// An image as a page got it.
#[derive(Debug, Deserialize, Serialize)]
pub struct Delivery {
    /// Milliseconds from navigationStart.
    pub requested: f64,
    /// Likewise.
    pub first: f64,
    /// Likewise.
    pub last: f64,
    length: f64,
    from_peers: f64,
    pieces: Vec<Piece>,
    /// What `dcdn.stats()` says of it.
    stats: Option<Value>,
}

/// Images that it takes.
pub fn images(plan: &Plan) -> usize {
    let parts = [Part::Near, Part::Far].into_iter().filter(|part| plan.has(*part)).count();
    parts * plan.rounds() * CONFIGURATIONS.len()
}

/// Runs it.
pub async fn run(world: &mut World, plan: &Plan, place: &Place) -> Result<Section> {
    let (title, published): (_, &[_]) = match place.name {
        "near" => ("An image of 3.1 MB that five peers hold (Table 2)", &NEAR),
        _ => ("The same, 50 ms and 20 Mbit/s from the server (Table 3)", &FAR),
    };
    let note = format!(
        "{} trials of each in turns, after {} warm-ups; {} seeding visitors. The worker is \
         there, the image is not; `http` is a worker that passes everything through. The image \
         is not painted: a browser that decodes it as it comes takes more of the few cores that \
         all share than delivering it. Open data \
         channels: the same bytes from the same visitors, timed from the request for them.",
        plan.trials, plan.warm_ups, plan.peers
    );
    let columns = [
        compared("first byte, ms", 0),
        compared("last byte, ms", 0),
        plain("from peers, %", 0),
        plain("MB/s", 1),
    ];
    let mut section = Section::new(place.name, title, note, &columns)
        .compared_to(CONFIGURATIONS[0])
        .with_rows(&CONFIGURATIONS);
    world.introduce(place, &CONFIGURATIONS, ".html").await?;
    let mut length = 0.0;
    for round in 0..plan.rounds() {
        eprintln!("{}: round {} of {}", place.name, round + 1, plan.rounds());
        let counts = round >= plan.warm_ups;
        let images = world.fresh_images(CONFIGURATIONS.len()).await?;
        for (configuration, number) in in_turns(&CONFIGURATIONS, round).zip(images) {
            let client = match configuration {
                "plain HTTP" => &world.without_worker,
                _ => &world.with_worker,
            };
            let got = Delivery::of(client, &place.url(&page(configuration, number))).await?;
            length = got.length;
            world.log.note(place.name, round, configuration, &got)?;
            if counts {
                section.add(configuration, &got.row());
                section.keep(got.time_line(configuration));
            }
        }
        world.with_worker.run::<()>("await dcdn.clear();", &[]).await?;
        let (first, last) = world.raw.fetch(length).await?;
        world.log.note(place.name, round, RAW, &(first, last))?;
        if counts {
            section.add(RAW, &[first, last, 100.0, length / last / 1000.0]);
        }
    }
    section.beside(published);
    Ok(section)
}

/// Each round begins with another of them, so that none always comes after the same one.
fn in_turns(configurations: &[&'static str], round: usize) -> impl Iterator<Item = &'static str> {
    let count = configurations.len();
    configurations.iter().copied().cycle().skip(round % count).take(count)
}

impl Delivery {
    /// The image of a page, once it is there.
    pub async fn of(client: &Visitor, page: &str) -> Result<Self> {
        client.open(page).await?;
        let script = "
            const image = document.querySelector('img');
            await image.decode();
            const entry = performance.getEntriesByName(image.src)[0];
            const [requested, first, last] = [entry.startTime, entry.responseStart, entry.responseEnd];
            const length = entry.decodedBodySize;
            const all = window.dcdn ? (await dcdn.ready, await dcdn.stats()) : { urls: [] };
            const stats = all.urls.find((it) => it.url === new URL(image.src).pathname) ?? null;
            const whole = { start: 0, end: length, asked: requested, there: last, source: 'http' };
            const delivered = (until) =>
              window.steps.find(([, loaded]) => loaded >= until)?.[0] ?? last;
            const served = (stats?.spans ?? [])
              .filter(([, , source]) => source !== 'p2p')
              .map(([start, end, source]) =>
                ({ start, end, asked: requested, there: delivered(end), source }));
            const pieces = stats?.spans.length ? [...served, ...window.chunks] : [whole];
            const from_peers = stats?.bytes_p2p ?? 0;
            return { requested, first, last, length, from_peers, pieces, stats };";
        client.run(script, &[]).await.with_context(|| page.to_owned())
    }

    fn row(&self) -> [f64; 4] {
        let share = 100.0 * self.from_peers / self.length;
        [self.first, self.last, share, self.length / (self.last - self.requested) / 1000.0]
    }

    fn time_line(self, configuration: &str) -> TimeLine {
        let name = configuration.to_owned();
        TimeLine { name, length: self.length, pieces: self.pieces }
    }
}
