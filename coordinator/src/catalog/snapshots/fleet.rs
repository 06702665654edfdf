//! How large the fleet is, and how much of it changed in the last sweeps.

use std::time::Duration;

use seedbed_protocol::manifest::{FullReason, Way};
use sqlx::Row;

use super::record::snapshot_record;
use crate::catalog::{
    database::{Catalog, CatalogError, count, sql},
    state::{JobState::Retried, SnapshotState::Live},
};

/// Sweeps that tell what usually changes.
const SWEEPS: i64 = 10;

/// Snapshots that tell how many rows of a store usually change.
const SAMPLE: i64 = 200;

/// The last sweeps over all stores that have ended, at most `$1`.
const LAST_SWEEPS: &str = "SELECT id FROM runs WHERE sweep IS NOT NULL AND finished_at IS NOT NULL \
     ORDER BY started_at DESC, id DESC LIMIT $1";

/// What a catalog tells of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct KnownFleet {
    /// Stores of the source.
    pub stores: u64,
    /// Those of them that have a snapshot.
    pub seeded: u64,
    /// Their rows.
    pub rows: u64,
    /// Rows of the largest.
    pub largest: u64,
    /// Bytes of their SQLite files.
    pub bytes: u64,
    /// The share of stores that changed from one of the last sweeps to the next; without a second sweep, nobody knows.
    pub changed_stores: Option<f64>,
    /// The share of a changed store's rows that did.
    pub changed_rows: Option<f64>,
    /// From the start of one of the last sweeps to that of the next, on average.
    pub every: Option<Duration>,
}

impl Catalog {
    /// Returns what the live snapshots and the last sweeps tell of the fleet.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn known_fleet(&self) -> Result<KnownFleet, CatalogError> {
        // Postgres sums BIGINT to NUMERIC, hence the casts.
        let row = sqlx::query(sql!(
            "SELECT COUNT(*) AS stores, COUNT(live.row_count) AS seeded, \
                 CAST(COALESCE(SUM(live.row_count), 0) AS BIGINT) AS row_count, \
                 COALESCE(MAX(live.row_count), 0) AS largest, \
                 CAST(COALESCE(SUM(live.byte_count), 0) AS BIGINT) AS byte_count \
             FROM stores LEFT JOIN snapshots live \
                 ON live.store_id = stores.store_id AND live.state = '{Live}' \
             WHERE stores.retired_at IS NULL"
        ))
        .fetch_one(&self.readers)
        .await?;
        Ok(KnownFleet {
            stores: count(&row, "stores")?,
            seeded: count(&row, "seeded")?,
            rows: count(&row, "row_count")?,
            largest: count(&row, "largest")?,
            bytes: count(&row, "byte_count")?,
            changed_stores: self.changed_stores().await?,
            changed_rows: self.changed_rows().await?,
            every: self.time_between_sweeps().await?,
        })
    }

    /// Returns the share of stores that the last sweeps found changed, of those that had a snapshot to compare with.
    async fn changed_stores(&self) -> Result<Option<f64>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT way, COUNT(*) AS jobs FROM jobs WHERE run_id IN ({LAST_SWEEPS}) \
                 AND state <> '{Retried}' AND way IS NOT NULL AND (why IS NULL OR why = $2) \
             GROUP BY way"
        ))
        .bind(SWEEPS)
        .bind(FullReason::Changed.name())
        .fetch_all(&self.readers)
        .await?;
        let (mut changed, mut all) = (0, 0);
        for row in &rows {
            let jobs = count(row, "jobs")?;
            let way: String = row.try_get("way")?;
            all += jobs;
            changed += if way == Way::Unchanged.name() {
                0
            } else {
                jobs
            };
        }
        Ok((all > 0).then(|| changed as f64 / all as f64))
    }

    /// Returns the share of the rows that changed in stores that did: operations that a job downloaded, by its rows.
    async fn changed_rows(&self) -> Result<Option<f64>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT snapshots.job_id, snapshots.state, manifest, verified_at, withdrawn_at FROM jobs \
             JOIN snapshots ON snapshots.job_id = jobs.id \
             WHERE jobs.run_id IN ({LAST_SWEEPS}) AND jobs.way = $2 LIMIT $3"
        ))
        .bind(SWEEPS)
        .bind(Way::Base.name())
        .bind(SAMPLE)
        .fetch_all(&self.readers)
        .await?;
        let (mut changes, mut all) = (0, 0);
        for row in &rows {
            let manifest = snapshot_record(row)?.manifest;
            changes += manifest.download.operations;
            all += manifest.rows();
        }
        Ok((all > 0).then(|| (changes as f64 / all as f64).min(1.0)))
    }

    async fn time_between_sweeps(&self) -> Result<Option<Duration>, CatalogError> {
        let row = sqlx::query(sql!(
            "SELECT COUNT(*) AS sweeps, COALESCE(MIN(started_at), 0) AS first_start, \
                 COALESCE(MAX(started_at), 0) AS last_start FROM runs WHERE id IN ({LAST_SWEEPS})"
        ))
        .bind(SWEEPS)
        .fetch_one(&self.readers)
        .await?;
        let pauses = count(&row, "sweeps")?.saturating_sub(1);
        let millis = count(&row, "last_start")? - count(&row, "first_start")?;
        let every = millis.checked_div(pauses).filter(|&millis| millis > 0);
        Ok(every.map(Duration::from_millis))
    }
}
