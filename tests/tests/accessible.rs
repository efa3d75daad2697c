//! Nothing that axe-core knows of keeps people out: of the demo, the overlay and the dashboard.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use dcdn_tests::{Engine, Server, Visitor};

use crate::SERVER;

const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/players/node_modules/axe-core/axe.min.js");

/// How many rules the page keeps, and what is wrong with it: each other rule, and an element that
/// breaks it.
const FOUND: &str = "
    const { passes, violations } = await axe.run();
    return [passes.length, violations.flatMap(({ id, nodes }) =>
        nodes.map(({ target, failureSummary }) => `${id}: ${target}: ${failureSummary}`))];";

#[tokio::test]
async fn demo_overlay_and_dashboard_keep_nobody_out() -> Result<()> {
    let demo = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../static/demo"));
    let server = Server::start(demo, SERVER).await?;
    let visitor = Visitor::arrive().await?;
    visitor.install(&server.url("/")).await?;

    for dark in [false, true] {
        visitor.prefer_dark(dark).await?;
        visitor.open(&server.url("/?dcdn=debug")).await?;
        visitor.ready().await?;
        let overlay = "
            const root = await until('the overlay', () =>
                document.querySelector('dcdn-overlay')?.shadowRoot);
            await until('a map', () => root.querySelector('li svg rect'));";
        visitor.run::<()>(overlay, &[]).await?;
        expect_nothing_in_the_way(&visitor, "the demo with its overlay").await?;

        visitor.open(&server.url("/")).await?;
        visitor.run::<()>("document.querySelector('a.frame').click()", &[]).await?;
        expect_nothing_in_the_way(&visitor, "the demo's pictures, one alone").await?;

        visitor.open(&server.url("/players.html")).await?;
        let player = "await until('a player', () => document.querySelector('#frame video'))";
        visitor.run::<()>(player, &[]).await?;
        expect_nothing_in_the_way(&visitor, "the demo's players").await?;

        visitor.open(&server.url("/dcdn/")).await?;
        let lines = "await until('a line', () =>
            document.querySelector('#peers-line path').getAttribute('d'))";
        visitor.run::<()>(lines, &[]).await?;
        expect_nothing_in_the_way(&visitor, "the dashboard").await?;
    }
    visitor.close().await
}

in_each_engine!(the_overlay_is_used_by_keyboard_alone);
async fn the_overlay_is_used_by_keyboard_alone(engine: Engine) -> Result<()> {
    let demo = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../static/demo"));
    let server = Server::start(demo, SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url("/?dcdn=debug")).await?;

    let used = "
        const root = await until('the overlay', () =>
            document.querySelector('dcdn-overlay')?.shadowRoot);
        const button = root.querySelector('button');
        button.focus();
        const [body, section] = [root.querySelector('.body'), root.querySelector('section')];
        const before = body.hidden;
        button.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
        const folded = body.hidden;
        button.click();
        return [before, folded, body.hidden, root.activeElement === button];";
    let states: [bool; 4] = visitor.run(used, &[]).await?;

    assert_eq!(states, [false, true, false, true]);
    visitor.expect_clean_console().await?;
    visitor.close().await
}

async fn expect_nothing_in_the_way(visitor: &Visitor, page: &str) -> Result<()> {
    let axe = fs::read_to_string(AXE).context("`cargo xtask test` fetches axe-core")?;
    let (kept, violations): (u32, Vec<String>) =
        visitor.run(&format!("{axe};{FOUND}"), &[]).await?;
    assert!(kept > 10, "{page}: only {kept} rules apply");
    assert!(violations.is_empty(), "{page}:\n{}", violations.join("\n"));
    Ok(())
}
