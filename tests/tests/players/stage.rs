//! Two visitors: one who holds everything, and one who sits in front of a player.

use anyhow::{Context, Result, ensure};
use dcdn_protocol::SiteConfig;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, SCRIPT};
use dcdn_tests::{Engine, Server, Site, Visitor};
use serde::Deserialize;
use serde_json::json;

use crate::SERVER;

const DRIVER: &str = include_str!("driver.js");

/// Path of the page with the player.
const PAGE: &str = "/player.html";

/// Here it matters what the players make of what comes from peers, not how late a slow machine
/// is with it.
const SLACK: &[&str] = &["--slack-ms", "10000"];

/// How often a visitor seeks.
const SEEKS: u32 = 10;

/// A site with a visitor who holds its films.
pub struct Stage {
    site: Site,
    server: Server,
    engine: Engine,
    holder: Visitor,
}

/// Where a player's bytes came from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    from_peers: u64,
    from_origin: u64,
}

/// What a player has played.
#[derive(Debug, Deserialize)]
struct Seen {
    duration: f64,
    /// Starts and ends.
    played: Vec<(f64, f64)>,
}

impl Stage {
    /// Has a visitor fetch these files, which are those of the site that are not too small.
    pub async fn with(site: Site, engine: Engine, films: &[String]) -> Result<Self> {
        let server = Server::start(site.root(), &[SERVER, SLACK].concat()).await?;
        let holder = Visitor::arrive_with(engine).await?;
        holder.install(&server.url(EMPTY_PAGE)).await?;
        let films: Vec<&str> = films.iter().map(String::as_str).chain([IMAGE]).collect();
        for film in &films {
            ensure!(site.length(film)? >= SiteConfig::default().min_bytes, "{film} is too small");
            holder.fetched(film).await?;
        }
        holder.holds(&site, &films).await?;
        Ok(Self { site, server, engine, holder })
    }

    /// Opens a page with this body to a new visitor, who waits for its picture, presses play,
    /// seeks around and then plays all of it. Fails unless that goes without a single error;
    /// tells what came from the peer.
    pub async fn play(&self, name: &str, body: &str) -> Result<Share> {
        let viewer = self.open(&format!("<img src='{IMAGE}' alt=''>\n{body}")).await?;
        let story = async {
            let seek = format!("{DRIVER} return seekAround(...args);");
            let _: () = viewer.run(&seek, &[json!(SEED), json!(SEEKS)]).await?;
            let seen = viewer.run(&format!("{DRIVER} return playThrough();"), &[]).await?;
            expect_all_seen(&seen)
        };
        let told = story.await;
        let share = self.leave(name, viewer).await;
        told.with_context(|| name.to_owned())?;
        share
    }

    /// Opens a page with this body to a new visitor.
    pub async fn open(&self, body: &str) -> Result<Visitor> {
        let viewer = Visitor::arrive_with(self.engine).await?;
        viewer.install(&self.server.url(EMPTY_PAGE)).await?;
        self.site.page(PAGE, &format!("{SCRIPT}\n<script>faults = [];</script>\n{body}"))?;
        viewer.open(&self.server.url(PAGE)).await?;
        Ok(viewer)
    }

    /// Opens a page of the site to a new visitor.
    pub async fn visit(&self, path: &str) -> Result<Visitor> {
        let viewer = Visitor::arrive_with(self.engine).await?;
        viewer.install(&self.server.url(EMPTY_PAGE)).await?;
        viewer.open(&self.server.url(path)).await?;
        Ok(viewer)
    }

    /// The visitor's last look at the page.
    pub async fn leave(&self, name: &str, viewer: Visitor) -> Result<Share> {
        let faults: Vec<String> = viewer.eval("faults", &[]).await?;
        ensure!(faults.is_empty(), "{name}: {}", faults.join("\n"));
        viewer.expect_clean_console().await.with_context(|| name.to_owned())?;
        let mut share = Share::default();
        for stats in viewer.stats().await?.urls.iter().filter(|it| it.url != IMAGE) {
            share.from_peers += stats.bytes_p2p;
            share.from_origin += stats.bytes_http;
        }
        println!("{name} in {:?}: {share:?}, {} %", self.engine, share.percent());
        viewer.close().await?;
        Ok(share)
    }

    /// Everybody leaves.
    pub async fn close(self) -> Result<()> {
        self.holder.expect_clean_console().await?;
        self.holder.close().await
    }
}

/// Decides where visitors seek to.
const SEED: u32 = 2014;

impl Share {
    /// Percentage of the bytes that came from peers.
    pub fn percent(self) -> u64 {
        self.from_peers * 100 / (self.from_peers + self.from_origin).max(1)
    }
}

/// Fails unless all of it has been played, but for what rounding takes.
fn expect_all_seen(seen: &Seen) -> Result<()> {
    let [(start, end)] = seen.played[..] else { anyhow::bail!("played with gaps: {seen:?}") };
    ensure!(seen.duration > 10.0 && start < 0.2 && end > seen.duration - 0.2, "{seen:?}");
    Ok(())
}
