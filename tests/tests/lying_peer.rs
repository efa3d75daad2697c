//! A peer that sends wrong bytes.

use anyhow::Result;
use dcdn_tests::media::{insert_image, insert_video};
use dcdn_tests::site::{EMPTY_PAGE, IMAGE, PAGE, VIDEO};
use dcdn_tests::{Engine, Media, Server, Site, Visitor};

use crate::PATIENT;

in_each_engine!(wrong_bytes_are_neither_shown_nor_stored_and_who_sent_them_is_not_asked_again);
async fn wrong_bytes_are_neither_shown_nor_stored_and_who_sent_them_is_not_asked_again(
    engine: Engine,
) -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(site.root(), PATIENT).await?;
    let (liar, visitor) =
        tokio::try_join!(Visitor::arrive_with(engine), Visitor::arrive_with(engine))?;
    let media = Media::over_plain_http(&liar, &server, &site).await?;
    liar.install(&server.url(EMPTY_PAGE)).await?;
    liar.open(&server.url(PAGE)).await?;
    media.expect_on(&liar).await?;
    let mut chunks = site.chunks(IMAGE)?;
    chunks.extend(site.chunks(VIDEO)?);
    liar.holds(&site, &[IMAGE, VIDEO]).await?;
    liar.corrupt_store().await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;

    insert_image(&visitor).await?;
    media.expect_image(&visitor).await?;
    let banned: u32 =
        visitor.eval("until('a ban', async () => (await dcdn.diagnose()).banned)", &[]).await?;
    let hung_up = "until('the connection to end', async () => (await dcdn.stats()).peers === 0)";
    liar.eval::<bool>(hung_up, &[]).await?;
    let lies = liar.stats().await?.totals.bytes_uploaded;
    insert_video(&visitor).await?;
    media.expect_video(&visitor).await?;

    assert_eq!(banned, 1);
    assert!(lies > 0, "the liar was never asked");
    assert_eq!(liar.stats().await?.totals.bytes_uploaded, lies, "the liar was asked again");
    for url in [IMAGE, VIDEO] {
        let stats = visitor.accounted(url).await?;
        assert_eq!((stats.bytes_http, stats.bytes_p2p), (site.length(url)?, 0), "{stats:?}");
    }
    visitor.holds(&site, &[IMAGE, VIDEO]).await?;
    assert_eq!(visitor.stored_chunks().await?, chunks);
    visitor.expect_clean_console().await?;
    liar.close().await?;
    visitor.close().await
}
