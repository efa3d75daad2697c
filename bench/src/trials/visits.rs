//! First visits, which the worker does not serve yet, and returns to a worker that is stopped.

use anyhow::Result;
use dcdn_tests::Visitor;

use super::delivery::Delivery;
use super::section::{Section, compared};
use super::world::{World, page};
use super::{Part, Plan};

const FIRST: [&str; 4] = ["plain HTTP", "http", "head-start", "adaptive"];
const STOPPED: [&str; 3] = ["http", "head-start", "adaptive"];

/// Images that it takes.
pub fn images(plan: &Plan) -> usize {
    if plan.has(Part::Visits) { 2 * plan.few() * (FIRST.len() + STOPPED.len()) } else { 0 }
}

/// Runs it.
pub async fn run(world: &mut World, plan: &Plan) -> Result<Vec<Section>> {
    let columns = [compared("first byte, ms", 0), compared("last byte, ms", 0)];
    let mut sections = Vec::new();
    for place in [world.near(), world.far()] {
        world.introduce(&place, &STOPPED, ".html").await?;
        let mut first = Section::new(
            format!("first-{}", place.name),
            format!("First visit, {}", place.name),
            format!("{} new browsers for each configuration.", plan.few()),
            &columns,
        )
        .compared_to("http");
        let mut stopped = Section::new(
            format!("stopped-{}", place.name),
            format!("The worker has to be started, {}", place.name),
            "As above, but that the browser has stopped the worker before.",
            &columns,
        )
        .compared_to("http");
        for round in 0..plan.few() {
            eprintln!("visits, {}: round {} of {}", place.name, round + 1, plan.few());
            let mut images = world.fresh_images(FIRST.len() + STOPPED.len()).await?;
            for (configuration, number) in FIRST.into_iter().zip(&mut images) {
                let visitor = Visitor::arrive().await?;
                let got = Delivery::of(&visitor, &place.url(&page(configuration, number))).await?;
                world.log.note(&first.key, round, configuration, &got)?;
                first.add(configuration, &[got.first, got.last]);
                visitor.close().await?;
            }
            for (configuration, number) in STOPPED.into_iter().zip(images) {
                world.with_worker.open("about:blank").await?;
                world.with_worker.stop_worker().await?;
                let url = place.url(&page(configuration, number));
                let got = Delivery::of(&world.with_worker, &url).await?;
                world.log.note(&stopped.key, round, configuration, &got)?;
                stopped.add(configuration, &[got.first, got.last]);
            }
            world.with_worker.run::<()>("await dcdn.clear();", &[]).await?;
        }
        sections.extend([first, stopped]);
    }
    Ok(sections)
}
