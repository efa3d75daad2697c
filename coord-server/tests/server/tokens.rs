//! Sites that ask for join tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use coord_server::tokens::{LONGEST, Secret, Tokens};
use dcdn_protocol::message::coord::{ErrorCode, FromCoord, ToCoord};
use dcdn_protocol::{GroupId, VERSION};

use crate::program::{Running, command, program};
use crate::support::{Closed, Page, Server, SiteDirectory};

const ORIGIN: &str = "https://shop.example";

fn secret(site: &SiteDirectory) -> PathBuf {
    let path = site.outside().join("secret");
    std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
    path
}

fn tokens(secret: &Path) -> Tokens {
    Tokens::new(&Secret::read(secret).unwrap(), LONGEST)
}

/// What a page of `ORIGIN` hears that shows this token.
async fn answer(address: SocketAddr, token: Option<String>) -> (Page, FromCoord) {
    let mut page = Page::open(address, Some(ORIGIN)).await.unwrap();
    page.say(&ToCoord::Hello { version: VERSION, group: GroupId([1; 16]), token }).await;
    let heard = page.hear().await;
    (page, heard)
}

async fn is_let_in(address: SocketAddr, token: Option<String>) {
    let (_, heard) = answer(address, token).await;
    assert!(matches!(heard, FromCoord::Welcome { .. }), "{heard:?}");
}

async fn is_refused(address: SocketAddr, token: Option<String>, why: &str) {
    let (mut page, heard) = answer(address, token).await;
    let FromCoord::Error { code: ErrorCode::Token, message, .. } = heard else {
        panic!("{heard:?}");
    };
    assert!(message.contains(why), "{message}");
    let end = page.hear_or_end().await.unwrap_err();
    assert_eq!(end, Closed::With(1008, "token".to_owned()));
}

#[tokio::test]
async fn a_page_with_a_token_is_let_in_and_others_hear_why_they_are_not() {
    let site = SiteDirectory::new();
    let tokens = tokens(&secret(&site));
    let server = Server::start_with(&site, |config| {
        config.tokens = Some(tokens.clone());
        config.origins = coord_server::signalling::AllowedOrigins::new(["*"]).unwrap();
    })
    .await;
    let address = server.address;
    let issue = |audience: Option<&str>, ago: u64| {
        let issued = SystemTime::now() - Duration::from_secs(ago);
        tokens.issue(Duration::from_secs(60), audience.map(str::to_owned), issued).unwrap()
    };

    is_let_in(address, Some(issue(None, 0))).await;
    is_let_in(address, Some(issue(Some(ORIGIN), 0))).await;
    is_refused(address, None, "asks for a join token").await;
    is_refused(address, Some(issue(None, 600)), "expired").await;
    is_refused(address, Some(issue(Some("https://evil.example"), 0)), "another origin").await;
    is_refused(address, Some("nonsense".to_owned()), "not one of this site").await;

    let text = server.get("/metrics").await.text();
    assert!(text.contains("dcdn_refusals_total{code=\"token\"} 4"), "{text}");
    assert_eq!(server.get("/dcdn/ws?probe=1").await.status, 204, "whether it is there");
}

#[tokio::test]
async fn a_site_that_asks_for_none_takes_no_notice_of_tokens() {
    let site = SiteDirectory::new();
    let server = Server::start_with(&site, |config| {
        config.origins = coord_server::signalling::AllowedOrigins::new(["*"]).unwrap();
    })
    .await;

    is_let_in(server.address, None).await;
    is_let_in(server.address, Some("nonsense".to_owned())).await;
}

/// The samples are run where their languages are.
#[tokio::test]
async fn tokens_of_the_program_and_of_the_samples_are_good() {
    let site = SiteDirectory::new();
    let secret = secret(&site);
    let running = Running::start(
        command(&site).args(["--allow-origin", ORIGIN]).env("DCDN_JOIN_SECRET_FILE", &secret),
    );
    let issuing = |mut command: Command, args: &[&str]| {
        let output = command.arg(&secret).args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let own = || {
        let mut command = program();
        command.args(["token", "--join-secret-file"]);
        command
    };
    is_let_in(running.address(), Some(issuing(own(), &[]))).await;
    is_let_in(running.address(), Some(issuing(own(), &["--audience", ORIGIN]))).await;
    let day = issuing(own(), &["--seconds", "86400"]);
    is_refused(running.address(), Some(day), "longer than 3600 s").await;

    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/samples");
    let mut run = 0;
    for (language, sample) in [("python3", "token.py"), ("node", "token.mjs"), ("php", "token.php")]
    {
        if Command::new(language).arg("--version").output().is_err() {
            continue;
        }
        run += 1;
        let sampled = || {
            let mut command = Command::new(language);
            command.arg(samples.join(sample));
            command
        };
        is_let_in(running.address(), Some(issuing(sampled(), &[]))).await;
        is_let_in(running.address(), Some(issuing(sampled(), &[ORIGIN]))).await;
        let another = issuing(sampled(), &["https://evil.example"]);
        is_refused(running.address(), Some(another), "another origin").await;
    }
    println!("{run} samples run");
    assert!(run > 0, "none of their languages is here");
}

#[test]
fn a_server_without_a_good_secret_says_so_and_does_not_start() {
    let site = SiteDirectory::new();
    let short = site.outside().join("short");
    std::fs::write(&short, "guess me").unwrap();
    for (path, why) in
        [(short, "8 bytes, and needs 32"), (site.outside().join("none"), "cannot read")]
    {
        let output = command(&site).arg("--join-secret-file").arg(path).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{said}");
    }
}
