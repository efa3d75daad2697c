//! The file, the environment and flags; `config check`.

use std::process::{Command, Output};

use dcdn_protocol::SiteConfig;

use crate::program::{Running, command, program};
use crate::support::SiteDirectory;

async fn config_of(command: &mut Command) -> SiteConfig {
    let running = Running::start(command);
    let body = reqwest::get(format!("{}dcdn/config.json", running.url)).await.unwrap();
    serde_json::from_slice(&body.bytes().await.unwrap()).unwrap()
}

fn file(site: &SiteDirectory, text: &str) -> std::path::PathBuf {
    let path = site.outside().join("dcdn.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn check(path: &std::path::Path) -> (bool, String) {
    let Output { status, stdout, stderr } =
        program().args(["config", "check"]).arg(path).output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[tokio::test]
async fn flags_count_before_variables_and_variables_before_the_file() {
    let site = SiteDirectory::new();
    let root = site.root();
    let path = file(
        &site,
        &format!(
            "root = '{}'\nslack_ms = 1\nmax_peers = 1\nmin_bytes = 1\ndisabled = true\n\
             persist_store = true\nstun = ['stun:file:1', 'stun:file:2']\n",
            root.display()
        ),
    );
    let start = || {
        let mut start = program();
        start.arg("--config").arg(&path);
        start
    };

    let from_file = config_of(&mut start()).await;
    let mixed = config_of(
        start()
            .env("DCDN_MAX_PEERS", "2")
            .env("DCDN_MIN_BYTES", "2")
            .env("DCDN_STUN", "stun:variable:1,stun:variable:2")
            .env("DCDN_PERSIST_STORE", "0")
            .args(["--min-bytes", "3", "--disabled=false"]),
    )
    .await;

    let numbers = |it: &SiteConfig| (it.slack_ms, it.max_peers, it.min_bytes);
    assert_eq!(numbers(&from_file), (1, 1, 1));
    assert_eq!((from_file.enabled, from_file.persist_store), (false, true));
    assert_eq!(from_file.stun, ["stun:file:1", "stun:file:2"]);
    assert_eq!(numbers(&mixed), (1, 2, 3));
    assert_eq!((mixed.enabled, mixed.persist_store), (true, false));
    assert_eq!(mixed.stun, ["stun:variable:1", "stun:variable:2"]);
}

#[tokio::test]
async fn the_file_in_the_working_directory_is_read_and_a_flag_replaces_the_site_it_names() {
    let site = SiteDirectory::new();
    site.write("index.html", b"home");
    file(&site, "origin = 'http://127.0.0.1:1'\norigin_host = 'a.example'\nslack_ms = 7\n");

    let running = Running::start(command(&site).current_dir(site.outside()));

    assert_eq!(reqwest::get(&running.url).await.unwrap().text().await.unwrap(), "home");
    let body = reqwest::get(format!("{}dcdn/config.json", running.url)).await.unwrap();
    assert!(body.text().await.unwrap().contains("\"slack_ms\":7"));
}

#[test]
fn a_file_is_checked_line_by_line() {
    let site = SiteDirectory::new();
    let root = site.root().display().to_string();
    let (good, said) = check(&file(&site, &format!("root = '{root}'\nslack_ms = 5\n")));
    assert!(good && said.contains("2 settings, no mistakes"), "{said}");
    // Nothing of the site: that may be a flag's.
    assert!(check(&file(&site, "slack_ms = 5\n")).0);

    let path = file(
        &site,
        "slak_ms = 5\nmax_peers = 'many'\npolicy = 'fast'\nstun = ['stun:a:1', 'b']\nlisten = {}\n",
    );
    let (good, said) = check(&path);
    assert!(!good);
    let name = path.display();
    // What is no setting at all is told before values are looked at.
    assert!(said.contains(&format!("{name}:1: there is no setting \"slak_ms\"")), "{said}");
    assert!(said.contains("did you mean \"slack_ms\"?"), "{said}");
    assert!(said.contains(&format!("{name}:5: listen: ")), "{said}");

    let path = file(
        &site,
        "slack_ms = 5\nmax_peers = 'many'\npolicy = 'fast'\nstun = ['stun:a:1', 'b']\n\
         disabled = 'perhaps'\n",
    );
    let (good, said) = check(&path);
    assert!(!good);
    for (line, words) in [(2, "max_peers"), (3, "adaptive"), (4, "stun:HOST:PORT"), (5, "disabled")]
    {
        let found = said.lines().find(|it| it.contains(&format!("{name}:{line}: ")));
        assert!(found.is_some_and(|it| it.contains(words)), "{line} {words}: {said}");
    }

    let (good, said) = check(&site.outside().join("none.toml"));
    assert!(!good && said.contains("none.toml"), "{said}");
}

/// Checks a file in which each of these lines has a mistake, of which something is said.
fn has_mistakes(site: &SiteDirectory, text: &str, mistakes: &[(usize, &str)]) {
    let path = file(site, text);
    let (good, said) = check(&path);
    assert!(!good, "no mistakes in {text}");
    for (line, words) in mistakes {
        let place = format!("{}:{line}: ", path.display());
        let found = said.lines().find(|it| it.contains(&place));
        assert!(found.is_some_and(|it| it.contains(words)), "{line} {words}: {said}");
    }
    let told = said.lines().count();
    assert_eq!(told, mistakes.len(), "{said}");
}

#[test]
fn a_value_that_cannot_be_is_told_with_or_without_a_site() {
    let site = SiteDirectory::new();
    let root = format!("root = '{}'\n", site.root().display());
    for first in ["slack_ms = 5\n", &root] {
        let has =
            |line: &str, words| has_mistakes(&site, &format!("{first}{line}\n"), &[(2, words)]);
        has("listen = '8080'", "HOST:PORT");
        has("listen = 'localhost:http'", "HOST:PORT");
        has("listen = ':8080'", "HOST:PORT");
        has("listen = ['127.0.0.1:1', '127.0.0.1:2']", "one value");
        has("allow_origin = ['https://a.example', 'b.example']", "https://example.com");
        has("redis = 'nowhere'", "redis");
        has("join_secret_file = '/no/such/secret'", "/no/such/secret");
        has("dashboard_token_file = '/no/such/token'", "/no/such/token");
        let short = site.outside().join("short");
        std::fs::write(&short, "short").unwrap();
        has(&format!("join_secret_file = '{}'", short.display()), "32");
        has(&format!("dashboard_token_file = '{}'", short.display()), "16");
    }
    let good = format!("{root}listen = '[::1]:0'\nallow_origin = ['*', 'https://a.example']\n");
    assert!(check(&file(&site, &good)).0);
}

#[test]
fn settings_that_do_not_go_together_are_told_with_their_lines() {
    let site = SiteDirectory::new();
    let root = format!("root = '{}'\n", site.root().display());
    has_mistakes(
        &site,
        &format!("slack_ms = 5\n{root}origin = 'http://a.example'\n"),
        &[(2, "--origin"), (3, "--root")],
    );
    has_mistakes(&site, "slack_ms = 5\nroot = '/no/such/site'\n", &[(2, "/no/such/site")]);
    has_mistakes(&site, "slack_ms = 5\norigin_host = 'a.example'\n", &[(2, "--origin")]);
    has_mistakes(
        &site,
        &format!("{root}slack_ms = 5\norigin_host = 'a.example'\n"),
        &[(1, "--origin-host"), (3, "--root")],
    );
    has_mistakes(&site, "slack_ms = 5\ntls_cert = 'a.pem'\n", &[(2, "--tls-key")]);
    has_mistakes(&site, &format!("{root}tls_key = 'a.pem'\n"), &[(2, "--tls-cert")]);
    // Several at once.
    has_mistakes(
        &site,
        "tls_cert = 'a.pem'\nroot = '/no/such/site'\njoin_secret_file = '/no/such/secret'\n",
        &[(1, "--tls-key"), (2, "/no/such/site"), (3, "/no/such/secret")],
    );
}

#[test]
fn certificates_are_looked_at_when_a_file_is_checked() {
    let site = SiteDirectory::new();
    let (cert, key) = (site.outside().join("cert.pem"), site.outside().join("key.pem"));
    let text =
        format!("slack_ms = 5\ntls_cert = '{}'\ntls_key = '{}'\n", cert.display(), key.display());
    has_mistakes(&site, &text, &[(2, "cert.pem"), (3, "cert.pem")]);

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    has_mistakes(&site, &text, &[(2, "key.pem"), (3, "key.pem")]);
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    assert!(check(&file(&site, &text)).0);

    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
    has_mistakes(&site, &text, &[(2, "do not fit"), (3, "do not fit")]);
}

#[test]
fn a_variable_that_is_no_setting_is_doubted() {
    let site = SiteDirectory::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();

    // It says what it doubts, and ends since there is nowhere to listen.
    let output = command(&site)
        .args(["--listen", &address])
        .env("DCDN_SLAK_MS", "5")
        .env("DCDN_ELSEWHERE", "1")
        .output()
        .unwrap();

    let said = String::from_utf8(output.stderr).unwrap();
    let doubt = said.lines().find(|line| line.contains("DCDN_SLAK_MS")).unwrap_or(&said);
    assert!(doubt.contains("WARN") && doubt.contains("did you mean \"slack_ms\"?"), "{said}");
    assert!(said.contains("DCDN_ELSEWHERE"), "{said}");
    assert!(said.contains("cannot listen"), "{said}");
}

#[test]
fn the_sample_has_no_mistake() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/samples/dcdn.toml");

    let (good, said) = check(sample.as_ref());

    assert!(good, "{said}");
}

#[test]
fn a_server_with_a_mistake_in_its_settings_says_so_and_does_not_start() {
    let site = SiteDirectory::new();
    let path = file(&site, "slack_ms = 'soon'\n");
    let fails = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };

    let of_file = fails(command(&site).arg("--config").arg(&path));
    let of_variable = fails(command(&site).env("DCDN_SLACK_MS", "soon"));
    let no_file = fails(command(&site).args(["--config", "/no/such/file.toml"]));

    assert!(of_file.contains(&format!("{}:1: slack_ms", path.display())), "{of_file}");
    assert!(of_variable.contains("DCDN_SLACK_MS: slack_ms"), "{of_variable}");
    assert!(no_file.contains("/no/such/file.toml") && no_file.contains("--config"), "{no_file}");
}
