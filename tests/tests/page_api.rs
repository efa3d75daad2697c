//! What a page's script can say: consent, settings, and the question why there are no peers.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PLAIN_PAGE};
use dcdn_tests::visitor::Arrival;
use dcdn_tests::{Engine, Proxy, Server, Site, Visitor};
use serde_json::{Value, json};

use crate::{PATIENT, SERVER};

/// Everything that pages with the tag need, and nothing else: what `docs/pages.md` says.
const STRICT: &str = "Content-Security-Policy: default-src 'none'; \
     script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'; \
     img-src 'self' data:; media-src 'self'";

in_each_engine!(
    a_page_whose_site_asks_for_consent_has_no_peers_before_it_and_none_after_it_is_taken_back
);

async fn a_page_whose_site_asks_for_consent_has_no_peers_before_it_and_none_after_it_is_taken_back(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), &[PATIENT, &["--require-consent"]].concat()).await?;
    let (seed, visitor) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    seed.install(&server.url(EMPTY_PAGE)).await?;
    seed.fetched(IMAGE).await?;
    seed.holds(&site, &[IMAGE]).await?;

    let ready = visitor.install(&server.url(EMPTY_PAGE)).await?;
    assert_eq!(ready.mode, "cache");
    let alone: Value = visitor.eval("dcdn.diagnose()", &[]).await?;
    assert_eq!((&alone["consent"], &alone["coordination"]), (&json!(false), &json!("connecting")));
    assert!(alone["sentences"][0].to_string().contains("consent"), "{alone}");
    assert_eq!(server.metric("dcdn_sockets").await?, 0);

    for page in [&seed, &visitor] {
        let told: Value = page.eval("dcdn.consent(true)", &[]).await?;
        assert_eq!(told, json!({ "ok": true }));
    }
    visitor.fetched(IMAGE).await?;
    visitor.expect_from_peers(&site, IMAGE).await?;

    // Remembered, and taken back.
    visitor.open(&server.url(EMPTY_PAGE)).await?;
    assert_eq!(visitor.ready().await?.mode, "p2p");
    let told: Value = visitor.eval("dcdn.consent(false)", &[]).await?;
    assert_eq!(told, json!({ "ok": true }));
    let alone: Value = visitor.eval("dcdn.diagnose()", &[]).await?;
    assert_eq!((&alone["mode"], &alone["peers"]), (&json!("cache"), &json!([])));
    visitor.expect_clean_console().await?;
    seed.close().await?;
    visitor.close().await
}

#[tokio::test]
async fn a_page_changes_its_settings_and_hears_of_those_that_make_no_sense() -> Result<()> {
    let site = Site::new()?;
    site.image("/media/other.jpg")?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive().await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    let told: Value = visitor.eval("dcdn.configure({ policy: 'basic', slack_ms: 5 })", &[]).await?;
    assert_eq!(told, json!({ "ok": true }));
    visitor.fetched(IMAGE).await?;
    let refused: Value =
        visitor.eval("dcdn.configure({ policy: 'fast', slack_ms: -1, colour: 1 })", &[]).await?;
    let why = refused["error"].as_str().unwrap();
    assert!(["fast", "slack_ms", "colour"].iter().all(|it| why.contains(it)), "{why}");
    let told: Value = visitor.eval("dcdn.configure({ policy: undefined })", &[]).await?;
    assert_eq!(told, json!({ "ok": true }));
    visitor.fetched("/media/other.jpg").await?;

    let policies: Vec<String> =
        visitor.stats().await?.urls.iter().map(|it| it.policy.as_str().to_owned()).collect();
    assert_eq!(policies, ["basic", "adaptive"]);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_page_with_a_strict_policy_is_served_and_has_peers);

async fn a_page_with_a_strict_policy_is_served_and_has_peers(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), PATIENT).await?;
    let strict = Proxy::dressed(server.address(), &[("/", STRICT)]).await?;
    let (seed, visitor) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    seed.install(&strict.url(EMPTY_PAGE)).await?;
    seed.fetched(IMAGE).await?;
    seed.holds(&site, &[IMAGE]).await?;

    assert_eq!(visitor.install(&strict.url(EMPTY_PAGE)).await?.mode, "p2p");
    visitor.fetched(IMAGE).await?;

    visitor.expect_from_peers(&site, IMAGE).await?;
    seed.expect_clean_console().await?;
    visitor.expect_clean_console().await?;
    seed.close().await?;
    visitor.close().await
}

#[tokio::test]
async fn a_page_hears_why_a_picture_did_not_come_through_dcdn() -> Result<()> {
    let site = Site::new()?;
    let tag =
        r#"<script type="module" src="/dcdn/dcdn.js"></script><img id="image" src="/small.png">"#;
    site.page("/small.html", tag)?;
    site.random("/small.png", 1000)?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive().await?;
    visitor.open(&server.url(PLAIN_PAGE)).await?;
    visitor.install(&server.url("/small.html")).await?;
    let asked = "await until('an answer', () => document.querySelector('#image').complete)";
    visitor.run::<()>(asked, &[]).await?;

    let found: Value = visitor.eval("dcdn.diagnose()", &[]).await?;

    let url = &found["urls"][0];
    assert_eq!((&url["url"], &url["shared"]), (&json!("/small.png"), &json!(false)), "{found}");
    let sentences = found["sentences"].to_string();
    assert!(sentences.contains("/small.png did not come through DCDN"), "{sentences}");
    visitor.expect_clean_console().await?;
    visitor.close().await
}

in_each_engine!(a_page_on_a_cellular_line_uploads_nothing_and_says_why);

async fn a_page_on_a_cellular_line_uploads_nothing_and_says_why(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let cellular = "
        const connection = { type: 'cellular', saveData: false };
        Object.defineProperty(Navigator.prototype, 'connection', { get: () => connection });";
    let arrival = Arrival::default().engine(engine).before(cellular);
    let (frugal, visitor) = tokio::try_join!(arrival.arrive(), Visitor::arrive_with(engine))?;
    frugal.install(&server.url(EMPTY_PAGE)).await?;
    frugal.fetched(IMAGE).await?;
    frugal.holds(&site, &[IMAGE]).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    let image = visitor.fetched(IMAGE).await?;

    assert_eq!(image.sha256, site.sha256(IMAGE)?);
    assert_eq!(visitor.stats().await?.totals.bytes_p2p, 0);
    let found: Value = frugal.eval("dcdn.diagnose()", &[]).await?;
    assert_eq!(found["not_uploading"], json!("cellular"), "{found}");
    assert_eq!(frugal.stats().await?.totals.bytes_uploaded, 0);
    visitor.expect_clean_console().await?;
    frugal.close().await?;
    visitor.close().await
}
