//! What the worker remembers of its site across restarts: the configuration,
//! each page's own settings, and which resources and pages are none of ours.

use dcdn_protocol::SiteConfig;
use dcdn_protocol::config::PageSettings;
use dcdn_protocol::plain::{self, Read, Tree, Write};
use vecmap::{VecMap, VecSet};

/// Name of the document in the store.
pub const DOCUMENT: &str = "/dcdn/store/site";

/// Entries of each list at the most; the whole list is forgotten beyond.
const MAX_REMEMBERED: usize = 2000;

/// How long a refusal to share a resource is believed, in milliseconds: a day.
const REFUSAL_MS: f64 = 24.0 * 3600.0 * 1000.0;

/// The document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// `/dcdn/config.json` as last seen.
    pub config: SiteConfig,
    settings: VecMap<String, PageSettings>,
    refused: VecMap<String, f64>,
    without_shim: VecSet<String>,
}

/// Properties that are absent are the default's.
impl Read for Site {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        let (mut site, mut without_shim) = (Self::default(), Vec::<String>::new());
        plain::overwrite(&mut site.config, tree, "config")?;
        plain::overwrite_entries(&mut site.settings, tree, "settings")?;
        plain::overwrite_entries(&mut site.refused, tree, "refused")?;
        plain::overwrite(&mut without_shim, tree, "without_shim")?;
        site.without_shim = without_shim.into();
        Some(site)
    }
}

impl Write for Site {
    fn write<T: Tree>(&self) -> T {
        let Self { config, settings, refused, without_shim } = self;
        let mut tree = T::object();
        plain::put(&mut tree, "config", config);
        plain::put_entries(&mut tree, "settings", settings);
        plain::put_entries(&mut tree, "refused", refused);
        plain::put(&mut tree, "without_shim", &without_shim.iter().cloned().collect::<Vec<_>>());
        tree
    }
}

impl Site {
    /// The configuration for the page at `path`.
    pub fn config_for(&self, path: &str) -> SiteConfig {
        let settings = self.settings.get(path).cloned().unwrap_or_default();
        self.config.clone().with(&settings)
    }

    /// A page has said hello with these settings. Returns whether that is news.
    pub fn page_said_hello(&mut self, path: &str, settings: &PageSettings) -> bool {
        let mut news = self.without_shim.remove(path);
        if self.settings.get(path).unwrap_or(&PageSettings::default()) != settings {
            bound(&mut self.settings);
            self.settings.insert(path.to_owned(), settings.clone());
            news = true;
        }
        news
    }

    /// A page has asked for media and not said hello for so long that it has no
    /// script tag of ours. Returns whether that is news.
    pub fn page_is_silent(&mut self, path: &str) -> bool {
        if self.without_shim.len() >= MAX_REMEMBERED {
            self.without_shim.clear();
        }
        self.without_shim.insert(path.to_owned())
    }

    /// Whether nobody on the page at `path` will look for peers.
    pub fn is_silent(&self, path: &str) -> bool {
        self.without_shim.contains(path)
    }

    /// The coordination server does not share `url`.
    pub fn refuse(&mut self, url: &str, now_ms: f64) {
        bound(&mut self.refused);
        self.refused.insert(url.to_owned(), now_ms);
    }

    /// Whether `url` is left to the browser and its HTTP cache.
    pub fn is_refused(&self, url: &str, now_ms: f64) -> bool {
        self.refused.get(url).is_some_and(|since| now_ms - since < REFUSAL_MS)
    }
}

fn bound<V>(entries: &mut VecMap<String, V>) {
    if entries.len() >= MAX_REMEMBERED {
        entries.clear();
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use dcdn_protocol::PolicyName;

    #[test]
    fn a_page_has_its_own_settings_from_its_second_visit_on() {
        let mut site = Site::default();
        let settings = PageSettings { policy: Some(PolicyName::Basic), ..PageSettings::default() };

        assert!(site.page_said_hello("/a", &settings));
        assert!(!site.page_said_hello("/a", &settings));

        assert_eq!(site.config_for("/a").policy, PolicyName::Basic);
        assert_eq!(site.config_for("/b").policy, SiteConfig::default().policy);
    }

    #[test]
    fn settings_that_are_taken_back_are_forgotten() {
        let mut site = Site::default();
        let settings = PageSettings { slack_ms: Some(7), ..PageSettings::default() };
        site.page_said_hello("/a", &settings);

        assert!(site.page_said_hello("/a", &PageSettings::default()));
        assert_eq!(site.config_for("/a"), site.config);
    }

    #[test]
    fn a_refusal_is_believed_for_a_day() {
        let mut site = Site::default();
        site.refuse("/icon.png", 1000.0);
        assert!(site.is_refused("/icon.png", 2000.0));
        assert!(!site.is_refused("/icon.png", 1000.0 + REFUSAL_MS));
        assert!(!site.is_refused("/other.png", 2000.0));
    }

    #[test]
    fn a_silent_page_that_speaks_is_silent_no_more() {
        let mut site = Site::default();
        assert!(site.page_is_silent("/a"));
        assert!(site.is_silent("/a"));
        site.page_said_hello("/a", &PageSettings::default());
        assert!(!site.is_silent("/a"));
    }
}
