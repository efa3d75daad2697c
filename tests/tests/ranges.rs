//! Every form of `Range`, answered by the worker as the server itself answers it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use dcdn_tests::site::EMPTY_PAGE;
use dcdn_tests::{Engine, Server, Site, Visitor};
use serde::Deserialize;
use serde_json::json;

use crate::SERVER;

/// Bytes of each file: two chunks and a part of one.
const LENGTH: usize = 600_000;

/// Forms of `Range`, and the status that each has.
const FORMS: [(&str, u16); 11] = [
    ("", 200),
    ("bytes=0-1", 206),
    ("bytes=100000-400000", 206),
    ("bytes=300000-", 206),
    ("bytes=0-", 206),
    ("bytes=-500", 206),
    ("bytes=-9999999", 206),
    ("bytes=599990-700000", 206),
    ("bytes=600000-", 416),
    ("bytes=5-1", 200),
    ("lines=1-2", 200),
];

/// Validators of a range, as script, and the status that each has.
const CONDITIONS: [(&str, u16); 4] =
    [("etag", 206), ("modified", 206), ("'\"another\"'", 200), ("`W/${etag}`", 200)];

/// What a page sees of an answer.
#[derive(Debug, Deserialize, PartialEq)]
struct Seen {
    status: u16,
    headers: BTreeMap<String, Option<String>>,
    /// Of the body, unless it is an error's.
    sha256: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Answers {
    /// The worker's, who has not heard of the file before. (Asked for the end of a file of unknown
    /// length it passes on what the server says.)
    cold: Seen,
    /// The worker's, once it has all of it.
    warm: Seen,
    /// The server's.
    plain: Seen,
    /// Bytes that the worker counts.
    counted: u64,
}

in_each_engine!(a_range_is_answered_as_the_server_answers_it);
async fn a_range_is_answered_as_the_server_answers_it(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let cases = FORMS
        .map(|(range, status)| (range, "null", status))
        .into_iter()
        .chain(CONDITIONS.map(|(validator, status)| ("bytes=100000-400000", validator, status)));
    let cases: Vec<_> = cases.enumerate().collect();
    for (number, _) in &cases {
        site.random(&file(*number), LENGTH)?;
    }
    let options = [SERVER, &["--cache-control", "no-cache"]].concat();
    let server = Server::start(site.root(), &options).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    for (number, (range, validator, status)) in cases {
        let name = format!("Range: {range}, If-Range: {validator}");
        let got = answers(&visitor, &file(number), range, validator).await.context(name.clone())?;
        assert_eq!(got.plain.status, status, "{name}: by the server");
        assert_eq!(got.cold, got.plain, "{name}: by a worker that does not know the file");
        assert_eq!(got.warm, got.plain, "{name}: by one that does");
        assert!(got.counted > 0, "{name}: not by the worker");
    }
    // The console is not looked at: browsers write each 416 there, whoever it is from.
    visitor.close().await
}

async fn answers(visitor: &Visitor, file: &str, range: &str, validator: &str) -> Result<Answers> {
    let script = format!(
        "const [file, range] = args;
         const head = await fetch(file, {{ method: 'HEAD', cache: 'no-store' }});
         const [etag, modified] = ['ETag', 'Last-Modified'].map((it) => head.headers.get(it));
         const validator = {validator};
         const headers = {{
           ...(range && {{ Range: range }}), ...(validator && {{ 'If-Range': validator }}) }};
         const shown = ['Content-Range', 'Content-Type', 'Content-Length', 'Accept-Ranges', 'ETag',
           'Last-Modified', 'Cache-Control'];
         const seen = async (options) => {{
           const response = await fetch(file, {{ ...options, headers }});
           const body = await response.arrayBuffer();
           return {{
             status: response.status,
             headers: Object.fromEntries(shown
               .filter((name) => response.ok || name === 'Content-Range')
               .map((name) => [name, response.headers.get(name)])),
             sha256: response.ok ? await sha256(body) : null,
           }};
         }};
         const cold = await seen();
         await (await fetch(file)).arrayBuffer();
         const [warm, plain] = [await seen(), await seen({{ cache: 'no-store' }})];
         const own = (await dcdn.stats()).urls.find(({{ url }}) => url === file);
         return {{ cold, warm, plain, counted: own ? own.bytes_http + own.bytes_cache : 0 }};"
    );
    visitor.run(&script, &[json!(file), json!(range)]).await
}

fn file(number: usize) -> String {
    format!("/media/{number}.mp4")
}
