//! Keeps the catalog short: what is over for longer than `catalog.keep_history` is removed. A kill leaves what is not
//! removed yet to the next call.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::catalog::{Aged, Catalog, CatalogError, Forgotten, HistoryCursor};

/// Between two looks of a server. Old rows come slowly.
const PAUSE: Duration = Duration::from_secs(3_600);

/// Between two batches, so that events are applied in between.
const BREATH: Duration = Duration::from_millis(20);

/// For how long what is over stays in the catalog.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Jobs, runs, records of snapshots, retired stores, what was downloaded on a day: `catalog.keep_history`.
    pub history: Duration,
    /// Reports of first launches: `reports.keep`.
    pub reports: Duration,
    /// Entries of the audit log: `catalog.keep_audit`.
    pub audit: Duration,
}

/// Removes from `catalog` what is over for longer than `keep`; with `dry_run`, counts jobs, snapshots and reports.
///
/// # Errors
/// [`CatalogError`]; what was removed until then stays removed.
pub async fn forget(
    catalog: &Catalog,
    keep: Keep,
    dry_run: bool,
) -> Result<Forgotten, CatalogError> {
    let now = catalog.now().await?;
    let before = ago(now, keep.history);
    let (reports, audit) = (ago(now, keep.reports), ago(now, keep.audit));
    let mut forgotten = Forgotten {
        reports: in_batches(catalog, Aged::Reports, reports, dry_run).await?,
        audit: in_batches(catalog, Aged::Audit, audit, dry_run).await?,
        ..Forgotten::default()
    };
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
    catalog.forget_handed_out(before).await?;
    loop {
        let removed = catalog.forget_runs_and_stores(before).await?;
        if removed == Forgotten::default() {
            return Ok(forgotten);
        }
        forgotten += removed;
        tokio::time::sleep(BREATH).await;
    }
}

/// Removes the rows of `aged` from before `before` until none is left, and returns how many that were; with `dry_run`, counts them.
async fn in_batches(
    catalog: &Catalog,
    aged: Aged,
    before: DateTime<Utc>,
    dry_run: bool,
) -> Result<u64, CatalogError> {
    let mut all = 0;
    loop {
        let removed = catalog.forget_aged(aged, before, dry_run).await?;
        all += removed;
        if dry_run || removed == 0 {
            return Ok(all);
        }
        tokio::time::sleep(BREATH).await;
    }
}

fn ago(now: DateTime<Utc>, keep: Duration) -> DateTime<Utc> {
    let keep = TimeDelta::from_std(keep).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(keep).unwrap_or(DateTime::UNIX_EPOCH)
}

/// Keeps `catalog` short until `stop` is cancelled. Errors are left to the next round.
pub async fn keep_short(catalog: &Catalog, keep: Keep, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            forgotten = forget(catalog, keep, false) => match forgotten {
                Ok(forgotten) if forgotten == Forgotten::default() => {}
                Ok(Forgotten { jobs, snapshots, runs, stores, reports, audit }) => info!(
                    jobs, snapshots, runs, stores, reports, audit,
                    "removed what is over for longer than catalog.keep_history, catalog.keep_audit and reports.keep"
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
