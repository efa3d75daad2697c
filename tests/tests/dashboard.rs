//! The server's page for people.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::{Engine, Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

in_each_engine!(who_runs_the_server_sees_what_is_shared);
async fn who_runs_the_server_sees_what_is_shared(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive().await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    visitor.fetched(IMAGE).await?;
    visitor.holds(&site, &[IMAGE]).await?;
    let operator = Visitor::arrive_with(engine).await?;

    operator.open(&server.url("/dcdn/")).await?;

    let shown = "
        const text = (id) => document.getElementById(id).textContent;
        await until('the file to be named', () => text('largest').includes(args[0]));
        await until('a line', () => document.querySelector('#peers-line path').getAttribute('d'));
        return [text('peers'), text('swarms'), text('bytes')];";
    let (peers, swarms, bytes): (String, String, String) =
        operator.run(shown, &[json!(IMAGE)]).await?;
    assert_eq!((peers.as_str(), swarms.as_str()), ("1", "1"));
    assert!(bytes.ends_with("MB"), "{bytes}");
    operator.expect_clean_console().await?;
    operator.close().await?;
    visitor.close().await
}
