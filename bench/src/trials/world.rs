//! The site, its server near and far, and who is there.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use dcdn_tests::far::Distance;
use dcdn_tests::site::EMPTY_PAGE;
use dcdn_tests::{Proxy, Server, Site, Visitor};
use futures::future::try_join_all;
use serde_json::json;

use super::log::Log;
use super::raw::Raw;
use super::{Part, Plan, delivery, large, video, visits};

/// The configurations. The first has no worker at all.
pub const CONFIGURATIONS: [&str; 7] =
    ["plain HTTP", "http", "basic", "prefetch", "head-start", "mixed", "adaptive"];

/// How far the far server is.
pub const DISTANCE: Distance =
    Distance { round_trip: Duration::from_millis(50), bytes_per_second: 20_000_000 / 8 };

/// Everybody and everything.
pub struct World {
    /// The files, removed with the value.
    site: Site,
    /// Who serves them.
    pub server: Server,
    far: Proxy,
    /// Who holds them.
    pub seeds: Vec<Visitor>,
    /// Has the worker.
    pub with_worker: Visitor,
    /// Has none.
    pub without_worker: Visitor,
    /// Data channels to all seeds, and nothing else.
    pub raw: Raw,
    /// Where every trial is noted.
    pub log: Log,
    next_image: usize,
    /// Images that the seeds hold.
    held: Vec<String>,
}

/// Where the server is.
#[derive(Clone, Debug)]
pub struct Place {
    /// `near` or `far`.
    pub name: &'static str,
    base: String,
}

impl Place {
    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl World {
    /// Makes the files and has the seeds take them in.
    pub async fn new(plan: &Plan, log: Log) -> Result<Self> {
        let site = Site::new()?;
        let images = delivery::images(plan) + visits::images(plan);
        let mut held = Vec::new();
        let picture = fs::read(demo("jpg")?)?;
        for number in 0..images {
            // Bytes after a JPEG's end are no part of the picture, but of the content.
            let bytes = [&picture[..], format!("trial {number}").as_bytes()].concat();
            fs::write(file(&site, &image(number)), bytes)?;
        }
        if plan.has(Part::Large) {
            site.random(large::FILE, large::LENGTH)?;
            held.push(large::FILE.to_owned());
        }
        if plan.has(Part::Video) {
            let film = fs::read(demo("mp4")?)?;
            for number in 0..video::films(plan) {
                fs::write(file(&site, &video::film(number)), another(&film, number)?)?;
                held.push(video::film(number));
            }
        }
        pages(&site)?;
        let server = Server::start(site.root(), &["--stun", "none"]).await?;
        let far = Proxy::far(server.address(), DISTANCE).await?;

        eprintln!("{} seeds arrive", plan.peers);
        let seeds = try_join_all((0..plan.peers).map(|_| seed(&server, &site, &held))).await?;
        let with_worker = Visitor::arrive().await?;
        with_worker.install(&server.url(EMPTY_PAGE)).await?;
        with_worker.install(&far.url(EMPTY_PAGE)).await?;
        let without_worker = Visitor::arrive().await?;
        let raw = Raw::connect(&server.url("/bare.html"), &seeds).await?;
        Ok(Self {
            site,
            server,
            far,
            seeds,
            with_worker,
            without_worker,
            raw,
            log,
            next_image: 0,
            held: Vec::new(),
        })
    }

    /// The server itself.
    pub fn near(&self) -> Place {
        Place { name: "near", base: self.server.url("") }
    }

    /// The server at a distance.
    pub fn far(&self) -> Place {
        Place { name: "far", base: self.far.url("") }
    }

    /// Opens the page of each configuration once: what it asks for before its script runs gets
    /// the policy that it had at the last view.
    pub async fn introduce(&self, place: &Place, configurations: &[&str], end: &str) -> Result<()> {
        for configuration in configurations.iter().filter(|it| **it != CONFIGURATIONS[0]) {
            self.with_worker.open(&place.url(&format!("/{configuration}{end}"))).await?;
            self.with_worker.ready().await?;
        }
        Ok(())
    }

    /// The numbers of so many images that nobody but the seeds has. They take them in now, and
    /// let go of those before: a page is found by a bounded number of contents.
    pub async fn fresh_images(&mut self, count: usize) -> Result<Range<usize>> {
        let numbers = self.next_image..self.next_image + count;
        self.next_image = numbers.end;
        let fresh: Vec<String> = numbers.clone().map(image).collect();
        let let_go = "for (const path of args[0]) await dcdn.forget(path);";
        let take_in = self.seeds.iter().map(async |seed| {
            seed.run::<()>(let_go, &[json!(self.held)]).await?;
            take_in(seed, &self.site, &fresh).await
        });
        try_join_all(take_in).await?;
        self.held = fresh;
        Ok(numbers)
    }

    /// Ends the browsers.
    pub async fn close(self) -> Result<Log> {
        let all = self.seeds.into_iter().chain([self.with_worker, self.without_worker]);
        for visitor in all {
            visitor.close().await?;
        }
        self.raw.close().await?;
        Ok(self.log)
    }
}

/// The path of an image.
pub fn image(number: usize) -> String {
    format!("/media/{number}.jpg")
}

/// The path of the page of a configuration that shows an image.
pub fn page(configuration: &str, number: usize) -> String {
    format!("/{}.html?{number}", page_name(configuration))
}

fn page_name(configuration: &str) -> &str {
    if configuration == CONFIGURATIONS[0] { "plain-http" } else { configuration }
}

/// Notes when each chunk was asked of a peer and when it was there, by what the page's part and the
/// worker say to each other.
const NOTE_CHUNKS: &str = "<script>
  window.chunks = [];
  const asked = new Map();
  const now = () => performance.now();
  const { postMessage, addEventListener } = MessagePort.prototype;
  const hear = ({ data }) => {
    if (data?.type === 'request') asked.set(`${data.peer} ${data.chunk}`, [now(), data.size]);
  };
  MessagePort.prototype.addEventListener = function (...args) {
    addEventListener.call(this, 'message', hear);
    return addEventListener.apply(this, args);
  };
  MessagePort.prototype.postMessage = function (message, ...rest) {
    const known = message?.type === 'chunk' && asked.get(`${message.peer} ${message.chunk}`);
    if (known) {
      const start = message.chunk * 262144;
      const end = start + known[1];
      chunks.push({ start, end, asked: known[0], there: now(), source: 'p2p' });
    }
    return postMessage.call(this, message, ...rest);
  };
</script>";

/// The script tag of a configuration.
pub fn tag(configuration: &str) -> String {
    if configuration == CONFIGURATIONS[0] {
        return String::new();
    }
    format!(
        r#"{NOTE_CHUNKS}<script type="module" src="/dcdn/dcdn.js" data-policy="{configuration}"></script>
<script type="module">
  import {{ dcdn }} from '/dcdn/dcdn.js';
  window.steps = [];
  dcdn.on('progress', ({{ loaded, source }}) => steps.push([performance.now(), loaded, source]));
</script>"#
    )
}

fn pages(site: &Site) -> Result<()> {
    site.page("/bare.html", "")?;
    for configuration in CONFIGURATIONS {
        let (name, tag) = (page_name(configuration), tag(configuration));
        let show = "<script>document.write(
            '<img hidden src=\"/media/' + location.search.slice(1) + '.jpg\">')</script>";
        site.page(&format!("/{name}.html"), &format!("{tag}{show}"))?;
        site.page(&format!("/{name}-empty.html"), &tag)?;
        site.page(&format!("/{name}-film.html"), &format!("{tag}{}", video::ELEMENT))?;
    }
    site.page("/sockets.html", super::handshake::PAGE)
}

/// A visitor who holds these.
async fn seed(server: &Server, site: &Site, held: &[String]) -> Result<Visitor> {
    let visitor = Visitor::arrive().await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    take_in(&visitor, site, held).await?;
    // A page that is opened now is found by all that the browser holds.
    visitor.open(&server.url(EMPTY_PAGE)).await?;
    visitor.ready().await?;
    Ok(visitor)
}

async fn take_in(seed: &Visitor, site: &Site, paths: &[String]) -> Result<()> {
    let fetch = "await (await fetch(args[0])).arrayBuffer();";
    for path in paths {
        seed.run::<()>(fetch, &[json!(path)]).await?;
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    seed.holds(site, &paths).await
}

fn file(site: &Site, path: &str) -> PathBuf {
    site.root().join(path.trim_start_matches('/'))
}

/// The demo's largest file of a kind: among the pictures the one of the thesis's size.
fn demo(extension: &str) -> Result<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../static/demo/media"));
    fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .max_by_key(|path| path.metadata().map_or(0, |it| it.len()))
        .with_context(|| format!("the demo has no .{extension}"))
}

/// The same film as another content: made at another second (ISO/IEC 14496-12, section 8.2.2).
/// One more box at the end would do, too, but a player would ask for it before it plays.
fn another(film: &[u8], number: usize) -> Result<Vec<u8>> {
    let header = film.windows(4).position(|it| it == b"mvhd").context("no movie header")?;
    let mut film = film.to_vec();
    // Behind the name come version and flags, in four bytes.
    let made = film.get_mut(header + 8..header + 12).context("a short movie header")?;
    made.copy_from_slice(&u32::try_from(number)?.to_be_bytes());
    Ok(film)
}
