//! Before a site's own server: what passes, and what is refused.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use coord_server::{Config, OriginSettings};
use futures::{SinkExt, StreamExt};
use reqwest::Method;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{PATIENCE, Server, SiteDirectory, noise};

/// A server that is not ours. Ends with the runtime of its test.
async fn upstream(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

fn settings(origin: SocketAddr) -> OriginSettings {
    OriginSettings::new(format!("http://{origin}").parse().unwrap())
}

async fn before(origin: SocketAddr) -> Server {
    Server::run(Config::before(settings(origin))).await
}

/// Says what it was asked, as JSON.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let headers: HashMap<String, String> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let echoed = serde_json::json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8(body.to_vec()).unwrap(),
    });
    let answer =
        [("x-site", "own"), ("set-cookie", "a=b"), ("connection", "x-hop"), ("x-hop", "1")];
    (StatusCode::ACCEPTED, answer, echoed.to_string()).into_response()
}

#[tokio::test]
async fn a_request_and_its_answer_pass_as_they_are() {
    let server = before(upstream(Router::new().fallback(echo)).await).await;

    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let client = reqwest::Client::new();
        let request = client
            .request(method.clone(), server.url("/a%20b/%7e?q=1&r=%2F"))
            .header("cookie", "session=1")
            .header("origin", "https://shop.example")
            .body(if method == Method::GET { "" } else { "said" });
        let answer = request.send().await.unwrap();

        assert_eq!(answer.status(), 202, "{method}");
        assert_eq!(answer.headers()["x-site"], "own");
        assert_eq!(answer.headers()["set-cookie"], "a=b");
        assert!(!answer.headers().contains_key("x-hop"), "of the origin's connection alone");
        assert!(!answer.headers().contains_key("x-content-type-options"), "the origin's affair");
        let said: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(said["method"], method.as_str());
        assert_eq!(said["target"], "/a%20b/%7e?q=1&r=%2F");
        assert_eq!(said["body"], if method == Method::GET { "" } else { "said" });
        let headers = &said["headers"];
        assert_eq!(headers["cookie"], "session=1");
        assert_eq!(headers["origin"], "https://shop.example");
        assert_eq!(headers["x-forwarded-host"], server.address.to_string());
        assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers.get("transfer-encoding"), None, "{headers}");
    }
}

#[tokio::test]
async fn no_request_goes_to_another_host() {
    let origin = upstream(Router::new().fallback(echo)).await;
    let server = before(origin).await;

    let targets: [&[u8]; 3] = [b"http://evil.example/a", b"//evil.example/a", b"/a@evil.example"];
    for target in targets {
        let said = server.get_raw(target).await.json();
        assert_eq!(said["headers"]["host"], origin.to_string(), "{said}");
    }
    for target in [&b"*"[..], b"evil.example:80"] {
        assert_eq!(server.get_raw(target).await.status, 400);
    }
    let own_host =
        OriginSettings { host: Some(HeaderValue::from_static("shop.example")), ..settings(origin) };
    let server = Server::run(Config::before(own_host)).await;
    assert_eq!(server.get("/a").await.json()["headers"]["host"], "shop.example");
}

#[tokio::test]
async fn a_redirect_is_the_visitors_to_follow() {
    let (asked, mut questions) = mpsc::unbounded_channel();
    let elsewhere = upstream(Router::new().fallback(async move || asked.send(()).unwrap())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = listener.local_addr().unwrap();
    let to = |location: String| {
        get(async move || (StatusCode::FOUND, [(header::LOCATION, location)], ()))
    };
    let routes = Router::new()
        .route("/out", to(format!("http://{elsewhere}/a")))
        .route("/in", to(format!("http://{origin}/login?a")))
        .route("/plain", to("/login".to_owned()));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let server = before(origin).await;

    let location = async |path: &str| {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 302, "{path}");
        answer.header("location").unwrap().to_owned()
    };
    assert_eq!(location("/out").await, format!("http://{elsewhere}/a"));
    assert_eq!(location("/in").await, "/login?a");
    assert_eq!(location("/plain").await, "/login");
    let manifest = server.get("/dcdn/manifest?url=/out").await;
    assert_eq!((manifest.status, manifest.error_code().as_str()), (422, "unsuited"));
    assert!(questions.try_recv().is_err(), "the other host was asked");
}

#[tokio::test]
async fn ranges_and_conditions_are_the_origins_to_answer() {
    let site = SiteDirectory::new();
    let bytes = noise(300_000);
    site.write("a.mp4", &bytes);
    let origin = Server::start(&site).await;
    let server = before(origin.address).await;

    let whole = server.get("/a.mp4").await;
    let etag = whole.header("etag").unwrap();
    let part = server.get_with("/a.mp4", &[("range", "bytes=1000-1999")]).await;
    let held = server.get_with("/a.mp4", &[("if-none-match", etag)]).await;
    let other = [("range", "bytes=0-9"), ("if-range", "\"other\"")];
    let changed = server.get_with("/a.mp4", &other).await;
    let beyond = server.get_with("/a.mp4", &[("range", "bytes=300000-")]).await;
    let head = server.request(Method::HEAD, "/a.mp4", &[]).await;

    assert_eq!((whole.status, &whole.body), (200, &bytes));
    assert_eq!((part.status, &part.body[..]), (206, &bytes[1000..2000]));
    assert_eq!(part.header("content-range"), Some("bytes 1000-1999/300000"));
    assert_eq!((held.status, held.body.len()), (304, 0));
    assert_eq!((changed.status, changed.body.len()), (200, 300_000));
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */300000")));
    assert_eq!((head.status, head.header("content-length")), (200, Some("300000")));
    assert_eq!(server.metric("dcdn_origin_bytes_total").await, 300_000 + 1000 + 300_000);
    assert_eq!(server.metric("dcdn_origin_requests_total").await, 6);
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let upload = async |State(arrived): State<mpsc::UnboundedSender<usize>>, body: Body| {
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            arrived.send(piece.unwrap().len()).unwrap();
        }
        "all there"
    };
    let (go_on, gate) = mpsc::unbounded_channel::<()>();
    let gate = Arc::new(Mutex::new(Some(gate)));
    let download = async move || {
        let gate = gate.lock().unwrap().take().unwrap();
        let later = futures::stream::unfold(gate, async |mut gate| {
            gate.recv().await.map(|()| (Ok::<_, std::io::Error>(Bytes::from("later")), gate))
        });
        Body::from_stream(futures::stream::iter([Ok(Bytes::from("now"))]).chain(later))
    };
    let routes = Router::new().route("/up", any(upload)).with_state(arrived);
    let server = before(upstream(routes.route("/down", get(download))).await).await;

    let (pieces, sent) = mpsc::unbounded_channel::<Bytes>();
    let sent = futures::stream::unfold(sent, async |mut sent| {
        sent.recv().await.map(|piece| (Ok::<_, std::io::Error>(piece), sent))
    });
    let uploading = tokio::spawn(
        reqwest::Client::new()
            .post(server.url("/up"))
            .body(reqwest::Body::wrap_stream(sent))
            .send(),
    );
    for size in [3, 4] {
        pieces.send(Bytes::from(vec![0; size])).unwrap();
        let arrived = timeout(PATIENCE, arrivals.recv()).await.expect("a piece arrives");
        assert_eq!(arrived, Some(size), "before the next is sent");
    }
    drop(pieces);
    assert_eq!(uploading.await.unwrap().unwrap().text().await.unwrap(), "all there");

    let mut answer = reqwest::get(server.url("/down")).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "now");
    go_on.send(()).unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "later");
    drop(go_on);
    assert_eq!(answer.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off() {
    let (break_off, gate) = tokio::sync::oneshot::channel::<()>();
    let gate = Arc::new(Mutex::new(Some(gate)));
    let broken = async move || {
        let gate = gate.lock().unwrap().take().unwrap();
        let end = async move {
            gate.await.unwrap();
            Err(std::io::Error::other("lost"))
        };
        let begun = futures::stream::iter([Ok(Bytes::from("begun"))]);
        Body::from_stream(begun.chain(futures::stream::once(end)))
    };
    let server = before(upstream(Router::new().fallback(broken)).await).await;

    let mut answer = reqwest::get(server.url("/a")).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "begun");
    break_off.send(()).unwrap();

    assert!(answer.chunk().await.is_err(), "never taken for the whole");
}

#[tokio::test]
async fn a_websocket_of_the_sites_own_passes_and_ends_with_the_server() {
    let echo = async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        })
    };
    let server = before(upstream(Router::new().route("/chat", any(echo))).await).await;

    let (mut socket, _) = connect_async(format!("ws://{}/chat", server.address)).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    let heard = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(heard, Message::text("hello"));

    server.stop().await;
    let end = timeout(PATIENCE, socket.next()).await.expect("the socket ends");
    assert!(!matches!(end, Some(Ok(Message::Text(_)))));
}

#[tokio::test]
async fn an_origin_that_is_away_silent_or_this_server_itself_is_said_to_be() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let away = before(address).await;
    assert_eq!(away.get("/a").await.status, 502);
    let manifest = away.get("/dcdn/manifest?url=/a").await;
    assert_eq!((manifest.status, manifest.error_code().as_str()), (502, "origin"));

    let silent = upstream(Router::new().fallback(std::future::pending::<()>)).await;
    let patience = Duration::from_millis(100);
    let late = Server::run(Config::before(OriginSettings { patience, ..settings(silent) })).await;
    assert_eq!(late.get("/a").await.status, 504);
    assert_eq!(late.get("/dcdn/manifest?url=/a").await.status, 502);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = settings(listener.local_addr().unwrap());
    let looped = Server::listen(listener, Config::before(own));
    assert_eq!(looped.get("/a").await.status, 508);
}

#[tokio::test]
async fn a_name_may_not_stand_for_a_private_address_unless_allowed() {
    let port = upstream(Router::new().fallback(echo)).await.port();
    // Not an address but a name, which the system's resolver takes for 127.0.0.1.
    let named = OriginSettings::new(format!("http://127.1:{port}").parse().unwrap());

    let strict = Server::run(Config::before(named.clone())).await;
    let allowed =
        Server::run(Config::before(OriginSettings { allow_private: true, ..named })).await;

    assert_eq!(strict.get("/a").await.status, 502);
    assert_eq!(allowed.get("/a").await.status, 202);
    let local = OriginSettings::new(format!("http://localhost:{port}").parse().unwrap());
    assert_eq!(Server::run(Config::before(local)).await.get("/a").await.status, 202);
}

#[tokio::test]
async fn the_servers_own_urls_never_reach_the_origin() {
    let server = before(upstream(Router::new().fallback(echo)).await).await;

    for path in ["/sw.js", "/dcdn/", "/dcdn/config.json", "/dcdn/none", "/healthz", "/metrics"] {
        let answer = server.get(path).await;
        assert_eq!(answer.header("x-site"), None, "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    let config = server.get("/dcdn/config.json").await.json();
    assert_eq!(config["offline_pages"], false, "pages may be another for each visitor");
}

/// What an origin has at one path, and the headers of the requests for it.
#[derive(Clone, Default)]
struct Resource {
    headers: Arc<Mutex<HeaderMap>>,
    body: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Resource {
    fn new(body: Vec<u8>, headers: &[(&'static str, &str)]) -> Self {
        let resource = Self::default();
        *resource.body.lock().unwrap() = body;
        resource.set(headers);
        resource
    }

    fn set(&self, headers: &[(&'static str, &str)]) {
        let headers = headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), value.parse::<HeaderValue>().unwrap())
        });
        *self.headers.lock().unwrap() = headers.collect();
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    async fn serve(self) -> SocketAddr {
        upstream(Router::new().fallback(async move |request: HeaderMap| self.answer(request))).await
    }

    fn answer(&self, request: HeaderMap) -> Response {
        let headers = self.headers.lock().unwrap().clone();
        let held =
            request.get(header::IF_NONE_MATCH).is_some_and(|it| headers.get("etag") == Some(it));
        self.asked.lock().unwrap().push(request);
        if held {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.body.lock().unwrap().clone()).into_response()
    }
}

const PATH: &str = "/dcdn/manifest?url=/a.mp4%3Fv%3D1";

#[tokio::test]
async fn a_manifest_says_what_the_origin_sends_to_anybody() {
    let bytes = noise(3_200_000);
    let film = Resource::new(bytes.clone(), &[("etag", "\"1\""), ("content-type", "video/mp4")]);
    let server = before(film.clone().serve().await).await;

    let answer = server.get_with(PATH, &[("cookie", "a=b"), ("authorization", "Basic eA==")]).await;

    let manifest = dcdn_protocol::Manifest::decode(&answer.body).unwrap();
    assert_eq!((manifest.url.as_str(), manifest.mime.as_str()), ("/a.mp4?v=1", "video/mp4"));
    assert_eq!(manifest.etag.as_deref(), Some("\"1\""));
    assert_eq!(manifest.layout.length(), bytes.len() as u64);
    let hashes: Vec<_> = bytes.chunks(262_144).map(dcdn_protocol::ChunkHash::of).collect();
    assert_eq!(manifest.hashes, hashes);
    let asked = film.asked.lock().unwrap()[0].clone();
    for name in [header::COOKIE, header::AUTHORIZATION, header::RANGE] {
        assert!(!asked.contains_key(&name), "{name}");
    }
    assert_eq!(asked[header::ACCEPT_ENCODING], "identity");
}

#[tokio::test]
async fn the_origin_is_asked_whether_it_has_changed_and_sends_only_what_has() {
    let film = Resource::new(vec![1; 300_000], &[("etag", "\"1\"")]);
    let server = before(film.clone().serve().await).await;
    let first = server.get(PATH).await;

    let second = server.get(PATH).await;
    assert_eq!(second.body, first.body);
    assert_eq!(film.asked(), 2);
    assert_eq!(film.asked.lock().unwrap()[1][header::IF_NONE_MATCH], "\"1\"");
    assert_eq!(server.metric("dcdn_manifests_hashed_total").await, 1);

    *film.body.lock().unwrap() = vec![2; 300_000];
    film.set(&[("etag", "\"2\""), ("cache-control", "max-age=3600")]);
    let third = server.get(PATH).await;
    assert_ne!(third.body, first.body);
    assert_eq!(server.metric("dcdn_manifests_hashed_total").await, 2);

    assert_eq!(server.get(PATH).await.body, third.body);
    assert_eq!(film.asked(), 3, "it has said how long it need not be asked");
}

#[tokio::test]
async fn what_is_known_of_the_origin_outlasts_the_server() {
    let film = Resource::new(vec![1; 300_000], &[("etag", "\"1\"")]);
    let origin = film.clone().serve().await;
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let mut config = Config::before(settings(origin));
        config.manifest_store = Some(folder.path().join("manifests.redb"));
        Server::run(config).await
    };
    let server = start().await;
    let first = server.get(PATH).await;
    server.stop().await;

    let server = start().await;
    let second = server.get(PATH).await;

    assert_eq!(second.body, first.body);
    assert_eq!(film.asked.lock().unwrap()[1][header::IF_NONE_MATCH], "\"1\"");
    assert_eq!(server.metric("dcdn_manifests_hashed_total").await, 0);
}

#[tokio::test]
async fn an_origin_is_asked_once_however_many_ask() {
    let film = Resource::new(noise(8 << 20), &[("etag", "\"1\""), ("cache-control", "max-age=60")]);
    let server = before(film.clone().serve().await).await;

    let answers = futures::future::join_all((0..40).map(|_| server.get(PATH))).await;

    assert!(answers.iter().all(|it| it.status == 200 && it.body == answers[0].body));
    assert_eq!(film.asked(), 1);
}

#[tokio::test]
async fn what_becomes_private_has_no_manifest_any_more() {
    let film = Resource::new(vec![1; 300_000], &[("etag", "\"1\"")]);
    let server = before(film.clone().serve().await).await;
    assert_eq!(server.get(PATH).await.status, 200);

    for (name, value) in [("cache-control", "private"), ("vary", "Cookie"), ("set-cookie", "a=b")] {
        film.set(&[("etag", "\"2\""), (name, value)]);
        let answer = server.get(PATH).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (403, "personal"), "{name}");
    }
    film.set(&[("etag", "\"2\"")]);
    assert_eq!(server.get(PATH).await.status, 200);
}

#[tokio::test]
async fn what_is_not_the_sites_to_share_is_refused_before_the_origin_is_asked() {
    let film = Resource::new(vec![1; 300_000], &[("etag", "\"1\"")]);
    let server = before(film.clone().serve().await).await;

    for (url, status, code) in [
        ("//host/a.jpg", 400, "bad_url"),
        ("http://host/a.jpg", 400, "bad_url"),
        ("/../a.jpg", 403, "outside_root"),
        ("/.env", 403, "not_public"),
        ("/sw.js", 403, "not_public"),
        ("/dcdn/ws", 403, "not_public"),
    ] {
        let answer = server.get(&format!("/dcdn/manifest?url={url}")).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (status, code), "{url}");
    }
    assert_eq!(film.asked(), 0);
}
