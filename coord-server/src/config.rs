//! What the server is told when it starts.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::HeaderValue;
use dcdn_protocol::SiteConfig;

use crate::asker::Proxies;
use crate::assets::Assets;
use crate::cluster::RedisUrl;
use crate::connections;
use crate::dashboard::access::Token;
use crate::limit::address::AddressLimits;
use crate::manifest::store::StoreError;
use crate::origin::OriginSettings;
use crate::signalling::{self, AllowedOrigins};
use crate::tls::{TlsError, TlsFiles};
use crate::tokens::Tokens;

/// Everything that [`run`](crate::run) needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the site is.
    pub source: Source,
    /// Served as `/dcdn/config.json`; its `min_bytes` also bounds manifests.
    pub site: SiteConfig,
    /// `Cache-Control` of a directory's files, and so of what manifests say of them.
    pub cache_control: Option<HeaderValue>,
    /// The browser's part, served as `/sw.js` and `/dcdn/*`.
    pub assets: Assets,
    /// Pages that may open a signalling socket.
    pub origins: AllowedOrigins,
    /// What pages that open one must show, if anything.
    pub tokens: Option<Tokens>,
    /// Bounds and times of signalling.
    pub signalling: signalling::Limits,
    /// Bounds of all connections together.
    pub connections: connections::Limits,
    /// Bounds for one network address.
    pub addresses: AddressLimits,
    /// Who may say for whom it asks.
    pub proxies: Proxies,
    /// The file in which manifests are kept across restarts.
    pub manifest_store: Option<PathBuf>,
    /// Certificate and key; `None` is plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Where to meet other nodes; `None` for a server that is alone.
    pub redis: Option<RedisUrl>,
    /// What has to be shown to see the dashboard and the metrics; `None` shows the first on this
    /// machine only, and the second to everybody.
    pub dashboard_token: Option<Token>,
    /// How long connections are still taken after the server was told to stop, and `/readyz`
    /// says so: who balances load is to look elsewhere before they are refused.
    pub notice: Duration,
    /// How long open responses may go on after that.
    pub grace: Duration,
}

impl Config {
    /// Shows the site's own server as the site, with defaults: pages are taken to be
    /// another for each visitor.
    pub fn before(origin: OriginSettings) -> Self {
        Self::of(Source::Origin(origin), SiteConfig::default())
    }

    /// Serves `root` with defaults: pages are taken to be the same for everybody
    /// (a directory has no others), assets are those in the binary.
    ///
    /// # Errors
    /// If `root` is not a directory that can be read.
    pub fn new(root: &Path) -> Result<Self, SetupError> {
        let root = check_directory(root)?;
        let site = SiteConfig { offline_pages: true, ..SiteConfig::default() };
        Ok(Self::of(Source::Root(root), site))
    }

    fn of(source: Source, site: SiteConfig) -> Self {
        Self {
            source,
            site,
            cache_control: None,
            assets: Assets::embedded(),
            origins: AllowedOrigins::default(),
            tokens: None,
            signalling: signalling::Limits::default(),
            connections: connections::Limits::default(),
            addresses: AddressLimits::default(),
            proxies: Proxies::default(),
            manifest_store: None,
            tls: None,
            notice: Duration::from_millis(500),
            grace: Duration::from_secs(3),
            redis: None,
            dashboard_token: None,
        }
    }
}

/// Where the site is.
#[derive(Clone, Debug)]
pub enum Source {
    /// In this directory.
    Root(PathBuf),
    /// On a server of its own.
    Origin(OriginSettings),
}

/// The absolute path of a readable directory. Symlinks in it are kept, so that a
/// site may be replaced by pointing a link elsewhere.
fn check_directory(root: &Path) -> Result<PathBuf, SetupError> {
    let unusable = |source| SetupError::Root { path: root.to_owned(), source };
    std::fs::read_dir(root).map_err(unusable)?;
    std::path::absolute(root).map_err(unusable)
}

/// A server that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The site's directory cannot be read.
    #[error("cannot serve {}; name the site's directory with --root DIR", path.display())]
    Root {
        /// As it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The site's own server cannot be asked.
    #[error("cannot use the origin")]
    Origin(#[source] io::Error),
    /// Manifests cannot be kept.
    #[error("choose another file with --manifest-store PATH")]
    Store(#[source] StoreError),
    /// Connections cannot be made secure.
    #[error("name other files with --tls-cert and --tls-key")]
    Tls(#[source] TlsError),
}
