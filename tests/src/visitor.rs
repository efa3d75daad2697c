//! A visitor: one browser process with a profile of its own.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use dcdn_protocol::stats::{Totals, UrlStats};
use dcdn_protocol::{ChunkIndex, ContentId, store};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::browser::Browser;
use crate::console::Entry;
use crate::site::Site;
use crate::{PATIENCE, Usage};

const PROBE: &str = include_str!("probe.js");

/// Which browser a visitor uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Chromium, in its headless mode.
    #[default]
    Chromium,
    /// Firefox, likewise.
    Firefox,
}

/// How a visitor comes.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    pub(crate) engine: Engine,
    pub(crate) before: Vec<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) preferences: Vec<(String, Value)>,
    pub(crate) unwatched: bool,
}

impl Arrival {
    /// With another browser than the usual one.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// With a script that runs in every page before the page's own.
    #[must_use]
    pub fn before(mut self, script: impl Into<String>) -> Self {
        self.before.push(script.into());
        self
    }

    /// With one more name for this machine.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// With one of Firefox's preferences set. A visitor with another engine does not arrive.
    #[must_use]
    pub fn preference(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.preferences.push((name.into(), value.into()));
        self
    }

    /// Without tools attached, which keep a worker of Chromium from being stopped when it is
    /// idle. Such a visitor's console cannot be asked for.
    #[must_use]
    pub fn unwatched(mut self) -> Self {
        self.unwatched = true;
        self
    }

    /// Starts the browser.
    ///
    /// # Errors
    /// If browser or driver are missing or do not start, or cannot do what is asked for.
    pub async fn arrive(self) -> Result<Visitor> {
        let profile = tempfile::Builder::new().prefix("dcdn-visitor-").tempdir()?;
        let started = Browser::start(profile.path(), &self).await;
        let browser = started.with_context(|| format!("starting {:?}", self.engine))?;
        Ok(Visitor { browser, profile })
    }
}

/// A browser at work. Dropped, it is killed and its profile removed, in this order.
pub struct Visitor {
    browser: Browser,
    profile: TempDir,
}

/// A tab of a visitor's browser, by the browser's own name for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tab(pub(crate) String);

/// What `dcdn.ready` resolves to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ready {
    /// `p2p`, `cache` or `http`.
    pub mode: String,
    /// Why it is not `p2p`.
    pub reason: Option<String>,
}

/// What `dcdn.stats()` resolves to.
#[derive(Clone, Debug, Deserialize)]
pub struct PageStats {
    /// By resource.
    pub urls: Vec<UrlStats>,
    /// Sums.
    pub totals: Totals,
    /// Open connections.
    pub peers: u32,
}

/// What `fetch` delivers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    #[serde(rename = "type")]
    pub mime: Option<String>,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

/// What an `<img>` shows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Shown {
    /// `naturalWidth`.
    pub width: u32,
    /// `naturalHeight`.
    pub height: u32,
    /// Hash of the drawn pixels.
    pub pixels: u32,
}

/// What a `<video>` played: its beginning, its middle and its end.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Played {
    /// `videoWidth`.
    pub width: u32,
    /// `videoHeight`.
    pub height: u32,
    /// Seconds.
    pub duration: f64,
}

impl Visitor {
    /// One with the usual browser.
    ///
    /// # Errors
    /// As [`Arrival::arrive`].
    pub async fn arrive() -> Result<Self> {
        Arrival::default().arrive().await
    }

    /// One with this browser.
    ///
    /// # Errors
    /// As [`Arrival::arrive`].
    pub async fn arrive_with(engine: Engine) -> Result<Self> {
        Arrival::default().engine(engine).arrive().await
    }

    /// Opens a page and waits for its `load` event.
    ///
    /// # Errors
    /// If there is no such page.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.browser.open(url).await.with_context(|| format!("opening {url}"))
    }

    /// Reloads the page and waits for its `load` event.
    ///
    /// # Errors
    /// If the page is gone.
    pub async fn reload(&self) -> Result<()> {
        self.browser.reload().await.context("reloading")
    }

    /// The folder with the browser's profile.
    pub fn profile(&self) -> &Path {
        self.profile.path()
    }

    /// Opens `page`, which has the script tag, and waits until it is served through
    /// the worker: so is every page of the site from then on.
    ///
    /// # Errors
    /// If DCDN does not come up.
    pub async fn install(&self, page: &str) -> Result<Ready> {
        self.open(page).await?;
        let ready = self.ready().await?;
        let controlled: bool =
            self.eval("Boolean(navigator.serviceWorker?.controller)", &[]).await?;
        ensure!(controlled, "the page is not served through the worker: {ready:?}");
        Ok(ready)
    }

    /// Waits for `dcdn.ready`.
    ///
    /// # Errors
    /// If the page has no DCDN.
    pub async fn ready(&self) -> Result<Ready> {
        self.run("await until('window.dcdn', () => window.dcdn); return dcdn.ready;", &[]).await
    }

    /// `dcdn.stats()`.
    ///
    /// # Errors
    /// If the page has no DCDN.
    pub async fn stats(&self) -> Result<PageStats> {
        self.eval("dcdn.stats()", &[]).await
    }

    /// The statistics of one resource, once all of its bytes are accounted for.
    ///
    /// # Errors
    /// If that does not happen.
    pub async fn accounted(&self, url: &str) -> Result<UrlStats> {
        self.eval("accounted(args[0])", &[json!(url)]).await
    }

    /// Fetches a URL in the page.
    ///
    /// # Errors
    /// If the fetch fails.
    pub async fn fetched(&self, url: &str) -> Result<Fetched> {
        self.eval("fetched(args[0])", &[json!(url)]).await
    }

    /// What the first element that `selector` finds, an `<img>`, shows once it is loaded.
    ///
    /// # Errors
    /// If it does not load or decode.
    pub async fn shown(&self, selector: &str) -> Result<Shown> {
        self.eval("shown(document.querySelector(args[0]))", &[json!(selector)]).await
    }

    /// Plays the first element that `selector` finds, a `<video>`.
    ///
    /// # Errors
    /// If it does not play.
    pub async fn played(&self, selector: &str) -> Result<Played> {
        self.eval("played(document.querySelector(args[0]))", &[json!(selector)]).await
    }

    /// The value of a JavaScript expression, a promise's once it is resolved. Sees what
    /// `probe.js` defines, and the arguments as `args`.
    ///
    /// # Errors
    /// If it throws, or its value is not a `T`.
    pub async fn eval<T: DeserializeOwned>(&self, expression: &str, args: &[Value]) -> Result<T> {
        self.run(&format!("return {expression};"), args).await
    }

    /// As [`Visitor::eval`], for the statements of an async function.
    ///
    /// # Errors
    /// As [`Visitor::eval`].
    pub async fn run<T: DeserializeOwned>(&self, statements: &str, args: &[Value]) -> Result<T> {
        let chunks = store::chunk_path(ContentId([0; 32]), ChunkIndex(0));
        let (chunks, _) = chunks.split_at(chunks.find('0').context("a path without an id")?);
        let promise = format!(
            "(async (args) => {{\n\
               const STORE = {store}, CHUNKS = {chunks};\n{PROBE}\n\
               return (async () => {{ {statements} }})();\n\
             }})({args}).then(\n\
               (value) => ({{ value: value ?? null }}),\n\
               (error) => ({{ error: `${{error}}\\n${{error?.stack}}` }}))",
            store = json!(store::CACHE),
            chunks = json!(chunks),
            args = json!(args),
        );
        let answer = self.browser.evaluate(&promise).await;
        match answer.with_context(|| format!("running {statements}"))? {
            Answer::Value(value) => serde_json::from_value(value).context("not what was expected"),
            Answer::Error(error) => {
                let console = self.console().await.unwrap_or_default();
                let console = console.iter().map(Entry::to_string).collect::<Vec<_>>().join("\n");
                bail!("{statements}\n{error}\nConsole:\n{console}")
            }
        }
    }

    /// SHA-256, in hexadecimal, of each chunk in the browser's store, by its path.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn stored_chunks(&self) -> Result<BTreeMap<String, String>> {
        self.eval("storedChunks()", &[]).await
    }

    /// Waits until all the chunks of these resources are in the browser's store.
    ///
    /// # Errors
    /// If they do not come.
    pub async fn holds(&self, site: &Site, urls: &[&str]) -> Result<()> {
        for url in urls {
            let paths: Vec<String> = site.chunks(url)?.into_keys().collect();
            let _: () = self.run("await stored(args[0])", &[json!(paths)]).await?;
        }
        Ok(())
    }

    /// Fails unless most of a resource, once all of it is accounted for, has come from
    /// peers: three quarters at least.
    ///
    /// # Errors
    /// With the statistics.
    pub async fn expect_from_peers(&self, site: &Site, url: &str) -> Result<()> {
        let stats = self.accounted(url).await?;
        let enough = stats.bytes_p2p * 4 >= site.length(url)? * 3;
        ensure!(enough, "less than 75 % from peers: {stats:?}");
        Ok(())
    }

    /// Makes every byte of every stored chunk another one, behind DCDN's back.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn corrupt_store(&self) -> Result<()> {
        self.run("await corruptStore()", &[]).await
    }

    /// Everything on the consoles of pages and workers so far.
    ///
    /// # Errors
    /// If the browser is gone.
    pub async fn console(&self) -> Result<Vec<Entry>> {
        self.browser.console().await
    }

    /// Fails if there is an error on any console: somebody's own, or a request of a
    /// page or worker that the browser reports.
    ///
    /// # Errors
    /// With the errors.
    pub async fn expect_clean_console(&self) -> Result<()> {
        let errors: Vec<String> =
            self.console().await?.iter().filter(|it| it.is_error()).map(Entry::to_string).collect();
        ensure!(errors.is_empty(), "errors on the console:\n{}", errors.join("\n"));
        Ok(())
    }

    /// Opens another tab, and has all that follows happen there.
    ///
    /// # Errors
    /// If the browser is gone.
    pub async fn open_tab(&self) -> Result<Tab> {
        let tab = self.browser.open_tab().await?;
        self.go_to(&tab).await?;
        Ok(tab)
    }

    /// The tab in which all happens at present.
    ///
    /// # Errors
    /// If it is closed.
    pub async fn tab(&self) -> Result<Tab> {
        self.browser.tab().await
    }

    /// Has all that follows happen in this tab.
    ///
    /// # Errors
    /// If it is closed.
    pub async fn go_to(&self, tab: &Tab) -> Result<()> {
        self.browser.go_to(tab).await
    }

    /// Closes the present tab and goes on in another.
    ///
    /// # Errors
    /// If it is closed already.
    pub async fn close_tab(&self, next: &Tab) -> Result<()> {
        self.browser.close_tab().await?;
        self.go_to(next).await
    }

    /// Reloads the page as with the shift key, past caches and the service worker, and
    /// waits until it is another page.
    ///
    /// # Errors
    /// If the page is gone.
    pub async fn reload_past_worker(&self) -> Result<()> {
        let _: () = self.run("window.isBeforeReload = true", &[]).await?;
        self.browser.reload_past_worker().await?;
        let other = "await until('the reload', () => !window.isBeforeReload)";
        // A script ends with the page that it runs in, so the first may be in vain.
        let reloaded = async { while self.run::<()>(other, &[]).await.is_err() {} };
        timeout(PATIENCE, reloaded).await.context("the page was not reloaded")
    }

    /// Has downloads saved into `folder`, without a question.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn download_into(&self, folder: &Path) -> Result<()> {
        self.browser.download_into(folder).await
    }

    /// What the browser has cost the machine so far.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn usage(&self) -> Result<Usage> {
        self.browser.usage()
    }

    /// Has the browser grant the site at `url` only so many bytes to store.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn grant(&self, url: &str, bytes: u64) -> Result<()> {
        self.browser.chromium("set a site's quota")?.grant(url, bytes).await
    }

    /// Has the browser say that its user prefers dark pages, or light ones.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn prefer_dark(&self, dark: bool) -> Result<()> {
        self.browser.chromium("prefer dark pages")?.prefer_dark(dark).await
    }

    /// Stops the service worker, as browsers do with an idle one.
    ///
    /// # Errors
    /// If the browser refuses.
    pub async fn stop_worker(&self) -> Result<()> {
        self.browser.stop_workers().await
    }

    /// Leaves as a person does who closes the window: pages hear of it.
    ///
    /// # Errors
    /// If the browser does not end.
    pub async fn close(self) -> Result<()> {
        self.browser.close().await
    }

    /// Leaves as in a power cut: the processes end at once, and nobody hears of it.
    pub fn kill(&mut self) {
        self.browser.kill();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Value(Value),
    Error(String),
}
