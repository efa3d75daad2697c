//! The flags, and the configuration that they make.

mod addresses;
mod limits;
mod manners;
mod operation;
mod tokens;

use std::path::{Path, PathBuf};

use anyhow::Context;
use axum::http::HeaderValue;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand, value_parser};
use coord_server::origin::url::OriginUrl;
use coord_server::signalling::{AllowedOrigins, NotAnOrigin};
use coord_server::tls::{Tls, TlsFiles};
use coord_server::{Config, OriginSettings, SetupError, Source};
use dcdn_protocol::config::{MAX_MIXED_HTTP_PERCENT, MAX_SLACK_PERCENT};
use dcdn_protocol::{PolicyName, SiteConfig};

pub use self::operation::LogFormat;
use self::operation::OperationArgs;
pub use self::tokens::Issue;
use crate::settings::DEFAULT_FILE;
use crate::store_path;

/// Serves a site and lets its visitors deliver it to each other.
///
/// Prints the site's URL on standard output when it is ready. Logs go to standard
/// error; RUST_LOG says how much of them (error, warn, info, debug, trace).
///
/// Every flag is a variable (DCDN_SLACK_MS=3000) and a line of dcdn.toml
/// (slack_ms = 3000) too. Flags count before variables, and those before the file.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub task: Option<Task>,

    /// How to serve.
    #[command(flatten)]
    pub serve: Args,
}

/// What else the program does.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Makes the manifests of a directory ahead, so that the server need not when visitors
    /// come. They count for copies of the files that keep length and time of modification
    Manifest(Ahead),

    /// Prints a join token for a server with --join-secret-file
    Token(Issue),

    /// Looks after dcdn.toml
    #[command(subcommand)]
    Config(ConfigTask),
}

/// What can be done with a file of settings.
#[derive(Debug, Subcommand)]
pub enum ConfigTask {
    /// Says what is wrong with a file of settings, by line
    Check {
        /// The file
        #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
}

/// Flags of `manifest`.
#[derive(Debug, clap::Args)]
pub struct Ahead {
    /// Directory of the site
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// Files of fewer bytes get no manifest
    #[arg(long, value_name = "BYTES", default_value_t = SiteConfig::default().min_bytes)]
    pub min_bytes: u64,

    /// File to put them in: what the server is told with its own --manifest-store [default:
    /// where a server of this directory looks]
    #[arg(long, value_name = "PATH")]
    manifest_store: Option<PathBuf>,
}

impl Ahead {
    /// Where to put the manifests.
    pub fn store(&self) -> anyhow::Result<PathBuf> {
        let chosen = self.manifest_store.clone();
        let default = || store_path::of_root(&self.directory);
        chosen.or_else(default).context("say where to put the manifests: --manifest-store PATH")
    }
}

/// Flags of the server.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File of settings, named as flags are: slack_ms = 3000 [default: dcdn.toml, if there
    /// is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Directory of the site
    #[arg(long, value_name = "DIR", required_unless_present = "origin")]
    root: Option<PathBuf>,

    /// The site's own server, http://HOST:PORT or https://HOST: shown as the site, and asked
    /// without cookies for what manifests are made of
    #[arg(long, value_name = "URL", conflicts_with = "root")]
    origin: Option<OriginUrl>,

    /// Host that the origin is asked for [default: the one in its URL]
    #[arg(long, value_name = "HOST", requires = "origin", conflicts_with = "root")]
    origin_host: Option<HeaderValue>,

    /// The name in the origin's URL may stand for a private address. Not needed for an
    /// address there, nor for localhost
    #[arg(long, requires = "origin", conflicts_with = "root")]
    allow_private_origin: bool,

    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    #[arg(value_parser = listening_address)]
    pub listen: String,

    /// Certificate for TLS, with those that lead to its issuer, PEM; read again when it
    /// changes [default: plain HTTP]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// How pages divide chunks between origin and peers
    #[arg(long, value_name = "NAME", default_value = SiteConfig::default().policy.as_str())]
    #[arg(value_parser = policies())]
    policy: PolicyName,

    /// How many milliseconds later than over plain HTTP a visitor may get what peers
    /// can deliver; 0 for never later
    #[arg(long, value_name = "MS", default_value_t = SiteConfig::default().slack_ms)]
    slack_ms: u32,

    /// The same in percent of the time that plain HTTP takes, 0 to 1000; both add up
    #[arg(long, value_name = "PERCENT", default_value_t = SiteConfig::default().slack_percent)]
    #[arg(value_parser = value_parser!(u32).range(..=i64::from(MAX_SLACK_PERCENT)))]
    slack_percent: u32,

    /// With the policy mixed, percentage of chunks that come over HTTP, 0 to 100
    /// [default: HTTP counts as one of the peers]
    #[arg(long, value_name = "PERCENT")]
    #[arg(value_parser = value_parser!(u8).range(..=i64::from(MAX_MIXED_HTTP_PERCENT)))]
    mixed_http_percent: Option<u8>,

    /// Files of fewer bytes are left to plain HTTP
    #[arg(long, value_name = "BYTES", default_value_t = SiteConfig::default().min_bytes)]
    min_bytes: u64,

    /// `Cache-Control` of the files below --root, "public, max-age=3600" for one: for so long
    /// visitors who hold a file do not ask whether it has changed [default: none, and
    /// they ask each time]
    #[arg(long, value_name = "VALUE", conflicts_with = "origin")]
    cache_control: Option<HeaderValue>,

    /// STUN server for pages; may be repeated; `none` for none
    #[arg(long, value_name = "URL", default_value = "stun:stun.cloudflare.com:3478")]
    #[arg(value_parser = stun_server)]
    stun: Vec<String>,

    /// Peers that one page calls at the most; it answers as many more that call it, and is
    /// connected to twice as many at the most
    #[arg(long, value_name = "N", default_value_t = SiteConfig::default().max_peers)]
    max_peers: u32,

    /// Bytes per second that one page uploads at the most [default: no limit]
    #[arg(long, value_name = "BYTES_PER_SECOND")]
    upload_limit: Option<u32>,

    /// Bytes that each browser's store may hold; 0 for none, and then visitors pass
    /// nothing on [default: a tenth of what the browser grants, at most 2 GiB]
    #[arg(long, value_name = "BYTES")]
    store_bytes: Option<u64>,

    /// Pages ask their browser not to clear the store when it runs short of room;
    /// some browsers ask the visitor then
    #[arg(long)]
    persist_store: bool,

    /// File that keeps manifests across restarts, or `none` [default: manifests.redb in
    /// systemd's $STATE_DIRECTORY, or a file of this site's own below ~/.cache/dcdn]
    #[arg(long, value_name = "PATH")]
    manifest_store: Option<PathBuf>,

    /// The off switch: pages are plain HTTP and remove the worker
    #[arg(long)]
    disabled: bool,

    /// Pages of this origin may open signalling sockets too; may be repeated;
    /// `*` for any [default: only pages of the host they connect to]
    #[arg(long, value_name = "ORIGIN", value_parser = allowed_origin)]
    allow_origin: Vec<String>,

    #[command(flatten)]
    manners: manners::MannersArgs,

    #[command(flatten)]
    sockets: limits::SocketArgs,

    #[command(flatten)]
    addresses: addresses::AddressArgs,

    #[command(flatten)]
    operation: OperationArgs,

    #[command(flatten)]
    tokens: tokens::TokenArgs,
}

impl Args {
    /// How the log is written.
    pub fn log_format(&self) -> LogFormat {
        self.operation.log_format
    }

    /// How many connections there may be, if that was said.
    pub fn max_connections(&self) -> Option<usize> {
        self.sockets.max_connections
    }

    /// Looks at everything that the flags name, as a server does when it starts.
    pub fn check(&self) -> anyhow::Result<()> {
        let config = self.config()?;
        config.tls.map(Tls::new).transpose().map_err(SetupError::Tls)?;
        Ok(())
    }

    /// The configuration that the flags ask for, but for how many connections there may be.
    pub fn config(&self) -> anyhow::Result<Config> {
        let mut config = match (&self.root, &self.origin) {
            (_, Some(url)) => Config::before(OriginSettings {
                host: self.origin_host.clone(),
                allow_private: self.allow_private_origin,
                ..OriginSettings::new(url.clone())
            }),
            (root, None) => Config::new(root.as_deref().unwrap_or(Path::new(".")))?,
        };
        config.site = SiteConfig {
            enabled: !self.disabled,
            policy: self.policy,
            slack_ms: self.slack_ms,
            slack_percent: self.slack_percent,
            mixed_http_percent: self.mixed_http_percent,
            min_bytes: self.min_bytes,
            stun: self.stun.iter().filter(|url| *url != NO_STUN).cloned().collect(),
            max_peers: self.max_peers,
            upload_bytes_per_second: self.upload_limit,
            store_bytes: self.store_bytes,
            persist_store: self.persist_store,
            ..config.site
        };
        config.manifest_store = match &self.manifest_store {
            Some(path) if path == Path::new(NO_STORE) => None,
            Some(path) => Some(path.clone()),
            None => match &config.source {
                Source::Root(root) => store_path::of_root(root),
                Source::Origin(origin) => store_path::of_origin(&origin.url),
            },
        };
        config.tls = self
            .tls_cert
            .clone()
            .zip(self.tls_key.clone())
            .map(|(certificate, key)| TlsFiles::new(certificate, key));
        config.cache_control.clone_from(&self.cache_control);
        config.origins = AllowedOrigins::new(self.allow_origin.iter().map(String::as_str))?;
        config.site = self.manners.apply(config.site);
        config.signalling = self.sockets.limits();
        config.signalling.socket.min_viewers = config.site.min_viewers as usize;
        config.redis = self.sockets.redis();
        config.addresses = self.addresses.limits();
        config.tokens = self.tokens.tokens()?;
        config.proxies = self.addresses.proxies();
        config.dashboard_token = self.operation.dashboard_token()?;
        Ok(config)
    }
}

const NO_STUN: &str = "none";

const NO_STORE: &str = "none";

/// Names and lists every policy that there is.
fn policies() -> impl TypedValueParser<Value = PolicyName> {
    let names = PolicyName::ALL.map(PolicyName::as_str);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<PolicyName>())
}

/// A browser throws on a server that it cannot read, and then there are no peers.
fn stun_server(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("stun:").or_else(|| text.strip_prefix("stuns:"));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') => Ok(text.to_owned()),
        _ if text == NO_STUN => Ok(text.to_owned()),
        _ => Err("write stun:HOST:PORT, or none".to_owned()),
    }
}

/// A name may only be known on another machine, so it is not looked up here.
fn listening_address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("write --listen HOST:PORT, 127.0.0.1:8080 for one".to_owned()),
    }
}

fn allowed_origin(text: &str) -> Result<String, NotAnOrigin> {
    AllowedOrigins::new([text]).map(|_| text.to_owned())
}
