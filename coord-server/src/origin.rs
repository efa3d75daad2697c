//! The site's own server, where the site is not a directory: `--origin URL`.
//!
//! Every request goes to the scheme and authority of that URL, whatever a visitor says
//! ([`url`]), at an address that the name may have ([`address`]). [`forward`] decides
//! which headers pass, [`proxy`] passes requests and answers on, `upgrade` what is no
//! longer HTTP. Redirects are never followed.

pub mod address;
pub mod forward;
pub mod proxy;
mod upgrade;
pub mod url;

use std::fmt;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use futures::{Stream, TryStreamExt};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::address::Resolver;
use self::url::OriginUrl;

/// Time to look the name up and connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Time that an unused connection is kept. Shorter than what servers keep theirs for
/// (Node.js and Apache 5 s), so that they rarely close one that is being used again.
const IDLE: Duration = Duration::from_secs(4);

/// What the server is told about the site's own.
#[derive(Clone, Debug)]
pub struct OriginSettings {
    /// Where it is.
    pub url: OriginUrl,
    /// The `Host` that it is asked for; `None` is what its URL has.
    pub host: Option<HeaderValue>,
    /// Whether a name in the URL may stand for a private address. An address in it, and
    /// `localhost`, need no permission.
    pub allow_private: bool,
    /// Time without a sign of life, of a request that is being answered, after which it
    /// is given up.
    pub patience: Duration,
}

impl OriginSettings {
    /// The server at `url`, with defaults.
    pub fn new(url: OriginUrl) -> Self {
        Self { url, host: None, allow_private: false, patience: Duration::from_secs(60) }
    }

    /// Looks the name up, so that one that may not be asked is known before the first
    /// visitor comes.
    ///
    /// # Errors
    /// If there is no such name, or ([`io::ErrorKind::PermissionDenied`]) it may not be
    /// asked.
    pub async fn look_up(&self) -> io::Result<()> {
        if self.url.is_literal() {
            return Ok(());
        }
        let (name, port) = self.url.endpoint();
        Resolver { allow_private: self.allow_private }.resolve(name, port).await.map(drop)
    }
}

/// A client of the site's own server, and of no other.
#[derive(Clone, Debug)]
pub struct Origin {
    url: OriginUrl,
    host: HeaderValue,
    via: HeaderValue,
    patience: Duration,
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Body>,
}

impl Origin {
    /// No connection yet.
    ///
    /// # Errors
    /// If the system's certificates, with which an `https` origin is checked, cannot be
    /// read.
    pub fn new(settings: &OriginSettings) -> io::Result<Self> {
        let resolver = Resolver { allow_private: settings.allow_private };
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_WITHIN));
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        let host = settings.host.clone().unwrap_or_else(|| settings.url.host());
        let via = format!("1.1 dcdn-{:08x}", rand::random::<u32>());
        Ok(Self {
            url: settings.url.clone(),
            host,
            via: HeaderValue::try_from(via).unwrap_or(HeaderValue::from_static("1.1 dcdn")),
            patience: settings.patience,
            client,
        })
    }

    /// Sends a request with these headers and waits for the head of the answer.
    ///
    /// # Errors
    /// [`OriginError`] says why there is none.
    pub async fn send(
        &self,
        method: Method,
        target: PathAndQuery,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response<Incoming>, OriginError> {
        let mut request = Request::new(body);
        *request.uri_mut() = self.url.join(target).map_err(|_| OriginError::Target)?;
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        self.client.request(request).await.map_err(OriginError::Unreachable)
    }

    /// Asks for a resource as nobody in particular: without cookies, unencoded.
    ///
    /// # Errors
    /// As [`Origin::send`], and if the head takes longer than the origin's patience.
    pub async fn get(
        &self,
        target: PathAndQuery,
        mut headers: HeaderMap,
    ) -> Result<Response<Incoming>, OriginError> {
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::VIA, self.via.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let send = || self.send(Method::GET, target.clone(), headers.clone(), Body::empty());
        let answer = async {
            match send().await {
                Err(error) if error.is_worth_another_try() => send().await,
                answer => answer,
            }
        };
        tokio::time::timeout(self.patience, answer).await.map_err(|_| OriginError::Late)?
    }

    /// The pieces of an answer's body; one that does not come within the origin's patience
    /// is an error.
    pub fn pieces(&self, body: Incoming) -> impl Stream<Item = io::Result<Bytes>> + Unpin {
        let patience = self.patience;
        let pieces = Body::new(body).into_data_stream().map_err(io::Error::other);
        Box::pin(futures::stream::try_unfold(pieces, move |mut pieces| async move {
            let next = tokio::time::timeout(patience, pieces.try_next()).await;
            let next = next.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok(next.map(|piece| (piece, pieces)))
        }))
    }
}

/// Which server it is, and whom it is asked to be.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.url, self.host.to_str().unwrap_or_default())
    }
}

/// Why the site's own server gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The target of the request is no path.
    #[error("the target is no path")]
    Target,
    /// It cannot be connected to, or hangs up.
    #[error("the origin does not answer")]
    Unreachable(#[source] ClientError),
    /// It takes too long.
    #[error("the origin takes too long to answer")]
    Late,
}

impl OriginError {
    /// Whether a connection from before may just have been closed by the other side.
    fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Unreachable(error) if !error.is_connect())
    }
}
