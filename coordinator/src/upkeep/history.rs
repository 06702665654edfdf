//! Keeps the catalog short: what is over for longer than `catalog.keep_history` is removed. A kill leaves what is not
//! removed yet to the next call.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::catalog::{Catalog, CatalogError, Forgotten, HistoryCursor};

/// Between two looks of a server. Old rows come slowly.
const PAUSE: Duration = Duration::from_secs(3_600);

/// Between two batches, so that events are applied in between.
const BREATH: Duration = Duration::from_millis(20);

/// Removes from `catalog` what is over for longer than `keep`; with `dry_run`, counts the jobs and snapshots.
///
/// # Errors
/// [`CatalogError`]; what was removed until then stays removed.
pub async fn forget(
    catalog: &Catalog,
    keep: Duration,
    dry_run: bool,
) -> Result<Forgotten, CatalogError> {
    let keep = TimeDelta::from_std(keep).unwrap_or(TimeDelta::MAX);
    let before = catalog.now().await?.checked_sub_signed(keep);
    let before = before.unwrap_or(DateTime::UNIX_EPOCH);
    let mut forgotten = Forgotten::default();
    let mut cursor = Some(HistoryCursor::default());
    while let Some(after) = cursor {
        let (removed, next) = catalog.forget_jobs(before, after, dry_run).await?;
        forgotten += removed;
        cursor = next;
        if removed != Forgotten::default() {
            tokio::time::sleep(BREATH).await;
        }
    }
    if dry_run {
        return Ok(forgotten);
    }
    loop {
        let removed = catalog.forget_runs_and_stores(before).await?;
        if removed == Forgotten::default() {
            return Ok(forgotten);
        }
        forgotten += removed;
        tokio::time::sleep(BREATH).await;
    }
}

/// Keeps `catalog` short until `stop` is cancelled. Errors are left to the next round.
pub async fn keep_short(catalog: &Catalog, keep: Duration, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            forgotten = forget(catalog, keep, false) => match forgotten {
                Ok(forgotten) if forgotten == Forgotten::default() => {}
                Ok(Forgotten { jobs, snapshots, runs, stores }) => info!(
                    jobs, snapshots, runs, stores,
                    "removed what is over for longer than catalog.keep_history"
                ),
                Err(error) => warn!("the catalog is kept short later: {error}"),
            },
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
