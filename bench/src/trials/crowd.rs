//! Visitors who arrive one after another, at a server whose line is thin.

use std::time::Duration;

use anyhow::Result;
use dcdn_tests::site::{EMPTY_PAGE, SCRIPT};
use dcdn_tests::{Proxy, Server, Site, Visitor};
use futures::future::try_join_all;
use tokio::time::sleep;

use super::Plan;
use super::log::Log;
use super::section::{Section, compared, plain};
use super::world::DISTANCE;

const VISITORS: u64 = 8;

/// Time between two arrivals.
const APART: Duration = Duration::from_secs(1);

/// Bytes of the file that they come for.
const LENGTH: usize = 10_000_000;

const FETCH: &str = "<script>
    const file = new URLSearchParams(location.search).get('file');
    window.finished = fetch(file).then((answer) => answer.arrayBuffer())
        .then(() => performance.now());
</script>";

/// Runs it.
pub async fn run(plan: &Plan, log: &Log) -> Result<Section> {
    let site = Site::new()?;
    site.page("/crowd.html", &format!("{SCRIPT}\n{FETCH}"))?;
    let columns = [
        compared("mean last byte, ms", 0),
        compared("slowest, ms", 0),
        plain("copies from the server", 2),
    ];
    let note = "A file of 10 MB; the server's line carries 20 Mbit/s in all. Their workers are \
                there already. Times from each one's navigationStart.";
    let title = "Eight who arrive a second apart";
    let mut section = Section::new("crowd", title, note, &columns)
        .compared_to("plain HTTP")
        .with_rows(&["plain HTTP", "adaptive"]);
    let server = Server::start(site.root(), &["--stun", "none"]).await?;
    let thin = Proxy::capped(server.address(), DISTANCE.bytes_per_second).await?;
    let crowd = try_join_all((0..VISITORS).map(|_| Visitor::arrive())).await?;
    let empty = thin.url(EMPTY_PAGE);
    try_join_all(crowd.iter().map(|it| it.install(&empty))).await?;
    let mut configurations = [("plain HTTP", "dcdn=off&"), ("adaptive", "")];
    for round in 0..plan.few() {
        for (name, extra) in configurations {
            eprintln!("eight visitors, {name}: round {} of {}", round + 1, plan.few());
            let file = format!("/media/{}-{round}.mp4", name.replace(' ', "-"));
            site.random(&file, LENGTH)?;
            let before = server.metric("dcdn_origin_bytes_total").await?;
            let url = thin.url(&format!("/crowd.html?{extra}file={file}"));
            let url = &url;
            let times: Vec<f64> =
                try_join_all((0..).zip(&crowd).map(|(place, visitor)| async move {
                    sleep(APART * place).await;
                    visitor.open(url).await?;
                    visitor.eval("await window.finished", &[]).await
                }))
                .await?;
            let sent = server.metric("dcdn_origin_bytes_total").await? - before;
            let mean = times.iter().sum::<f64>() / VISITORS as f64;
            let slowest = times.iter().copied().fold(0.0, f64::max);
            log.note("crowd", round, name, &(&times, sent))?;
            section.add(name, &[mean, slowest, sent as f64 / LENGTH as f64]);
        }
        configurations.reverse();
    }
    for visitor in crowd {
        visitor.close().await?;
    }
    Ok(section)
}
