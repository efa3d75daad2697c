//! Chromium, steered by its driver; its console is heard through its DevTools.

mod console;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use nix::unistd::Uid;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thirtyfour::error::WebDriverResult;
use thirtyfour::{Capabilities, ChromiumLikeCapabilities, DesiredCapabilities, WebDriver};
use tokio::process::Command;

use self::console::Console;
use crate::PATIENCE;
use crate::console::Entry;
use crate::process::{Family, announced, find};
use crate::usage::Usage;
use crate::visitor::{Arrival, Tab};

const ARGUMENTS: &str = include_str!("../chromium.args");

const BROWSERS: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// Drivers that may end at once before this is an error.
const ATTEMPTS: usize = 5;

/// A running Chromium with one page, and the driver that started it. Ends with the value.
pub struct Chromium {
    session: Option<WebDriver>,
    console: Option<Console>,
    /// Led by the driver.
    family: Family,
}

impl Chromium {
    /// Starts one with a profile in an empty folder.
    pub async fn start(profile: &Path, arrival: &Arrival) -> Result<Self> {
        let (family, port) = driver().await.context("chromedriver")?;
        let driver = format!("http://127.0.0.1:{port}");

        let browser = find("CHROMIUM", BROWSERS)?;
        let wanted = capabilities(&browser, profile, arrival);
        let wanted = wanted.context("capabilities that cannot be written as JSON")?;
        let session = WebDriver::new(driver, wanted).await.context("no browser started")?;
        // From here on, whoever gives up must not leave the session to end itself.
        let mut chromium = Self { session: Some(session), console: None, family };
        chromium.set_up(profile, arrival).await?;
        Ok(chromium)
    }

    async fn set_up(&mut self, profile: &Path, arrival: &Arrival) -> Result<()> {
        self.session()?.set_script_timeout(PATIENCE).await?;
        self.session()?.set_page_load_timeout(PATIENCE).await?;
        if !arrival.unwatched {
            self.console = Some(Console::attach(&tools_url(profile)?).await?);
        }
        for script in &arrival.before {
            let params = json!({"source": script});
            self.tell("Page.addScriptToEvaluateOnNewDocument", params).await?;
        }
        Ok(())
    }

    fn session(&self) -> Result<&WebDriver> {
        self.session.as_ref().context("this visitor has left")
    }

    /// Opens a URL and waits for the page's `load` event.
    pub async fn open(&self, url: &str) -> Result<()> {
        Ok(self.session()?.goto(url).await?)
    }

    /// Reloads the page and waits for its `load` event.
    pub async fn reload(&self) -> Result<()> {
        Ok(self.session()?.refresh().await?)
    }

    /// What the promise that an expression gives in the page resolves to.
    pub async fn evaluate<T: DeserializeOwned>(&self, promise: &str) -> Result<T> {
        let script = format!("{promise}.then(arguments[arguments.length - 1]);");
        Ok(self.session()?.execute_async(script, Vec::new()).await?.convert()?)
    }

    /// What has been logged so far.
    pub async fn console(&self) -> Result<Vec<Entry>> {
        self.console.as_ref().context("nobody watches this visitor's console")?.entries().await
    }

    /// Opens another tab, which is not yet the present one.
    pub async fn open_tab(&self) -> Result<Tab> {
        Ok(Tab(self.session()?.new_tab().await?.to_string()))
    }

    /// The present tab.
    pub async fn tab(&self) -> Result<Tab> {
        Ok(Tab(self.session()?.window().await?.to_string()))
    }

    /// Makes a tab the present one.
    pub async fn go_to(&self, tab: &Tab) -> Result<()> {
        Ok(self.session()?.switch_to_window(tab.0.clone().into()).await?)
    }

    /// Closes the present tab.
    pub async fn close_tab(&self) -> Result<()> {
        Ok(self.session()?.close_window().await?)
    }

    /// Begins to reload the page past caches and the service worker.
    pub async fn reload_past_worker(&self) -> Result<()> {
        self.tell("Page.reload", json!({"ignoreCache": true})).await
    }

    /// Has downloads saved into `folder`, without a question.
    pub async fn download_into(&self, folder: &Path) -> Result<()> {
        let params = json!({"behavior": "allow", "downloadPath": folder});
        self.tell("Browser.setDownloadBehavior", params).await
    }

    /// Has the site at `url` granted only so many bytes to store.
    pub async fn grant(&self, url: &str, bytes: u64) -> Result<()> {
        let quota = json!({"origin": url, "quotaSize": bytes});
        self.tell("Storage.overrideQuotaForOrigin", quota).await
    }

    /// Says that pages should be dark, or light.
    pub async fn prefer_dark(&self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.tell("Emulation.setEmulatedMedia", json!({"features": features})).await
    }

    /// What driver and browser have cost so far.
    pub fn usage(&self) -> Result<Usage> {
        self.family.usage()
    }

    /// Carries out a command of the page's tools.
    async fn tell(&self, command: &str, params: Value) -> Result<()> {
        self.session()?.cdp().send_raw(command, params).await?;
        Ok(())
    }

    /// Stops all service workers.
    pub async fn stop_workers(&self) -> Result<()> {
        self.tell("ServiceWorker.enable", json!({})).await?;
        self.tell("ServiceWorker.stopAllWorkers", json!({})).await?;
        if let Some(console) = &self.console {
            console.workers_stopped();
        }
        Ok(())
    }

    /// Ends it as a person does.
    pub async fn close(mut self) -> Result<()> {
        let session = self.session.take().context("closed twice")?;
        Ok(session.quit().await?)
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.family.kill();
        if let Some(session) = self.session.take() {
            // Dropped as it is, it would ask the driver to end a browser that is gone.
            let _ = session.leak();
        }
    }
}

/// Starts a driver and says where it listens. It takes a free port of IPv6, and ends if somebody
/// has that of IPv4 with the same number: then another one is started.
async fn driver() -> Result<(Family, u16)> {
    let program = find("CHROMEDRIVER", &["chromedriver"])?;
    let mut attempts = 0..ATTEMPTS;
    loop {
        let mut command = Command::new(&program);
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut family = Family::start(&mut command)?;
        match announced(family.leader().stdout.take(), announced_port).await {
            Ok(port) => return Ok((family, port)),
            Err(error) if attempts.next().is_none() => return Err(error),
            Err(_) => {}
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a session with a fresh browser asks of the driver.
fn capabilities(
    browser: &Path,
    profile: &Path,
    arrival: &Arrival,
) -> WebDriverResult<Capabilities> {
    let mut wanted = DesiredCapabilities::chrome();
    wanted.set_binary(&browser.to_string_lossy())?;
    for argument in arguments() {
        wanted.add_arg(argument)?;
    }
    if Uid::effective().is_root() {
        wanted.set_no_sandbox()?;
    }
    wanted.add_arg(&format!("--user-data-dir={}", profile.display()))?;
    let rules: Vec<String> = arrival.hosts.iter().map(|it| format!("MAP {it} 127.0.0.1")).collect();
    if !rules.is_empty() {
        wanted.add_arg(&format!("--host-resolver-rules={}", rules.join(",")))?;
    }
    Ok(wanted.into())
}

/// Where a running browser's tools listen, which it writes into its profile.
fn tools_url(profile: &Path) -> Result<String> {
    let path = profile.join("DevToolsActivePort");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let (port, path) = text.trim().split_once('\n').context("no port and path of tools")?;
    Ok(format!("ws://127.0.0.1:{port}{path}"))
}

/// The arguments that every Chromium of ours is started with.
fn arguments() -> impl Iterator<Item = &'static str> {
    ARGUMENTS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// `… was started successfully on port 41337.`
fn announced_port(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("started successfully on port ")?;
    rest.trim_end_matches('.').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_what_the_driver_says() {
        let line = "ChromeDriver was started successfully on port 41337.";
        assert_eq!(announced_port(line), Some(41337));
        assert_eq!(announced_port("Starting ChromeDriver 156.0 on port 0"), None);
    }

    #[test]
    fn comments_are_no_arguments() {
        assert!(arguments().count() > 10);
        assert!(arguments().all(|it| it.starts_with("--") && !it.contains(' ')));
    }
}
