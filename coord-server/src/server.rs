//! The URLs, and the loop that accepts connections.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, State};
use axum::handler::Handler;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use dcdn_protocol::SiteConfig;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tower_http::cors::{Any, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::asker::Secure;
use crate::assets;
use crate::cluster::{self, RedisUrl};
use crate::config::{Config, SetupError, Source};
use crate::connections::{Connection, Door};
use crate::dashboard::{self, Dashboard, Names};
use crate::limit::address::Guard;
use crate::manifest::store::{Store, StoreError};
use crate::manifest::{self, Files, Manifests, Remote};
use crate::metrics::{self, Metrics};
use crate::origin::Origin;
use crate::origin::proxy::{self, Proxy};
use crate::requests::watched;
use crate::signalling::{self, Hub};
use crate::site::root::Root;
use crate::site::{self, Site};
use crate::tls::Tls;

/// Time after which another connection is tried when none could be accepted,
/// for want of file descriptors as a rule.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Time between two looks for addresses that need not be known any more.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// How a server is stopped: `leaving` tells who would send it visitors, `stop` everything that
/// goes on; `tasks` knows what still does.
#[derive(Clone, Debug, Default)]
pub struct Lifetime {
    /// Cancelled when the server has been told to stop.
    pub leaving: CancellationToken,
    /// Cancelled when it takes no more connections.
    pub stop: CancellationToken,
    /// Connections and signalling sockets.
    pub tasks: TaskTracker,
}

/// Serves connections of `listener` until `shutdown` ends and for [`Config::notice`] more, and
/// then what is still being answered for [`Config::grace`].
///
/// # Errors
/// If the source of the site cannot be used; none once it runs.
pub async fn run(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    if config.assets.lacks_worker() {
        tracing::warn!("{}", assets::HOW_TO_BUILD);
    }
    let life = Lifetime::default();
    let (notice, grace) = (config.notice, config.grace);
    let tls = config.tls.clone().map(Tls::new).transpose();
    let tls = tls.map_err(|error| io::Error::other(SetupError::Tls(error)))?;
    let metrics = Arc::new(Metrics::new());
    let guard = guard(&config, &metrics);
    let proxies = Arc::new(config.proxies.clone());
    let head_within = config.connections.head_within;
    let door = Door::new(config.connections, guard.clone(), proxies, Arc::clone(&metrics));
    let app = app(config, guard.clone(), metrics, &life).map_err(io::Error::other)?;
    let _forgetting = AbortOnDropHandle::new(tokio::spawn(forget_addresses(guard)));
    let _renewal = tls.clone().map(|tls| AbortOnDropHandle::new(tokio::spawn(tls.keep_current())));
    let leaving = life.leaving.clone();
    let mut shutdown = pin!(async move {
        shutdown.await;
        tracing::info!("stopping");
        leaving.cancel();
        tokio::time::sleep(notice).await;
    });
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let Some(stream) = door.admit(stream, address) else { continue };
                let app = app.clone().layer(Extension(ConnectInfo(address)));
                match tls.clone() {
                    None => drop(life.tasks.spawn(serve(
                        stream,
                        address,
                        app,
                        head_within,
                        life.clone(),
                    ))),
                    Some(tls) => {
                        let app = app.layer(Extension(Secure));
                        life.tasks.spawn(serve_securely(
                            tls,
                            stream,
                            address,
                            app,
                            head_within,
                            life.clone(),
                        ));
                    }
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
    drop(listener);
    life.stop.cancel();
    life.tasks.close();
    if tokio::time::timeout(grace, life.tasks.wait()).await.is_err() {
        tracing::warn!("some responses were cut off");
    }
    Ok(())
}

/// Without end.
async fn forget_addresses(guard: Guard) {
    let mut times = tokio::time::interval(FORGET_EVERY);
    loop {
        times.tick().await;
        guard.sweep(Instant::now());
    }
}

async fn serve_securely(
    tls: Tls,
    stream: Connection,
    address: SocketAddr,
    app: Router,
    head_within: Duration,
    life: Lifetime,
) {
    let accepted = tokio::select! {
        accepted = tls.accept(stream) => accepted,
        () = life.stop.cancelled() => return,
    };
    match accepted {
        Ok(stream) => serve(stream, address, app, head_within, life).await,
        Err(error) => tracing::debug!(%error, %address, "no TLS"),
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    app: Router,
    head_within: Duration,
    life: Lifetime,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_within)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
        .with_upgrades();
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = life.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, %address, "connection ended early");
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(error.kind(), E::ConnectionRefused | E::ConnectionAborted | E::ConnectionReset)
}

fn guard(config: &Config, metrics: &Metrics) -> Guard {
    Guard::new(
        config.connections.most,
        config.signalling.sockets,
        config.addresses,
        metrics.address_refusals.clone(),
    )
}

/// All URLs. Signalling sockets and what the origin has upgraded belong to `life`.
///
/// # Errors
/// If the source of the site cannot be used.
fn app(
    config: Config,
    guard: Guard,
    metrics: Arc<Metrics>,
    life: &Lifetime,
) -> Result<Router, SetupError> {
    let limits = config.signalling;
    let hub = Hub::new(limits, config.origins, guard.clone(), Arc::clone(&metrics), life.clone());
    let hub = hub.with_tokens(config.tokens);
    let has_others = config.redis.is_some();
    let hub = match config.redis {
        Some(redis) => in_touch(hub, redis, life),
        None => Arc::new(hub),
    };
    let min_bytes = config.site.min_bytes;
    let store = open_store(config.manifest_store.as_deref())?;
    let (manifests, site) = match config.source {
        Source::Root(root) => {
            let root = Root::new(root);
            let control = config.cache_control.as_ref().and_then(|it| it.to_str().ok());
            let files = Files::new(
                root.clone(),
                min_bytes,
                control.map(str::to_owned),
                store,
                metrics.clone(),
            );
            let site = Site::new(root, config.cache_control, Arc::clone(&metrics));
            (Manifests::Files(files), get_site(site))
        }
        Source::Origin(settings) => {
            let origin = Origin::new(&settings).map_err(SetupError::Origin)?;
            let remote = Remote::new(origin.clone(), min_bytes, store, Arc::clone(&metrics));
            let proxy = Proxy::new(origin, Arc::clone(&metrics), life.clone());
            (Manifests::Remote(remote), get_origin(proxy))
        }
    };

    let names = Names::default();
    let token = config.dashboard_token;
    let dashboard = Arc::new(Dashboard::new(
        Arc::clone(&hub),
        metrics.clone(),
        names.clone(),
        has_others,
        token.clone(),
    ));
    life.tasks.spawn(Arc::clone(&dashboard).remember(life.stop.clone()));
    let numbers = Arc::new(metrics::Shown { metrics: metrics.clone(), token });
    let shown = manifest::Shown { manifests, names, guard };
    let manifest = get(manifest::show).with_state(Arc::new(shown));
    let dcdn = Router::new()
        .route("/dcdn", get(dashboard::page))
        .route("/dcdn/", get(dashboard::page))
        .route("/dcdn/dashboard.js", get(dashboard::script))
        .route("/dcdn/dashboard.css", get(dashboard::style))
        .route("/dcdn/{*name}", get(assets::file))
        .with_state(config.assets.clone())
        .route("/dcdn/config.json", get(site_config).with_state(Arc::new(config.site)))
        .route("/dcdn/manifest", manifest)
        .route("/dcdn/ws", get(signalling::open).with_state(hub))
        .layer(readable_from_anywhere())
        .layer(header_unless_set("cross-origin-resource-policy", "cross-origin"));
    let own = Router::new()
        .merge(dcdn)
        // Not for other sites' pages, which the operator's browser may also have open.
        .route("/dcdn/status.json", get(dashboard::status).with_state(dashboard))
        .route("/sw.js", get(assets::worker).with_state(config.assets))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready).with_state(life.clone()))
        .route("/metrics", get(metrics::show).with_state(numbers))
        .layer(no_sniffing())
        // In nobody's frame, where a click could be meant for something else.
        .layer(header_unless_set("content-security-policy", "frame-ancestors 'none'"))
        .layer(header_unless_set("referrer-policy", "no-referrer"));
    let proxies = Extension(Arc::new(config.proxies));
    Ok(watched(own.merge(site).layer(proxies), metrics))
}

/// A store that another process has, as while one server takes over from another, is done
/// without.
fn open_store(path: Option<&Path>) -> Result<Store, SetupError> {
    let Some(path) = path else { return Ok(Store::default()) };
    match Store::open(path) {
        Err(error @ StoreError::InUse(_)) => {
            tracing::warn!("{error}; manifests are not kept");
            Ok(Store::default())
        }
        result => result.map_err(SetupError::Store),
    }
}

/// The same hub, with other nodes.
fn in_touch(hub: Hub, redis: RedisUrl, life: &Lifetime) -> Arc<Hub> {
    let (post, letters) = mpsc::channel(cluster::MAX_LETTERS);
    let hub = Arc::new(hub.with_post(post));
    life.tasks.spawn(cluster::run(Arc::clone(&hub), redis, letters, life.stop.clone()));
    hub
}

/// Every other URL is a file.
fn get_site(site: Site) -> Router {
    Router::new().fallback_service(site::serve.with_state(Arc::new(site))).layer(no_sniffing())
}

/// Every other URL is the origin's, whose headers are its own affair.
fn get_origin(proxy: Proxy) -> Router {
    Router::new().fallback_service(proxy::serve.with_state(Arc::new(proxy)))
}

fn no_sniffing() -> SetResponseHeaderLayer<HeaderValue> {
    let nosniff = HeaderValue::from_static("nosniff");
    SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, nosniff)
}

fn header_unless_set(
    name: &'static str,
    value: &'static str,
) -> SetResponseHeaderLayer<HeaderValue> {
    let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
    SetResponseHeaderLayer::if_not_present(name, value)
}

/// Nothing under `/dcdn/` is secret, and a page may have its coordination server
/// elsewhere (`data-coord`).
fn readable_from_anywhere() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([header::IF_NONE_MATCH, header::CACHE_CONTROL])
        .expose_headers([header::ETAG])
        .max_age(Duration::from_secs(24 * 3600))
}

async fn site_config(State(config): State<Arc<SiteConfig>>) -> Response {
    ([(header::CACHE_CONTROL, "no-cache")], Json(&*config)).into_response()
}

/// Whether new visitors may be sent here: 503 once the server has been told to stop.
async fn ready(State(life): State<Lifetime>) -> Response {
    let (status, text) = match life.leaving.is_cancelled() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        false => (StatusCode::OK, "ready"),
    };
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

async fn healthy() -> Response {
    let headers: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
    (headers, "ok").into_response()
}
