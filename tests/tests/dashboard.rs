//! The server's page for people.

use std::fs;

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::{Engine, Server, Site, Visitor};
use serde_json::json;

use crate::{PATIENT, SERVER};

/// Waits for an element to say something, with `is` as the condition on its `text`.
fn shown(id: &str, is: &str) -> String {
    format!(
        "const at = () => document.getElementById('{id}');
         await until(`{id}: {is}`, () => {{ const text = at()?.textContent ?? ''; return {is}; }});
         return at().textContent;"
    )
}

in_each_engine!(who_runs_the_server_sees_what_is_shared);
async fn who_runs_the_server_sees_what_is_shared(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), &[PATIENT, &["--policy", "basic"]].concat()).await?;
    let first = Visitor::arrive_with(engine).await?;
    let second = Visitor::arrive_with(engine).await?;
    for visitor in [&first, &second] {
        visitor.install(&server.url(EMPTY_PAGE)).await?;
        visitor.fetched(IMAGE).await?;
        visitor.holds(&site, &[IMAGE]).await?;
    }
    let (one, other) = (first.stats().await?.totals, second.stats().await?.totals);
    assert!(other.bytes_p2p > 0, "the second got something from the first");
    let operator = Visitor::arrive_with(engine).await?;

    operator.open(&server.url("/dcdn/")).await?;

    let _: String =
        operator.run(&shown("largest", "text.includes(args[0])"), &[json!(IMAGE)]).await?;
    let _: String = operator.run(&shown("top", "text.includes(args[0])"), &[json!(IMAGE)]).await?;
    let _: String = operator.run(&shown("peers", "text === '2'"), &[]).await?;
    let _: String = operator.run(&shown("bytes", "text.endsWith('MB')"), &[]).await?;
    // What the two have been served is what they say, at the latest when they leave.
    for visitor in [&first, &second] {
        visitor.open(&server.url("/healthz")).await?;
    }
    let _: String = operator.run(&shown("peers", "text === '0'"), &[]).await?;
    let reported = "
        const said = async () => (await (await fetch('/dcdn/status.json')).json()).reported;
        await until('all of it to be reported', async () => (await said()).bytes_p2p === args[0]);
        return (await said()).bytes_http;";
    let from_origin: u64 = operator.run(reported, &[json!(other.bytes_p2p)]).await?;
    assert_eq!(from_origin, one.bytes_http + other.bytes_http);
    let _: String = operator.run(&shown("from-shared", "/[1-9]/.test(text)"), &[]).await?;
    let _: String = operator.run(&shown("share", "/[1-9]/.test(text)"), &[]).await?;
    operator.expect_clean_console().await?;
    operator.close().await?;
    second.close().await?;
    first.close().await
}

in_each_engine!(with_a_token_figures_are_for_who_has_it);
async fn with_a_token_figures_are_for_who_has_it(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), "0123456789abcdef\n")?;
    let path = file.path().display().to_string();
    let options = [SERVER, &["--dashboard-token-file", &path]].concat();
    let server = Server::start(site.root(), &options).await?;
    let operator = Visitor::arrive_with(engine).await?;
    operator.open(&server.url("/dcdn/")).await?;
    let enter = "
        await until('the question', () => !document.getElementById('locked').hidden);
        document.getElementById('token').value = args[0];
        document.getElementById('locked').requestSubmit();
        await until('an answer', () => document.getElementById('state').textContent.includes(args[1]));
        return document.getElementById('figures').hidden;";

    let hidden: bool =
        operator.run(enter, &[json!("wrong"), json!("that is not the token")]).await?;
    assert!(hidden);
    let hidden: bool = operator.run(enter, &[json!("0123456789abcdef"), json!("up ")]).await?;
    assert!(!hidden);
    operator.close().await
}
