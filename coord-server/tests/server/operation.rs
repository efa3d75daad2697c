//! What whoever runs the server is told: the log, `/metrics` and the samples that use it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use coord_server::Config;
use coord_server::dashboard::access::Token;
use dcdn_protocol::message::coord::{FromCoord, ToCoord};
use dcdn_protocol::stats::Totals;
use dcdn_protocol::{ChunkSet, ContentId};
use serde_json::Value;

use crate::program::{command, program};
use crate::support::{PATIENCE, Server, SiteDirectory};

const TOKEN: &str = "0123456789abcdef";

fn locked(config: &mut Config) {
    config.dashboard_token = Some(Token::new(TOKEN).unwrap());
}

#[tokio::test]
async fn what_pages_report_counts_as_far_as_it_can_be_true() {
    let server = Server::start(&SiteDirectory::new()).await;
    let mut honest = server.page(1).await;
    let mut liar = server.page(2).await;
    let bytes = Totals { bytes_http: 10, bytes_p2p: 20, bytes_cache: 30, bytes_uploaded: 40 };

    honest.say(&ToCoord::Report { bytes }).await;
    server.metric_becomes("dcdn_reported_uploaded_bytes_total", 40).await;
    assert_eq!(server.metric("dcdn_reported_bytes_total{source=\"origin\"}").await, 10);
    assert_eq!(server.metric("dcdn_reported_bytes_total{source=\"peers\"}").await, 20);
    assert_eq!(server.metric("dcdn_reported_bytes_total{source=\"store\"}").await, 30);
    let most = Totals { bytes_p2p: u64::MAX, bytes_http: u64::MAX, ..Totals::default() };
    for _ in 0..20 {
        liar.say(&ToCoord::Report { bytes: most }).await;
    }
    server.metric_becomes("dcdn_messages_total{type=\"report\"}", 21).await;

    let believed = server.metric("dcdn_reported_bytes_total{source=\"origin\"}").await;
    assert!(believed < 60 * 125_000_000, "{believed}: a minute of a fast line");
}

#[tokio::test]
async fn errors_and_answers_are_counted_by_kind() {
    let server = Server::start(&SiteDirectory::new()).await;

    server.get("/dcdn/manifest?url=/none.jpg").await;
    server.get("/dcdn/manifest?url=/none.jpg&soft=1").await;
    server.get("/dcdn/ws").await;
    let mut page = server.page(1).await;
    page.say(&ToCoord::Join { content: ContentId([7; 32]), want: 5, have: ChunkSet::new() }).await;
    assert!(matches!(page.hear().await, FromCoord::Peers { .. }));

    assert_eq!(server.metric("dcdn_errors_total{code=\"not_found\"}").await, 2);
    assert_eq!(server.metric("dcdn_errors_total{code=\"upgrade_required\"}").await, 1);
    assert_eq!(server.metric("dcdn_responses_total{status=\"4xx\"}").await, 2);
    assert_eq!(server.metric("dcdn_recommend_seconds_count").await, 1);
    drop(page);
    server.metric_becomes("dcdn_sockets_ended_total{how=\"gone\"}", 1).await;
}

#[tokio::test]
async fn every_answer_has_an_id_which_is_the_askers_own_if_it_is_one() {
    let server = Server::start(&SiteDirectory::new()).await;
    let id_of = async |sent: &[(&str, &str)]| {
        let answer = server.get_with("/healthz", sent).await;
        answer.header("x-request-id").unwrap().to_owned()
    };

    let (first, second) = (id_of(&[]).await, id_of(&[]).await);

    assert!(first != second && first.len() == 36, "{first} {second}");
    assert_eq!(id_of(&[("x-request-id", "proxy-7f3a")]).await, "proxy-7f3a");
    assert_eq!(id_of(&[("x-request-id", "\"a\" b")]).await.len(), 36);
    assert_eq!(id_of(&[("x-request-id", &"a".repeat(200))]).await.len(), 36);
}

#[tokio::test]
async fn a_log_in_json_has_an_object_a_line_with_the_id_of_the_request() {
    let site = SiteDirectory::new();
    let mut child = command(&site)
        .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
        .env("RUST_LOG", "coord_server=debug")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();

    let client = reqwest::Client::new();
    let request = client.get(format!("{}healthz?secret=1", url.trim()));
    request.header("x-request-id", "from-outside").send().await.unwrap();
    child.kill().unwrap();

    let lines: Vec<String> =
        BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap).collect();
    child.wait().unwrap();
    let entries = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let answered = entries.into_iter().find(|entry| entry["message"] == "answered");
    let answered = answered.unwrap_or_else(|| panic!("no answer in {lines:?}"));
    assert_eq!(answered["status"], 200);
    assert_eq!(answered["span"]["id"], "from-outside");
    assert_eq!(answered["span"]["path"], "/healthz");
    assert!(!lines.concat().contains("secret"), "no queries in the log");
}

#[tokio::test]
async fn what_goes_wrong_with_an_origin_is_said_with_the_id_of_the_request() {
    let site = SiteDirectory::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = program()
        .args(["--origin", &format!("http://{closed}"), "--manifest-store", "none"])
        .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
        .current_dir(site.outside())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();

    let client = reqwest::Client::new();
    let request = client.get(format!("{}dcdn/manifest?url=/film.mp4", url.trim()));
    let answer = request.header("x-request-id", "from-outside").send().await.unwrap();
    child.kill().unwrap();

    assert!(answer.status().is_server_error(), "{answer:?}");
    let lines: Vec<String> =
        BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap).collect();
    child.wait().unwrap();
    let entries = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let said = entries.into_iter().find(|entry| entry["message"] == "cannot make a manifest");
    let said = said.unwrap_or_else(|| panic!("nothing of the manifest in {lines:?}"));
    assert_eq!(said["span"]["id"], "from-outside", "{said}");
    assert_eq!(said["span"]["path"], "/dcdn/manifest");
}

#[tokio::test]
async fn who_balances_load_hears_that_a_server_stops_while_it_still_takes_connections() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| config.notice = PATIENCE * 10).await;
    assert_eq!(server.get("/readyz").await.status, 200);
    let mut page = server.page(1).await;

    server.ask_to_stop();

    // Each of these comes on a connection of its own.
    let told = async { while server.get("/readyz").await.status != 503 {} };
    tokio::time::timeout(PATIENCE, told).await.expect("it says so");
    assert_eq!(server.get("/healthz").await.status, 200);
    let swarm = ToCoord::Join { content: ContentId([7; 32]), want: 5, have: ChunkSet::new() };
    page.say(&swarm).await;
    assert!(matches!(page.hear().await, FromCoord::Peers { .. }), "nobody is sent away yet");
}

/// Where systemd is not, as in a container, nothing can be said of the unit.
#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let site = SiteDirectory::new();
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/samples/dcdn.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    let installed = "/usr/local/bin/coord-server";
    assert!(unit.contains(installed));
    // It looks whether the program is there.
    let unit = unit.replace(installed, env!("CARGO_BIN_EXE_coord-server"));
    let path = site.outside().join("dcdn.service");
    std::fs::write(&path, unit).unwrap();

    let Ok(output) = Command::new("systemd-analyze").arg("verify").arg(&path).output() else {
        println!("systemd-analyze is not here");
        return;
    };

    let said = String::from_utf8(output.stderr).unwrap();
    let about: Vec<&str> = said.lines().filter(|line| line.contains("dcdn.service")).collect();
    assert!(output.status.success() && about.is_empty(), "{said}");
}

#[tokio::test]
async fn figures_are_for_those_at_the_machine_or_with_the_token() {
    let site = SiteDirectory::new();
    let open = Server::start(&site).await;
    let locked = Server::start_with(&site, locked).await;
    let token = format!("Bearer {TOKEN}");

    let here = open.get("/dcdn/status.json").await;
    let passed_on = open.get_with("/dcdn/status.json", &[("x-forwarded-for", "203.0.113.7")]).await;
    let of_a_name = open.get_with("/dcdn/status.json", &[("host", "site.example")]).await;
    assert_eq!((here.status, here.header("access-control-allow-origin")), (200, None));
    assert_eq!((passed_on.status, passed_on.error_code().as_str()), (403, "elsewhere"));
    assert_eq!(of_a_name.status, 403);
    assert_eq!(open.get_with("/metrics", &[("host", "site.example")]).await.status, 200);

    for path in ["/dcdn/status.json", "/metrics"] {
        let without = locked.get(path).await;
        assert_eq!((without.status, without.error_code().as_str()), (401, "token"), "{path}");
        assert_eq!(without.header("www-authenticate"), Some("Bearer"), "{path}");
        let wrong = locked.get_with(path, &[("authorization", "Bearer 0000000000000000")]).await;
        assert_eq!(wrong.status, 401, "{path}");
        let proxied = [("authorization", token.as_str()), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(locked.get_with(path, &proxied).await.status, 200, "{path}");
    }
    assert_eq!(locked.get("/dcdn/").await.status, 200, "the page itself has no figures");
}

#[test]
fn a_token_that_could_be_guessed_is_refused() {
    let site = SiteDirectory::new();
    let file = site.outside().join("token");
    std::fs::write(&file, "secret\n").unwrap();

    let output = command(&site).arg("--dashboard-token-file").arg(&file).output().unwrap();

    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("--dashboard-token-file") && said.contains("16 characters"), "{said}");
}

/// Names of `text` that look like metrics of ours, without what a histogram appends.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c)).filter(|word| word.starts_with("dcdn_")).map(base).collect()
}

fn base(name: &str) -> String {
    let ends = ["_bucket", "_sum", "_count"];
    ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
}

#[tokio::test]
async fn the_samples_ask_for_metrics_that_there_are() {
    let server = Server::start(&SiteDirectory::new()).await;
    // One of each family whose labels are not known beforehand.
    server.get("/dcdn/manifest?url=/none.jpg").await;
    let text = server.get("/metrics").await.text();
    let given = names_in(
        &text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n"),
    );
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/samples");
    let read = |name: &str| std::fs::read_to_string(format!("{samples}/{name}")).unwrap();

    let grafana: Value = serde_json::from_str(&read("grafana.json")).unwrap();
    let panels = grafana["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(queries.len() >= panels.len(), "every panel asks for something");
    let asked = names_in(&queries.join("\n"));
    let unknown: Vec<_> = asked.difference(&given).collect();
    assert!(unknown.is_empty(), "{unknown:?} in grafana.json, but there are {given:?}");

    let alerts = names_in(&read("alerts.yml"));
    let unknown: Vec<_> = alerts.difference(&given).collect();
    assert!(!alerts.is_empty() && unknown.is_empty(), "{unknown:?} in alerts.yml");
}
