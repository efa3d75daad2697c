//! Thesis, Table 1: what opening a socket costs beside a HEAD request, while the page loads and
//! afterwards.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Plan;
use super::section::{Section, compared};
use super::world::World;

/// Opens a socket and makes a request, twice; `?odd` asks for the other order.
pub const PAGE: &str = "<script>
  const timed = async (action) => {
    const start = performance.now();
    await action();
    return performance.now() - start;
  };
  const socket = () => new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${location.host}/dcdn/ws`);
    socket.onopen = () => { socket.close(); resolve(); };
    socket.onerror = reject;
  });
  const head = () => fetch('/media/image.jpg', { method: 'HEAD', cache: 'no-store' });
  // Whatever comes second finds things warmer.
  const isOdd = location.search === '?odd';
  const both = async () => {
    const early = isOdd && (await timed(head));
    const opened = await timed(socket);
    return [opened, isOdd ? early : await timed(head)];
  };
  window.during = both();
  window.after = new Promise((resolve) => {
    addEventListener('load', () => setTimeout(() => resolve(both())));
  });
</script><img src=\"/media/image.jpg\">";

#[derive(Deserialize, Serialize)]
struct Times {
    during: (f64, f64),
    after: (f64, f64),
}

/// Runs it.
pub async fn run(world: &World, plan: &Plan) -> Result<Section> {
    let columns = [compared("while the page loads, ms", 1), compared("afterwards, ms", 1)];
    let note = "A browser without a worker. Far: 50 ms and 20 Mbit/s from the server.";
    let title = "A socket opens, beside a HEAD request (Table 1)";
    let mut section = Section::new("sockets", title, note, &columns).compared_to("HEAD, near");
    for round in 0..plan.rounds() {
        for place in [world.near(), world.far()] {
            let client = &world.without_worker;
            let order = if round % 2 == 1 { "?odd" } else { "" };
            client.open(&place.url(&format!("/sockets.html{order}"))).await?;
            let script = "return { during: await window.during, after: await window.after };";
            let times: Times = client.run(script, &[]).await?;
            world.log.note("sockets", round, place.name, &times)?;
            let Times { during, after } = times;
            if round >= plan.warm_ups {
                section.add(&format!("HEAD, {}", place.name), &[during.1, after.1]);
                section.add(&format!("socket, {}", place.name), &[during.0, after.0]);
            }
        }
    }
    Ok(section)
}
