//! What the catalog knows of stores that are being listed.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{JobId, RunId};
use sqlx::Row;

use super::entry::{Entry, store_ids};
use crate::catalog::{
    database::{CatalogError, Tx, ids, millis, parsed, sql, wanted},
    state::{IN_FLIGHT, SnapshotState::Live},
};

/// Returns those of `stores` that have a job in flight, and its run.
pub(super) async fn in_flight(
    tx: &mut Tx,
    stores: &[Entry],
) -> Result<HashMap<String, RunId>, CatalogError> {
    let statement = sql!(
        "SELECT store_id, run_id FROM jobs WHERE state IN ({IN_FLIGHT}) AND store_id {}",
        tx.dialect().among(1)
    );
    let query = sqlx::query(statement).bind(ids(store_ids(stores)));
    let rows = query.fetch_all(&mut **tx).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("store_id")?, parsed(row, "run_id", "a run id")?)))
        .collect()
}

/// Returns those of `stores` that are forgotten.
pub(super) async fn forgotten(
    tx: &mut Tx,
    stores: &[Entry],
) -> Result<HashSet<String>, CatalogError> {
    let statement = sql!(
        "SELECT store_id FROM forgotten WHERE allowed_at IS NULL AND store_id {}",
        tx.dialect().among(1)
    );
    let query = sqlx::query(statement).bind(ids(store_ids(stores)));
    let rows = query.fetch_all(&mut **tx).await?;
    let forgotten = rows.iter().map(|row| Ok(row.try_get("store_id")?));
    forgotten.collect()
}

/// Returns those of `stores` whose live snapshot is younger than `age` at `now`.
pub(super) async fn fresh(
    tx: &mut Tx,
    stores: &[Entry],
    now: DateTime<Utc>,
    age: Duration,
) -> Result<HashSet<String>, CatalogError> {
    let statement = sql!(
        "WITH {} SELECT store_id FROM wanted CROSS JOIN snapshots \
         WHERE store_id = wanted.id AND state = '{Live}' AND verified_at > $2",
        tx.dialect().wanted()
    );
    let oldest = now.checked_sub_signed(TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX));
    let oldest = millis(oldest.unwrap_or(DateTime::UNIX_EPOCH));
    let query = sqlx::query(statement)
        .bind(wanted(store_ids(stores)))
        .bind(oldest);
    let rows = query.fetch_all(&mut **tx).await?;
    let fresh = rows.iter().map(|row| Ok(row.try_get("store_id")?));
    fresh.collect()
}

/// Returns the latest job of each of `stores` that had one, also of one that was forgotten since.
pub(super) async fn last_jobs(
    tx: &mut Tx,
    stores: &[Entry],
) -> Result<HashMap<String, JobId>, CatalogError> {
    if stores.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = sql!(
        "SELECT store_id, MAX(id) AS id FROM ( \
             SELECT store_id, id FROM jobs WHERE store_id {among} \
             UNION ALL SELECT store_id, last_job AS id FROM forgotten \
             WHERE last_job <> '' AND store_id {among}) known GROUP BY store_id",
        among = tx.dialect().among(1)
    );
    let query = sqlx::query(statement).bind(ids(store_ids(stores)));
    let rows = query.fetch_all(&mut **tx).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("store_id")?, parsed(row, "id", "a job id")?)))
        .collect()
}
