//! A site whose pages need a join token.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::{Engine, Server, Site, Visitor};
use serde_json::{Value, json};

use crate::PATIENT;

const OTHER: &str = "/media/other.jpg";

in_each_engine!(a_page_has_peers_with_a_token_and_plain_http_without);

async fn a_page_has_peers_with_a_token_and_plain_http_without(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.image(OTHER)?;
    let directory = tempfile::tempdir()?;
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef")?;
    let secret = secret.to_str().unwrap_or_default();
    let server =
        Server::start(site.root(), &[PATIENT, &["--join-secret-file", secret]].concat()).await?;
    let token = Server::prints(&["token", "--join-secret-file", secret]).await?;
    // Signed with the same secret, and good until the end of 2001.
    let expired = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjEwMDk4NDMyMDB9.SITjpMhbpmRb1VLJTvWvdJRbC-BCpTABWgD8wFX24J4";
    let page = |token: &str| {
        format!(r#"<script type="module" src="/dcdn/dcdn.js" data-token="{token}"></script>"#)
    };
    site.page("/good.html", &page(&token))?;
    site.page("/expired.html", &page(expired))?;
    let (seed, visitor) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    seed.install(&server.url("/good.html")).await?;
    seed.fetched(IMAGE).await?;
    seed.fetched(OTHER).await?;
    seed.holds(&site, &[IMAGE, OTHER]).await?;

    // Without a token, and with one that was good once, everything comes over plain HTTP.
    for (path, why) in [(EMPTY_PAGE, "asks for a join token"), ("/expired.html", "has expired")] {
        visitor.install(&server.url(path)).await?;
        let image = visitor.fetched(IMAGE).await?;
        assert_eq!(image.sha256, site.sha256(IMAGE)?);
        let told = "await until('a refusal', async () => (await dcdn.diagnose()).refused);
                    return dcdn.diagnose();";
        let alone: Value = visitor.run(told, &[]).await?;
        assert_eq!((&alone["coordination"], &alone["peers"]), (&json!("closed"), &json!([])));
        let sentence = alone["sentences"][0].to_string();
        assert!(sentence.contains("refused") && sentence.contains(why), "{sentence}");
        assert_eq!(visitor.stats().await?.totals.bytes_p2p, 0);
    }

    // A new one counts at once where there is no socket.
    let renewed = format!("dcdn.configure({{ token: '{token}' }})");
    let told: Value = visitor.eval(&renewed, &[]).await?;
    assert_eq!(told, json!({ "ok": true }));
    let open =
        "await until('a socket', async () => (await dcdn.diagnose()).coordination === 'open')";
    visitor.run::<()>(open, &[]).await?;
    visitor.fetched(OTHER).await?;
    visitor.expect_from_peers(&site, OTHER).await?;
    visitor.expect_clean_console().await?;
    seed.close().await?;
    visitor.close().await
}
