//! How chunks are divided between origin and peers, chosen by name for each page.

use anyhow::Result;
use dcdn_protocol::PolicyName;
use dcdn_tests::site::{EMPTY_PAGE, PLAIN_PAGE};
use dcdn_tests::{Server, Site, Visitor};
use serde_json::json;

use crate::SERVER;

#[tokio::test]
async fn every_policy_is_chosen_by_its_name_and_delivers_the_image() -> Result<()> {
    let site = Site::new()?;
    for policy in PolicyName::ALL {
        site.image(&image(policy))?;
        let tag = format!(r#"src="/dcdn/dcdn.js" data-policy="{}""#, policy.as_str());
        site.page(&page(policy), &format!(r#"<script type="module" {tag}></script>"#))?;
    }
    // So long that nobody gives up on the peer before it is connected.
    let server = Server::start(site.root(), &[SERVER, &["--slack-ms", "30000"]].concat()).await?;
    let (first, second) = tokio::try_join!(Visitor::arrive(), Visitor::arrive())?;
    second.open(&server.url(PLAIN_PAGE)).await?;
    let over_http = second.shown("#image").await?;
    first.install(&server.url(EMPTY_PAGE)).await?;
    for image in PolicyName::ALL.map(image) {
        first.fetched(&image).await?;
        first.holds(&site, &[&image]).await?;
    }
    second.install(&server.url(EMPTY_PAGE)).await?;

    for policy in PolicyName::ALL {
        let image = image(policy);
        second.open(&server.url(&page(policy))).await?;
        // What the page asks for before its script has run is the site's policy's.
        second.ready().await?;
        let insert = "insert('img', { id: 'image', src: args[0] })";
        second.run::<()>(insert, &[json!(image)]).await?;

        assert_eq!(second.shown("#image").await?, over_http, "{policy:?}");
        assert_eq!(second.fetched(&image).await?.sha256, site.sha256(&image)?, "{policy:?}");
        let stats = second.stats().await?.urls.into_iter().find(|it| it.url == image);
        match stats {
            // Passed through, so nobody counts it.
            None => assert_eq!(policy, PolicyName::Http),
            Some(stats) => {
                assert_eq!(stats.policy, policy, "{stats:?}");
                assert!(stats.bytes_p2p > 0, "nothing came from the peer: {stats:?}");
            }
        }
    }

    first.expect_clean_console().await?;
    second.expect_clean_console().await?;
    first.close().await?;
    second.close().await
}

fn page(policy: PolicyName) -> String {
    format!("/{}.html", policy.as_str())
}

/// An image that no other page has: each is delivered for the first time.
fn image(policy: PolicyName) -> String {
    format!("/media/{}.jpg", policy.as_str())
}
