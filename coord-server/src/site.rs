//! The site: the files of one directory over HTTP.

pub mod conditional;
pub mod mime;
pub mod path;
pub mod root;

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use dcdn_protocol::ByteRange;
use futures::{Stream, TryStreamExt, stream};
use tokio::io::AsyncReadExt;

use self::conditional::{Answer, answer};
use self::path::{PathError, SitePath};
use self::root::{FileVersion, OpenError, Root, SiteFile};
use crate::metrics::Metrics;
use crate::requests::blocking;

/// Bytes that are read from a file at once.
const PIECE: u64 = 128 * 1024;

/// Serves the files below a [`Root`].
#[derive(Debug)]
pub struct Site {
    root: Root,
    cache_control: Option<HeaderValue>,
    metrics: Arc<Metrics>,
}

impl Site {
    /// A site whose files have this `Cache-Control`, and whose bytes are counted in
    /// `metrics`.
    pub fn new(root: Root, cache_control: Option<HeaderValue>, metrics: Arc<Metrics>) -> Self {
        Self { root, cache_control, metrics }
    }

    async fn answer(self: &Arc<Self>, request: Request<Body>) -> Result<Response, Refusal> {
        let method = request.method().clone();
        if method != Method::GET && method != Method::HEAD {
            return Err(Refusal::Method);
        }
        let path = SitePath::parse(request.uri().path())?;
        if path.is_reserved() {
            return Err(Refusal::NotFound);
        }
        self.metrics.origin_requests.inc();
        let site = Arc::clone(self);
        let headers = request.headers().clone();
        let opened = blocking(move || {
            let opened = site.root.open(&path)?;
            prepare(&method, &headers, opened).map_err(OpenError::Io)
        });
        match opened.await.map_err(|_| Refusal::Internal)? {
            Ok(prepared) => Ok(self.respond(prepared)),
            Err(OpenError::Directory) => Ok(add_slash(request.uri())),
            Err(OpenError::Io(error)) => {
                tracing::error!(%error, path = request.uri().path(), "cannot read a file");
                Err(Refusal::Internal)
            }
            Err(_) => Err(Refusal::NotFound),
        }
    }

    fn respond(&self, prepared: Prepared) -> Response {
        let Prepared { status, mut headers, body } = prepared;
        if let Some(control) = &self.cache_control {
            headers.insert(header::CACHE_CONTROL, control.clone());
        }
        let body = match body {
            None => Body::empty(),
            Some(part) => {
                let counter = self.metrics.origin_bytes.clone();
                Body::from_stream(part.stream().inspect_ok(move |piece| {
                    counter.inc_by(piece.len() as u64);
                }))
            }
        };
        (status, headers, body).into_response()
    }
}

/// Answers every URL that is not the server's own.
pub async fn serve(State(site): State<Arc<Site>>, request: Request<Body>) -> Response {
    site.answer(request).await.unwrap_or_else(Refusal::into_response)
}

/// A response that only lacks its bytes.
struct Prepared {
    status: StatusCode,
    headers: HeaderMap,
    body: Option<Part>,
}

/// What is to be sent of a file, which stands at the first byte of it.
struct Part {
    file: File,
    version: FileVersion,
    length: u64,
}

fn prepare(method: &Method, request: &HeaderMap, opened: SiteFile) -> io::Result<Prepared> {
    let SiteFile { mut file, version, mime, .. } = opened;
    let length = version.length;
    let mut headers = validators(&version);
    let answer = answer(method, request, &version);
    let (status, sent) = match answer {
        Answer::Whole => (StatusCode::OK, ByteRange::new(0, length)),
        Answer::Part(range) => {
            headers.insert(header::CONTENT_RANGE, content_range(range, length));
            file.seek(SeekFrom::Start(range.start))?;
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Answer::NotModified => {
            return Ok(Prepared { status: StatusCode::NOT_MODIFIED, headers, body: None });
        }
        Answer::PreconditionFailed => {
            return Ok(Prepared { status: StatusCode::PRECONDITION_FAILED, headers, body: None });
        }
        Answer::Unsatisfiable => {
            headers.insert(header::CONTENT_RANGE, text(format!("bytes */{length}")));
            return Ok(Prepared { status: StatusCode::RANGE_NOT_SATISFIABLE, headers, body: None });
        }
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent.len()));
    let body = (method == Method::GET).then(|| Part { file, version, length: sent.len() });
    Ok(Prepared { status, headers, body })
}

fn validators(version: &FileVersion) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, text(version.etag()));
    if let Some(modified) = version.last_modified() {
        headers.insert(header::LAST_MODIFIED, text(modified));
    }
    headers
}

fn content_range(range: ByteRange, length: u64) -> HeaderValue {
    text(format!("bytes {}-{}/{length}", range.start, range.end - 1))
}

/// A header of digits, dates and quotes, which are always allowed.
fn text(value: String) -> HeaderValue {
    HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

impl Part {
    /// The bytes, in pieces. A file that ends before, or is written to while it is read,
    /// is an error, so that the connection breaks and no one takes what there was for
    /// the whole or two versions for one.
    fn stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        let Self { file, version, length } = self;
        let file = tokio::fs::File::from_std(file);
        stream::try_unfold((file, version, length), async |(mut file, version, left)| {
            if left == 0 {
                return Ok(None);
            }
            let wanted = left.min(PIECE);
            let mut piece = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
            let read = (&mut file).take(wanted).read_buf(&mut piece).await?;
            // After reading: what is written from now on is not in the piece.
            if !version.is_still(&file.metadata().await?) {
                return Err(io::Error::other("the file changed while it was sent"));
            }
            if read == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("the file became shorter; {left} bytes are missing"),
                ));
            }
            Ok(Some((Bytes::from(piece), (file, version, left - read as u64))))
        })
    }
}

/// A directory's pages live below its `/`. The answer keeps path and query as
/// they were sent, but for more than one `/` at the start: `//host` is elsewhere.
fn add_slash(uri: &Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = text(format!("/{path}/{query}"));
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
}

/// A request that gets no file. What is hidden, outside or special is as good as
/// not there: visitors do not learn what else the directory holds.
enum Refusal {
    Method,
    Malformed(PathError),
    NotFound,
    Internal,
}

impl From<PathError> for Refusal {
    fn from(error: PathError) -> Self {
        match error {
            PathError::Malformed(_) => Self::Malformed(error),
            PathError::Outside | PathError::Hidden => Self::NotFound,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let plain = |status, text: String| {
            (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
        };
        match self {
            Self::Method => {
                let allow = [(header::ALLOW, "GET, HEAD")];
                (StatusCode::METHOD_NOT_ALLOWED, allow, "only GET and HEAD\n").into_response()
            }
            Self::Malformed(error) => plain(StatusCode::BAD_REQUEST, format!("{error}\n")),
            Self::NotFound => plain(StatusCode::NOT_FOUND, "not found\n".to_owned()),
            Self::Internal => {
                plain(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read\n".to_owned())
            }
        }
    }
}
