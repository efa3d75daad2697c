//! The harness itself: what the other tests rely on to notice that something is wrong.

use anyhow::Result;
use dcdn_tests::{Engine, Entry, Kind, Origin, PATIENCE, Server, Site, Visitor};
use tokio::time::timeout;

use crate::SERVER;

const WORKER: &str = "
    self.addEventListener('install', () => console.info('installing'));
    self.addEventListener('message', () => {
        console.error('said by the worker');
        Promise.reject(new Error('rejected in the worker'));
        throw new Error('thrown in the worker');
    });";

const PAGE: &str = "<script>
    console.error('said by the page', 7);
    fetch('/missing');
    Promise.reject(new Error('rejected in the page'));
    setTimeout(() => { throw new Error('thrown in the page') });
</script>";

in_each_engine!(the_consoles_of_page_and_worker_are_told_apart);
async fn the_consoles_of_page_and_worker_are_told_apart(engine: Engine) -> Result<()> {
    let site = Site::new()?;
    site.page("/loud.html", PAGE)?;
    std::fs::write(site.root().join("loud.js"), WORKER)?;
    let server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.open(&server.url("/loud.html")).await?;

    let provoke = "
        await navigator.serviceWorker.register('/loud.js');
        const { active } = await navigator.serviceWorker.ready;
        active.postMessage('now');";
    visitor.run::<()>(provoke, &[]).await?;

    let thrown_in_worker = match engine {
        Engine::Chromium => "thrown in the worker",
        // That it is thrown is all that Firefox tells of what a worker's listener throws.
        Engine::Firefox => "an error without a text",
    };
    let expected = [
        (Origin::Page, Kind::Console, "said by the page 7"),
        (Origin::Page, Kind::Uncaught, "rejected in the page"),
        (Origin::Page, Kind::Uncaught, "thrown in the page"),
        (Origin::Page, Kind::Network, "404"),
        (Origin::Worker, Kind::Console, "installing"),
        (Origin::Worker, Kind::Console, "said by the worker"),
        (Origin::Worker, Kind::Uncaught, "rejected in the worker"),
        (Origin::Worker, Kind::Uncaught, thrown_in_worker),
    ];
    let all = |entries: &[Entry]| {
        expected.iter().all(|(origin, kind, text)| {
            let is =
                |it: &&Entry| (it.origin, it.kind) == (*origin, *kind) && it.text.contains(text);
            entries.iter().filter(is).count() == 1
        })
    };
    let heard = async {
        while !all(&visitor.console().await?) {}
        anyhow::Ok(())
    };
    let in_time = timeout(PATIENCE, heard).await;
    assert!(in_time.is_ok(), "heard only {:#?}", visitor.console().await?);
    assert!(visitor.expect_clean_console().await.is_err());
    Ok(())
}

in_each_engine!(a_visitor_who_is_killed_leaves_no_process_behind);
async fn a_visitor_who_is_killed_leaves_no_process_behind(engine: Engine) -> Result<()> {
    let mut visitor = Visitor::arrive_with(engine).await?;
    let profile = visitor.profile().to_owned();
    assert!(!processes_with(&profile)?.is_empty());

    visitor.kill();

    let gone = async {
        while !processes_with(&profile)?.is_empty() {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, gone).await?
}

/// The processes that have a path on their command line. Linux only, as is /proc.
fn processes_with(path: &std::path::Path) -> Result<Vec<std::path::PathBuf>> {
    let needle = path.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let line = entry?.path().join("cmdline");
        // Processes come and go, and most of /proc is no process.
        if std::fs::read(&line).is_ok_and(|it| String::from_utf8_lossy(&it).contains(&needle)) {
            found.push(line);
        }
    }
    Ok(found)
}
