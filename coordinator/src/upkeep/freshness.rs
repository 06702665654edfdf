//! Keeps the record of how fresh the stores are: a row an hour, by whichever server comes first.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::catalog::Catalog;

/// Between two looks. Short, so that each hour is recorded near its begin whenever servers start.
const PAUSE: Duration = Duration::from_secs(60);

/// Records once an hour how many stores have a snapshot younger than `age`, until `stop` is cancelled. Errors are left to the next
/// look.
pub async fn keep_freshness(catalog: &Catalog, age: Duration, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            recorded = catalog.record_freshness(age) => if let Err(error) = recorded {
                warn!("how fresh the stores are is recorded later: {error}");
            },
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
