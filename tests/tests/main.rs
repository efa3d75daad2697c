//! What a site's visitors see, a behaviour in each file. `cargo xtask test` runs them;
//! by hand: `cargo xtask build`, then `cargo test -p dcdn-tests`.

#![allow(clippy::unwrap_used)]

/// Tells a story once for each engine: as `STORY::chromium` and `STORY::firefox`.
macro_rules! in_each_engine {
    ($story:ident) => {
        mod $story {
            use anyhow::Result;
            use dcdn_tests::Engine;

            #[tokio::test]
            async fn chromium() -> Result<()> {
                super::$story(Engine::Chromium).await
            }

            #[tokio::test]
            async fn firefox() -> Result<()> {
                super::$story(Engine::Firefox).await
            }
        }
    };
}

mod accessible;
mod begun;
mod book;
mod bundled;
mod cancelled;
mod changed;
mod costs;
mod curl;
mod dashboard;
mod demo;
mod first_visitor;
mod flash_crowd;
mod full_store;
mod harness;
mod kept;
mod kept_pages;
mod large_file;
mod lifetime;
mod lost_peer;
mod lying_peer;
mod missing;
mod never_ours;
mod no_coordination;
mod no_ranges;
mod offline;
mod origin_down;
mod overlay;
mod page_api;
mod plain_http;
mod players;
mod policies;
mod prefetched;
mod ranges;
mod returned;
mod second_visitor;
mod seeks;
mod slow_peer;
mod stopped_worker;
mod switched_off;
mod tabs;
mod tokens;
mod two_nodes;
mod updates;
mod ways;

/// Options of every server here: browsers on this machine need no help to find each other.
const SERVER: &[&str] = &["--stun", "none"];

/// The same for a story in which most comes from peers, whatever else the machine has to do.
/// Players wait a quarter of the slack for their start, and with the default of 3 s that is
/// less than two Firefoxes need to connect where all browsers share a core or two.
const PATIENT: &[&str] = &["--stun", "none", "--slack-ms", "12000"];
