//! The two engines behind one face.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use serde::de::DeserializeOwned;

use crate::chromium::Chromium;
use crate::console::Entry;
use crate::firefox::Firefox;
use crate::usage::Usage;
use crate::visitor::{Arrival, Engine, Tab};

/// A browser process with a profile of its own and one page. Killed with the value.
pub enum Browser {
    Chromium(Box<Chromium>),
    Firefox(Box<Firefox>),
}

impl Browser {
    /// Starts one with a profile in an empty folder.
    pub async fn start(profile: &Path, arrival: &Arrival) -> Result<Self> {
        match arrival.engine {
            Engine::Chromium => {
                let preferences = &arrival.preferences;
                ensure!(preferences.is_empty(), "Chromium has no preferences: {preferences:?}");
                Ok(Self::Chromium(Box::new(Chromium::start(profile, arrival).await?)))
            }
            Engine::Firefox => Ok(Self::Firefox(Box::new(Firefox::start(profile, arrival).await?))),
        }
    }

    /// Opens a URL and waits for the page's `load` event.
    pub async fn open(&self, url: &str) -> Result<()> {
        match self {
            Self::Chromium(it) => it.open(url).await,
            Self::Firefox(it) => it.open(url).await,
        }
    }

    /// Reloads the page and waits for its `load` event.
    pub async fn reload(&self) -> Result<()> {
        match self {
            Self::Chromium(it) => it.reload().await,
            Self::Firefox(it) => it.reload().await,
        }
    }

    /// What the promise that an expression gives in the page resolves to.
    pub async fn evaluate<T: DeserializeOwned>(&self, promise: &str) -> Result<T> {
        match self {
            Self::Chromium(it) => it.evaluate(promise).await,
            Self::Firefox(it) => it.evaluate(promise).await,
        }
    }

    /// Everything on the consoles of pages and workers so far.
    pub async fn console(&self) -> Result<Vec<Entry>> {
        match self {
            Self::Chromium(it) => it.console().await,
            Self::Firefox(it) => it.console().await,
        }
    }

    /// Opens another tab, which is not yet the present one.
    pub async fn open_tab(&self) -> Result<Tab> {
        match self {
            Self::Chromium(it) => it.open_tab().await,
            Self::Firefox(it) => it.open_tab().await,
        }
    }

    /// The present tab.
    pub async fn tab(&self) -> Result<Tab> {
        match self {
            Self::Chromium(it) => it.tab().await,
            Self::Firefox(it) => Ok(it.tab()),
        }
    }

    /// Makes a tab the present one.
    pub async fn go_to(&self, tab: &Tab) -> Result<()> {
        match self {
            Self::Chromium(it) => it.go_to(tab).await,
            Self::Firefox(it) => it.go_to(tab).await,
        }
    }

    /// Closes the present tab.
    pub async fn close_tab(&self) -> Result<()> {
        match self {
            Self::Chromium(it) => it.close_tab().await,
            Self::Firefox(it) => it.close_tab().await,
        }
    }

    /// Begins to reload the page past caches and the service worker.
    pub async fn reload_past_worker(&self) -> Result<()> {
        match self {
            Self::Chromium(it) => it.reload_past_worker().await,
            Self::Firefox(it) => it.reload_past_worker().await,
        }
    }

    /// Has downloads saved into `folder`, without a question.
    pub async fn download_into(&self, folder: &Path) -> Result<()> {
        match self {
            Self::Chromium(it) => it.download_into(folder).await,
            Self::Firefox(it) => it.download_into(folder).await,
        }
    }

    /// What all of its processes have cost so far.
    pub fn usage(&self) -> Result<Usage> {
        match self {
            Self::Chromium(it) => it.usage(),
            Self::Firefox(it) => it.usage(),
        }
    }

    /// The engine, for what no other can be asked.
    pub fn chromium(&self, to: &str) -> Result<&Chromium> {
        match self {
            Self::Chromium(it) => Ok(it),
            Self::Firefox(_) => bail!("Firefox cannot be asked to {to}"),
        }
    }

    /// Stops all service workers, as browsers do with idle ones.
    pub async fn stop_workers(&self) -> Result<()> {
        match self {
            Self::Chromium(it) => it.stop_workers().await,
            Self::Firefox(it) => it.stop_workers().await,
        }
    }

    /// Ends it as a person does.
    pub async fn close(self) -> Result<()> {
        match self {
            Self::Chromium(it) => it.close().await,
            Self::Firefox(it) => it.close().await,
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        match self {
            Self::Chromium(it) => it.kill(),
            Self::Firefox(it) => it.kill(),
        }
    }
}
