//! Finishes what people have decided and a kill or an outage has left: withdrawn snapshots leave `latest/`.

use std::time::Duration;

use seedbed_protocol::snapshots::SnapshotRepository;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::withdraw::take_back_latest;
use crate::catalog::Catalog;

/// Between two looks of a server.
const PAUSE: Duration = Duration::from_secs(5);

/// Finishes such things until `stop` is cancelled. Errors are left to the next round.
pub async fn keep_clean(
    catalog: &Catalog,
    snapshots: &SnapshotRepository,
    stop: &CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        if let Err(error) = take_back_latest(catalog, snapshots).await {
            warn!("withdrawn snapshots leave latest/ later: {error}");
        }
    }
}
