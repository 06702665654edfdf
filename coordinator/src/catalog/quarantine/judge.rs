//! Judges a sweep: which of its stores failed alone, for a permanent reason.
//!
//! A reason that hits several stores at once is the service's or the configuration's, and says nothing about a store.
//! Neither does a sweep in which nothing succeeded. A store that fails for another reason starts a new row; what is
//! transient ends it. Only a success ends that of a store in quarantine, or of one that a person has put there (`held`).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use seedbed_protocol::{RunId, StoreId, message::FailureKind};
use sqlx::{AssertSqlSafe, Row};

use super::{
    held::probed_in_vain,
    policy::{FAILING_COLUMNS, Quarantine, failing},
};
use crate::catalog::{
    database::{CatalogError, Tx, ids, millis, sql},
    state::{
        JobState::{Failed, Retried},
        SUCCEEDED,
        SnapshotState::Live,
        failure_kind,
    },
};

/// Judges the sweep `run_id`, whose jobs have all ended. With `changes_only`, its list left out what has not changed.
pub(in crate::catalog) async fn judge_sweep(
    tx: &mut Tx,
    run_id: RunId,
    changes_only: bool,
) -> Result<(), CatalogError> {
    let succeeded: i64 = sqlx::query_scalar(sql!(
        "SELECT CASE WHEN EXISTS ( \
             SELECT 1 FROM jobs WHERE run_id = $1 AND state IN ({SUCCEEDED})) \
         THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END"
    ))
    .bind(run_id.to_string())
    .fetch_one(&mut **tx)
    .await?;
    let others_work = succeeded > 0 || changes_only && others_are_fine(tx, run_id).await?;
    if !others_work {
        return Ok(());
    }
    // Not when a worker says that it failed: clocks differ.
    let now = millis(tx.now().await?);
    let permanent = failure_kind(FailureKind::Permanent);
    let of_run = format!("job.run_id = $1 AND job.state = '{Failed}'");
    // Stores that the sweep skipped count with what they failed for last.
    let with_shared = format!(
        "WITH hits AS ( \
             SELECT job.failure_reason AS reason, job.store_id FROM jobs job \
             WHERE {of_run} AND job.failure_kind = '{permanent}' AND job.failure_reason IS NOT NULL \
             UNION \
             SELECT failing.reason, failing.store_id FROM failing \
             JOIN stores ON stores.store_id = failing.store_id AND stores.retired_at IS NULL \
             WHERE NOT EXISTS ( \
                 SELECT 1 FROM jobs WHERE jobs.run_id = $1 AND jobs.store_id = failing.store_id \
                     AND jobs.state <> '{Retried}')), \
         shared AS (SELECT reason FROM hits GROUP BY reason HAVING COUNT(*) > 1)"
    );
    let alone = format!(
        "{with_shared} INSERT INTO failing (store_id, reason, sweeps, since, failed_at) \
         SELECT job.store_id, job.failure_reason, 1, {now}, {now} FROM jobs job \
         WHERE {of_run} AND job.failure_kind = '{permanent}' AND job.failure_reason IS NOT NULL \
             AND job.failure_reason NOT IN (SELECT reason FROM shared) \
         ON CONFLICT (store_id) DO UPDATE SET reason = excluded.reason, \
             failed_at = excluded.failed_at, \
             since = CASE WHEN {same_row} THEN failing.since ELSE excluded.since END, \
             sweeps = CASE WHEN {same_row} THEN failing.sweeps + 1 ELSE 1 END",
        same_row = format!(
            "(failing.reason = excluded.reason OR EXISTS (SELECT 1 FROM jobs probe \
             WHERE probe.run_id = $1 AND probe.store_id = excluded.store_id AND probe.is_probe = 1))"
        )
    );
    let together = format!(
        "{with_shared} DELETE FROM failing WHERE held IS NULL AND (reason IN (SELECT reason FROM shared) \
         OR store_id IN (SELECT job.store_id FROM jobs job WHERE {of_run} \
             AND job.failure_kind = '{permanent}' AND job.failure_reason IN (SELECT reason FROM shared)))"
    );
    let transient = format!(
        "DELETE FROM failing WHERE held IS NULL AND store_id IN (SELECT job.store_id FROM jobs job \
         WHERE {of_run} AND job.failure_kind <> '{permanent}' AND job.is_probe IS NULL)"
    );
    for statement in [alone, transient, together] {
        sqlx::query(AssertSqlSafe(statement))
            .bind(run_id.to_string())
            .execute(&mut **tx)
            .await?;
    }
    probed_in_vain(tx, run_id, now).await
}

/// Returns whether a store that the list of `run_id` left out, since it has not changed, has a snapshot and does not fail.
pub(in crate::catalog) async fn others_are_fine(
    tx: &mut Tx,
    run_id: RunId,
) -> Result<bool, CatalogError> {
    let fine = sqlx::query(sql!(
        "SELECT 1 FROM stores \
         JOIN snapshots ON snapshots.store_id = stores.store_id AND snapshots.state = '{Live}' \
         WHERE stores.retired_at IS NULL AND stores.seen_in <> $1 \
             AND NOT EXISTS (SELECT 1 FROM failing WHERE failing.store_id = stores.store_id) LIMIT 1"
    ))
    .bind(run_id.to_string())
    .fetch_optional(&mut **tx)
    .await?;
    Ok(fine.is_some())
}

/// Returns the quarantined stores, and when each is probed next.
pub(in crate::catalog) async fn quarantined(
    tx: &mut Tx,
    quarantine: Quarantine,
) -> Result<HashMap<String, DateTime<Utc>>, CatalogError> {
    let rows = sqlx::query(sql!(
        "SELECT store_id, {FAILING_COLUMNS} FROM failing WHERE sweeps >= $1"
    ))
    .bind(i64::from(quarantine.sweeps()))
    .fetch_all(&mut **tx)
    .await?;
    let mut stores = HashMap::with_capacity(rows.len());
    for row in &rows {
        if let Some(probe_at) = quarantine.probe_at(&failing(row)?) {
            stores.insert(row.try_get("store_id")?, probe_at);
        }
    }
    Ok(stores)
}

/// Ends the rows of stores that have succeeded, and with them their quarantine.
pub(in crate::catalog) async fn succeeded(
    tx: &mut Tx,
    stores: &[&StoreId],
) -> Result<(), CatalogError> {
    if stores.is_empty() {
        return Ok(());
    }
    let among = tx.dialect().among(1);
    sqlx::query(sql!("DELETE FROM failing WHERE store_id {among}"))
        .bind(ids(stores))
        .execute(&mut **tx)
        .await?;
    Ok(())
}
