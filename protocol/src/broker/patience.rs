//! How long to wait for a broker that is away, blocks its publishers or refuses.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{contract::Broker, trouble::Trouble};

/// Between two questions how the broker is.
const POLL: Duration = Duration::from_millis(500);

/// How long a process that was told to stop lets the broker recover, to settle what it has begun.
const DRAIN: Duration = Duration::from_secs(3);

/// Completes when there is trouble with the broker.
pub async fn trouble(broker: &dyn Broker) -> Trouble {
    loop {
        if let Some(trouble) = broker.trouble() {
            return trouble;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Completes when waiting for the broker is in vain: `stop` was cancelled a while ago, and there is trouble.
pub async fn in_vain(broker: &dyn Broker, stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(DRAIN).await;
    trouble(broker).await;
}
