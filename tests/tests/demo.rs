//! The demo site, as a person opens it.

use std::path::Path;

use anyhow::Result;
use dcdn_tests::{Engine, Server, Visitor};

use crate::SERVER;

in_each_engine!(every_image_of_the_demo_is_shown_and_its_console_is_clean);
async fn every_image_of_the_demo_is_shown_and_its_console_is_clean(engine: Engine) -> Result<()> {
    let demo = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../static/demo"));
    let server = Server::start(demo, SERVER).await?;
    let visitor = Visitor::arrive_with(engine).await?;
    visitor.install(&server.url("/")).await?;
    visitor.open(&server.url("/")).await?;

    let show = "
        const images = [...document.images].filter((image) => image.hasAttribute('src'));
        for (const image of images) {
            image.loading = 'eager';
            await shown(image);
        }
        return images.length;";
    let images: u32 = visitor.run(show, &[]).await?;

    assert!(images > 3, "a gallery of {images} images");
    assert_eq!(visitor.ready().await?.mode, "p2p");
    visitor.expect_clean_console().await?;
    visitor.close().await
}
