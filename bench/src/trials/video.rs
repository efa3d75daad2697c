//! A film: when it plays, and how long a seek takes.

use anyhow::Result;

use super::section::{Section, compared, plain};
use super::world::World;
use super::{Part, Plan};

/// Plays the film that the page's address names.
pub const ELEMENT: &str = "<script>document.write(
    '<video muted src=\"/media/film-' + location.search.slice(1) + '.mp4\"></video>')
  window.playing = document.querySelector('video').play().then(() => performance.now());
</script>";

const CONFIGURATIONS: [&str; 3] = ["plain HTTP", "http", "adaptive"];

/// The path of a film.
pub fn film(number: usize) -> String {
    format!("/media/film-{number}.mp4")
}

/// Films that it takes.
pub fn films(plan: &Plan) -> usize {
    if plan.has(Part::Video) { 2 * plan.few() * CONFIGURATIONS.len() } else { 0 }
}

/// Runs it.
pub async fn run(world: &mut World, plan: &Plan) -> Result<Vec<Section>> {
    let columns = [
        compared("plays after, ms", 0),
        compared("a seek takes, ms", 0),
        plain("from peers, %", 0),
    ];
    let mut numbers = 0..films(plan);
    let mut sections = Vec::new();
    for place in [world.near(), world.far()] {
        world.introduce(&place, &CONFIGURATIONS, "-film.html").await?;
        let note = "The demo's film of 7.6 MB, which five peers hold. It plays from navigationStart \
                    on; the seek is to three quarters of it, at once.";
        let title = format!("A film, {}", place.name);
        let mut section = Section::new(format!("film-{}", place.name), title, note, &columns)
            .compared_to("plain HTTP");
        for round in 0..plan.few() {
            eprintln!("film, {}: round {} of {}", place.name, round + 1, plan.few());
            for (configuration, number) in CONFIGURATIONS.iter().zip(&mut numbers) {
                let (client, name) = match *configuration {
                    "plain HTTP" => (&world.without_worker, "plain-http"),
                    worker => (&world.with_worker, worker),
                };
                client.open(&place.url(&format!("/{name}-film.html?{number}"))).await?;
                let script = "
                    const playing = await window.playing;
                    const video = document.querySelector('video');
                    const start = performance.now();
                    const seeked = new Promise((resolve) => video.addEventListener(
                        'seeked', () => resolve(performance.now() - start), { once: true }));
                    video.currentTime = video.duration * 3 / 4;
                    const seek = await seeked;
                    const stats = window.dcdn ? await dcdn.stats() : { urls: [] };
                    const own = stats.urls.find(({ url }) => url === new URL(video.src).pathname);
                    const all = own ? own.bytes_http + own.bytes_p2p : 1;
                    return [playing, seek, own ? 100 * own.bytes_p2p / all : 0];";
                let values: [f64; 3] = client.run(script, &[]).await?;
                world.log.note(&section.key, round, configuration, &values)?;
                section.add(configuration, &values);
            }
        }
        sections.push(section);
    }
    Ok(sections)
}
