//! What the site does not have.

use anyhow::Result;
use dcdn_tests::site::EMPTY_PAGE;
use dcdn_tests::{Engine, Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

in_each_engine!(a_missing_image_is_as_missing_as_over_plain_http);
async fn a_missing_image_is_as_missing_as_over_plain_http(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    let status = "
        const image = insert('img', { src: args[0] });
        await new Promise((resolve) => { image.onerror = resolve; });
        return (await fetch(args[0])).status;";

    for path in ["/media/none.jpg", "/media/another.jpg"] {
        assert_eq!(visitor.run::<u16>(status, &[json!(path)]).await?, 404);
    }

    // Both requests are on the console, as without DCDN, and nothing else is.
    let console = visitor.console().await?;
    let errors: Vec<_> = console.iter().filter(|it| it.is_error()).collect();
    assert_eq!(errors.iter().filter(|it| it.text.contains("404")).count(), 4, "{errors:#?}");
    assert_eq!(errors.len(), 4, "{errors:#?}");
    visitor.close().await
}
