//! What a page with the site's image and video must look and sound like.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::server::Server;
use crate::site::{IMAGE, PLAIN_PAGE, Site, VIDEO};
use crate::visitor::{Played, Shown, Visitor};

/// The site's image and video as plain HTTP delivers them.
pub struct Media {
    image: Shown,
    video: Played,
    image_sha256: String,
    video_sha256: String,
}

impl Media {
    /// Looks at the page without DCDN. Comes first: a visitor who has the worker gets
    /// this page through it, too.
    ///
    /// # Errors
    /// If the page does not work even so.
    pub async fn over_plain_http(visitor: &Visitor, server: &Server, site: &Site) -> Result<Self> {
        visitor.open(&server.url(PLAIN_PAGE)).await?;
        let controlled: bool =
            visitor.eval("Boolean(navigator.serviceWorker?.controller)", &[]).await?;
        ensure!(!controlled, "this visitor has the worker already");
        Ok(Self {
            image: visitor.shown("#image").await?,
            video: visitor.played("#video").await?,
            image_sha256: site.sha256(IMAGE)?,
            video_sha256: site.sha256(VIDEO)?,
        })
    }

    /// Fails unless the visitor's page shows, plays and fetches exactly the same.
    ///
    /// # Errors
    /// With the difference.
    pub async fn expect_on(&self, visitor: &Visitor) -> Result<()> {
        self.expect_image(visitor).await?;
        self.expect_video(visitor).await
    }

    /// The same for the image alone.
    ///
    /// # Errors
    /// With the difference.
    pub async fn expect_image(&self, visitor: &Visitor) -> Result<()> {
        let shown = visitor.shown("#image").await.context("the image")?;
        ensure!(shown == self.image, "shown {shown:?} instead of {:?}", self.image);
        expect_bytes(visitor, IMAGE, &self.image_sha256).await
    }

    /// The same for the video alone.
    ///
    /// # Errors
    /// With the difference.
    pub async fn expect_video(&self, visitor: &Visitor) -> Result<()> {
        let played = visitor.played("#video").await.context("the video")?;
        ensure!(played == self.video, "played {played:?} instead of {:?}", self.video);
        expect_bytes(visitor, VIDEO, &self.video_sha256).await
    }
}

async fn expect_bytes(visitor: &Visitor, url: &str, sha256: &str) -> Result<()> {
    let fetched = visitor.fetched(url).await.with_context(|| format!("fetching {url}"))?;
    // By itself, Firefox answers from what its HTTP cache has of the player's ranges.
    let in_use = "Boolean(window.dcdn) && (await dcdn.ready).mode !== 'http'";
    let plain = fetched.status == 206 && !visitor.eval::<bool>(in_use, &[]).await?;
    let expected = fetched.status == 200 || plain;
    ensure!(expected, "{url} is answered with {}", fetched.status);
    ensure!(fetched.sha256 == sha256, "{url} has other bytes than its file: {fetched:?}");
    Ok(())
}

/// Adds the image to a page that has none, as `#image`.
///
/// # Errors
/// If the page is gone.
pub async fn insert_image(visitor: &Visitor) -> Result<()> {
    visitor.run("insert('img', { id: 'image', src: args[0] })", &[json!(IMAGE)]).await
}

/// Adds the video to a page that has none, as `#video`.
///
/// # Errors
/// If the page is gone.
pub async fn insert_video(visitor: &Visitor) -> Result<()> {
    let statements = "insert('video', { id: 'video', src: args[0], preload: 'auto' })";
    visitor.run(statements, &[json!(VIDEO)]).await
}
