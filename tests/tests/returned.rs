//! A server that stops and starts again under open pages.

use anyhow::Result;
use dcdn_tests::site::EMPTY_PAGE;
use dcdn_tests::{PATIENCE, Server, Site, Visitor};
use tokio::time::timeout;

use crate::SERVER;

#[tokio::test]
async fn pages_that_a_stopping_server_sends_away_come_back_by_themselves() -> Result<()> {
    let site = Site::new()?;
    let mut server = Server::start(site.root(), SERVER).await?;
    let visitor = Visitor::arrive().await?;
    visitor.install(&server.url(EMPTY_PAGE)).await?;
    peers_become(&server, 1).await?;

    server.stop().await?;
    server.restart().await?;

    peers_become(&server, 1).await?;
    visitor.close().await
}

async fn peers_become(server: &Server, count: u64) -> Result<()> {
    let become_so = async {
        while server.metric("dcdn_peers").await? != count {
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    timeout(PATIENCE, become_so).await?
}
