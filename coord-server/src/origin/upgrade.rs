//! A connection that is no longer HTTP, a WebSocket of the site's own for one.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio_util::sync::CancellationToken;

/// Passes bytes on between both sides until one hangs up or the server stops.
pub async fn join(visitor: OnUpgrade, origin: OnUpgrade, stop: CancellationToken) {
    let passing = async {
        let (visitor, origin) = tokio::try_join!(visitor, origin)?;
        let (mut visitor, mut origin) = (TokioIo::new(visitor), TokioIo::new(origin));
        // A side that breaks ends it for both; whose fault it was is theirs to say.
        let _ = copy_bidirectional(&mut visitor, &mut origin).await;
        Ok::<_, hyper::Error>(())
    };
    tokio::select! {
        result = passing => {
            if let Err(error) = result {
                tracing::debug!(%error, "a change of protocol failed");
            }
        }
        () = stop.cancelled() => {}
    }
}
