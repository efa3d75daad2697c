//! Firefox, steered over WebDriver BiDi without a driver.
//!
//! What BiDi does not offer is asked for with the browser's own privileges: see `tools.js`.

mod bidi;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use self::bidi::Bidi;
use crate::PATIENCE;
use crate::console::Entry;
use crate::process::{Family, announced, find};
use crate::usage::Usage;
use crate::visitor::{Arrival, Tab};

const TOOLS: &str = include_str!("firefox/tools.js");

const NAMES: &[&str] =
    &["firefox-esr", "firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"];

/// A running Firefox. Ends with the value.
pub struct Firefox {
    bidi: Bidi,
    /// The present tab.
    page: Mutex<String>,
    /// The browser's own window.
    chrome: String,
    family: Family,
}

impl Firefox {
    /// Starts one with a profile in an empty folder.
    pub async fn start(profile: &Path, arrival: &Arrival) -> Result<Self> {
        fs::write(profile.join("user.js"), preferences(arrival))?;
        let mut command = Command::new(find("FIREFOX", NAMES)?);
        command
            .args(["--headless", "--no-remote", "--remote-debugging-port=0"])
            .args(["--remote-allow-system-access", "--profile"])
            .arg(profile)
            .arg("about:blank")
            .env("MOZ_CRASHREPORTER_DISABLE", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut family = Family::start(&mut command)?;
        let address = announced(family.leader().stderr.take(), announced_address).await;
        let bidi = Bidi::open(&format!("{}/session", address.context("Firefox")?)).await?;
        let page = top(&bidi, json!({})).await?;
        let chrome = top(&bidi, json!({"moz:scope": "chrome"})).await?;
        bidi.evaluate(&chrome, TOOLS).await?;
        for script in &arrival.before {
            let function = json!({"functionDeclaration": format!("() => {{ {script} }}")});
            bidi.call("script.addPreloadScript", function).await?;
        }
        Ok(Self { bidi, page: Mutex::new(page), chrome, family })
    }

    /// Opens a URL and waits for the page's `load` event.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.go("browsingContext.navigate", json!({"url": url})).await
    }

    /// Reloads the page and waits for its `load` event.
    pub async fn reload(&self) -> Result<()> {
        self.go("browsingContext.reload", json!({})).await
    }

    async fn go(&self, command: &str, mut params: Value) -> Result<()> {
        params["context"] = json!(self.tab().0);
        params["wait"] = json!("complete");
        self.bidi.call(command, params).await.map(drop)
    }

    /// What the promise that an expression gives in the page resolves to.
    pub async fn evaluate<T: DeserializeOwned>(&self, promise: &str) -> Result<T> {
        let expression = format!("{promise}.then((it) => JSON.stringify(it))");
        Ok(serde_json::from_str(&self.bidi.evaluate(&self.tab().0, &expression).await?)?)
    }

    /// What has been logged so far.
    pub async fn console(&self) -> Result<Vec<Entry>> {
        let entries = self.bidi.evaluate(&self.chrome, "dcdnTests.entries()").await?;
        Ok(serde_json::from_str(&entries)?)
    }

    /// Opens another tab, which is not yet the present one.
    pub async fn open_tab(&self) -> Result<Tab> {
        let opened = self.bidi.call("browsingContext.create", json!({"type": "tab"})).await?;
        Ok(Tab(opened["context"].as_str().context("a tab without a name")?.to_owned()))
    }

    /// The present tab.
    pub fn tab(&self) -> Tab {
        Tab(self.page.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Makes a tab the present one, which is seen.
    pub async fn go_to(&self, tab: &Tab) -> Result<()> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&tab.0);
        self.bidi.call("browsingContext.activate", json!({"context": tab.0})).await.map(drop)
    }

    /// Closes the present tab.
    pub async fn close_tab(&self) -> Result<()> {
        self.bidi.call("browsingContext.close", json!({"context": self.tab().0})).await.map(drop)
    }

    /// Begins to reload the page past caches and the service worker.
    pub async fn reload_past_worker(&self) -> Result<()> {
        self.bidi.evaluate(&self.chrome, "dcdnTests.reloadPastWorker()").await.map(drop)
    }

    /// Has downloads saved into `folder`, without a question.
    pub async fn download_into(&self, folder: &Path) -> Result<()> {
        let script = format!("dcdnTests.downloadInto({})", json!(folder));
        self.bidi.evaluate(&self.chrome, &script).await.map(drop)
    }

    /// What all of its processes have cost so far.
    pub fn usage(&self) -> Result<Usage> {
        self.family.usage()
    }

    /// Stops all service workers.
    pub async fn stop_workers(&self) -> Result<()> {
        self.bidi.evaluate(&self.chrome, "dcdnTests.stopWorkers()").await.map(drop)
    }

    /// Ends it as a person does.
    pub async fn close(mut self) -> Result<()> {
        self.bidi.call("browser.close", json!({})).await?;
        let ended = timeout(PATIENCE, self.family.leader().wait()).await;
        ended.context("Firefox does not end")??;
        Ok(())
    }

    /// Ends it at once.
    pub fn kill(&self) {
        self.family.kill();
    }
}

/// The one context that is no other's child.
async fn top(bidi: &Bidi, scope: Value) -> Result<String> {
    let tree = bidi.call("browsingContext.getTree", scope).await?;
    let context = tree["contexts"][0]["context"].as_str();
    context.map(str::to_owned).with_context(|| format!("no window: {tree}"))
}

/// The text of `user.js`.
fn preferences(arrival: &Arrival) -> String {
    let own = own_preferences();
    let wanted = arrival.preferences.iter().map(|(name, value)| (name.as_str(), value.clone()));
    let hosts = arrival.hosts.join(",");
    let hosts = [("network.dns.localDomains", json!(hosts))];
    let all = own.into_iter().chain(hosts).chain(wanted);
    all.map(|(name, value)| format!("user_pref({}, {value});\n", json!(name))).collect()
}

/// Beside those that Firefox sets by itself when it is steered over BiDi.
fn own_preferences() -> [(&'static str, Value); 5] {
    [
        // Addresses instead of .local names, which browsers of another kind on a machine
        // without multicast DNS cannot resolve.
        ("media.peerconnection.ice.obfuscate_host_addresses", json!(false)),
        // Loopback, which is all that a machine without a network has.
        ("media.peerconnection.ice.loopback", json!(true)),
        // Muted or not, videos play without a click.
        ("media.autoplay.default", json!(0)),
        // Processes for pages to come: three of 60 MB for each visitor.
        ("dom.ipc.processPrelaunch.enabled", json!(false)),
        // A peer that nobody looks at works at full speed.
        ("dom.min_background_timeout_value", json!(4)),
    ]
}

/// `WebDriver BiDi listening on ws://127.0.0.1:41337`
fn announced_address(line: &str) -> Option<String> {
    line.strip_prefix("WebDriver BiDi listening on ").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_what_firefox_says() {
        let line = "WebDriver BiDi listening on ws://127.0.0.1:41337";
        assert_eq!(announced_address(line).as_deref(), Some("ws://127.0.0.1:41337"));
        assert_eq!(announced_address("*** You are running in headless mode."), None);
    }

    #[test]
    fn preferences_are_lines_of_javascript() {
        let arrival = Arrival::default().host("site.test").preference("a.b", 3000);
        let text = preferences(&arrival);
        assert!(
            text.contains("user_pref(\"network.dns.localDomains\", \"site.test\");\n"),
            "{text}"
        );
        assert!(text.ends_with("user_pref(\"a.b\", 3000);\n"), "{text}");
    }
}
