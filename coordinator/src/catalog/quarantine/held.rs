//! Stores that a person has put into quarantine: all that fail for one reason, which no sweep would do by itself.

use seedbed_protocol::RunId;
use serde::Serialize;
use utoipa::ToSchema;

use super::policy::Quarantine;
use crate::catalog::{
    database::{CatalogError, Tx, millis, printable, sql},
    state::{JobState::Failed, needed_retry},
};

/// Stores that were quarantined on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Held {
    /// How many.
    pub stores: u64,
}

/// Quarantines the stores whose newest job failed for `reason`, whoever else fails for it. `by` is who wants that.
pub(in crate::catalog) async fn hold(
    tx: &mut Tx,
    reason: &str,
    quarantine: Quarantine,
    by: &str,
) -> Result<Held, CatalogError> {
    let now = millis(tx.now().await?);
    let sweeps = i64::from(quarantine.sweeps());
    let held = sqlx::query(sql!(
        "INSERT INTO failing (store_id, reason, sweeps, since, failed_at, held, held_by, held_at) \
         SELECT store_id, failure_reason, {sweeps}, COALESCE(finished_at, listed_at), {now}, 1, $2, {now} FROM jobs \
         WHERE state = '{Failed}' AND failure_reason = $1 AND {} \
         ON CONFLICT (store_id) DO UPDATE SET reason = excluded.reason, failed_at = excluded.failed_at, held = 1, \
             held_by = excluded.held_by, held_at = excluded.held_at, \
             sweeps = CASE WHEN failing.sweeps < {sweeps} THEN {sweeps} ELSE failing.sweeps END",
        needed_retry()
    ))
    .bind(reason.to_owned())
    .bind(printable(by))
    .execute(&mut **tx)
    .await?;
    Ok(Held {
        stores: held.rows_affected(),
    })
}

/// Counts one more failed sweep of those whose probe failed, for whatever reason: the next one comes later.
pub(super) async fn probed_in_vain(
    tx: &mut Tx,
    run_id: RunId,
    now: i64,
) -> Result<(), CatalogError> {
    sqlx::query(sql!(
        "UPDATE failing SET sweeps = sweeps + 1, failed_at = {now} WHERE held = 1 AND failed_at < {now} \
         AND store_id IN (SELECT store_id FROM jobs WHERE run_id = $1 AND state = '{Failed}' AND is_probe = 1)"
    ))
    .bind(run_id.to_string())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
