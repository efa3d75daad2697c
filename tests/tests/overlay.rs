//! The overlay for whoever builds a page: there when it is wanted, and not even loaded when not.

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, IMAGE};
use dcdn_tests::{Engine, Server, Site, Visitor};
use serde_json::json;

use crate::PATIENT;

/// Text of the overlay, once it has `args[0]` in it.
const TEXT: &str = "
    const text = () => document.querySelector('dcdn-overlay')?.shadowRoot.textContent ?? '';
    await until(args[0], () => text().includes(args[0]));
    return text();";

/// Whether the overlay's script was asked for.
const LOADED: &str =
    "performance.getEntriesByType('resource').some(({ name }) => name.includes('overlay'))";

in_each_engine!(the_overlay_shows_where_each_part_of_the_media_came_from);

async fn the_overlay_shows_where_each_part_of_the_media_came_from(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), PATIENT).await?;
    let (seed, visitor) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    seed.install(&server.url(EMPTY_PAGE)).await?;
    seed.fetched(IMAGE).await?;
    seed.holds(&site, &[IMAGE]).await?;
    assert!(!seed.eval::<bool>(LOADED, &[]).await?);

    visitor.install(&server.url(&format!("{EMPTY_PAGE}?dcdn=debug"))).await?;
    visitor.fetched(IMAGE).await?;
    visitor.expect_from_peers(&site, IMAGE).await?;

    let text: String = visitor.run(TEXT, &[json!(IMAGE)]).await?;
    assert!(text.contains("from other visitors"), "{text}");
    let shown = "
        const root = document.querySelector('dcdn-overlay').shadowRoot;
        await until('a part from peers', () => root.querySelector('li svg .p2p'));
        const [button, map] = [root.querySelector('button'), root.querySelector('li svg')];
        button.focus();
        const escape = new KeyboardEvent('keydown', { key: 'Escape', bubbles: true });
        button.dispatchEvent(escape);
        return [map.getAttribute('aria-label'), button.getAttribute('aria-expanded')];";
    let (label, expanded): (String, String) = visitor.run(shown, &[]).await?;
    assert!(label.contains("% from other visitors"), "{label}");
    assert_eq!(expanded, "false");
    visitor.expect_clean_console().await?;
    seed.close().await?;
    visitor.close().await
}
