//! Retention: which snapshots may be deleted, and which have lost their objects.
//!
//! A snapshot is marked as deleting before its first object is deleted. From then on no client gets it and nothing
//! makes it live again, so that an interrupted deletion can always be resumed.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use seedbed_protocol::{Attempt, JobId, StoreId, snapshots};
use sqlx::{Row, any::AnyRow};

use super::record::{SNAPSHOT_COLUMNS, snapshot_record};
use crate::catalog::{
    database::{Catalog, CatalogError, Lock, Tx, count, ids, millis, parsed, sql},
    state::{
        JobState, PRESENT,
        SnapshotState::{self, Deleted, Deleting, Live, Superseded},
    },
};

/// Which snapshots are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest snapshots of each store that are kept, the live one included.
    pub keep: u32,
    /// Snapshots superseded after this time are kept: a signed URL may still point to them.
    pub superseded_before: DateTime<Utc>,
    /// Snapshots of stores retired after this time are kept.
    pub retired_before: DateTime<Utc>,
}

/// A snapshot and its objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRef {
    /// The store.
    pub store_id: StoreId,
    /// The job that made it.
    pub job_id: JobId,
    /// The attempt that made it.
    pub attempt: Attempt,
    /// Its state.
    pub state: SnapshotState,
    /// The keys of its objects, the manifest first.
    pub keys: Vec<String>,
    /// Its bytes, see [`Manifest::bytes`](seedbed_protocol::manifest::Manifest::bytes).
    pub bytes: u64,
}

impl SnapshotRef {
    /// Returns the key of its manifest.
    pub fn manifest(&self) -> Option<&String> {
        self.keys.first()
    }

    /// Returns the keys of its files.
    pub fn files(&self) -> &[String] {
        self.keys.get(1..).unwrap_or_default()
    }
}

/// What the catalog knows about a job's objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobObjects {
    /// Whether the job may still write objects.
    pub in_flight: bool,
    /// The keys that snapshots refer to. Other objects of the job are orphans.
    pub keys: HashSet<String>,
}

impl Catalog {
    /// Marks snapshots that `retention` does not keep as deleting, at most `limit`, and returns them together with
    /// those that were marked before. Empty when there is nothing to delete.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub async fn start_deleting(
        &self,
        retention: &Retention,
        limit: usize,
    ) -> Result<Vec<SnapshotRef>, CatalogError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut transaction = self.locked(Lock::Writer).await?;
        let mark = sql!(
            "{} UPDATE snapshots SET state = '{Deleting}' \
             WHERE (job_id, attempt) IN (SELECT job_id, attempt FROM expired LIMIT $4)",
            expired()
        );
        sqlx::query(mark)
            .bind(i64::from(retention.keep))
            .bind(millis(retention.superseded_before))
            .bind(millis(retention.retired_before))
            .bind(limit)
            .execute(&mut *transaction)
            .await?;
        let marked = sqlx::query(sql!(
            "SELECT {SNAPSHOT_COLUMNS} FROM snapshots WHERE state = '{Deleting}' LIMIT $1"
        ))
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        marked.iter().map(snapshot_ref).collect()
    }

    /// Returns how many snapshots [`Self::start_deleting`] would return, call after call, and their bytes.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn deletable(&self, retention: &Retention) -> Result<(u64, u64), CatalogError> {
        let sum = sql!(
            "{} SELECT COUNT(*) AS n, CAST(COALESCE(SUM(byte_count), 0) AS BIGINT) AS byte_count FROM ( \
                 SELECT byte_count FROM expired \
                 UNION ALL SELECT byte_count FROM snapshots WHERE state = '{Deleting}') gone",
            expired()
        );
        let sum = sqlx::query(sum)
            .bind(i64::from(retention.keep))
            .bind(millis(retention.superseded_before))
            .bind(millis(retention.retired_before))
            .fetch_one(&self.pool)
            .await?;
        Ok((count(&sum, "n")?, count(&sum, "byte_count")?))
    }

    /// Records that the objects of these snapshots are deleted.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn mark_deleted(&self, snapshots: &[SnapshotRef]) -> Result<(), CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        for snapshot in snapshots {
            set_state(&mut transaction, snapshot, Deleted).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Returns what is known about the objects of these jobs, without jobs that the catalog does not know.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn objects_of(
        &self,
        jobs: &HashSet<JobId>,
    ) -> Result<HashMap<JobId, JobObjects>, CatalogError> {
        if jobs.is_empty() {
            return Ok(HashMap::new());
        }
        // One statement, so that a snapshot that is recorded at the same time is not missed.
        let statement = sql!(
            "SELECT jobs.id, jobs.state AS job_state, snapshots.job_id, snapshots.state, \
                 snapshots.manifest, snapshots.verified_at, snapshots.withdrawn_at \
             FROM jobs LEFT JOIN snapshots ON snapshots.job_id = jobs.id \
                 AND snapshots.state <> '{Deleted}' \
             WHERE jobs.id {}",
            self.dialect.among(1)
        );
        let query = sqlx::query(statement).bind(ids(jobs));
        let mut known: HashMap<JobId, JobObjects> = HashMap::new();
        for row in query.fetch_all(&self.pool).await? {
            let job = known.entry(parsed(&row, "id", "a job id")?).or_default();
            let state: JobState = parsed(&row, "job_state", "the state of a job")?;
            job.in_flight = state.is_in_flight();
            if row.try_get::<Option<String>, _>("job_id")?.is_some() {
                job.keys.extend(snapshot_ref(&row)?.keys);
            }
        }
        Ok(known)
    }

    /// Streams the snapshots whose objects should exist.
    pub fn present_snapshots(&self) -> BoxStream<'_, Result<SnapshotRef, CatalogError>> {
        sqlx::query(sql!(
            "SELECT {SNAPSHOT_COLUMNS} FROM snapshots WHERE state IN ({PRESENT})"
        ))
        .fetch(&self.pool)
        .map(|row| snapshot_ref(&row?))
        .boxed()
    }

    /// Records that a snapshot has lost objects. If it was live, the newest superseded one becomes live.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn mark_lost(&self, snapshot: &SnapshotRef) -> Result<(), CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        set_state(&mut transaction, snapshot, Deleted).await?;
        sqlx::query(sql!(
            "UPDATE snapshots SET state = '{Live}', superseded_at = NULL \
             WHERE (job_id, attempt) IN ( \
                 SELECT job_id, attempt FROM snapshots WHERE store_id = $1 AND state = '{Superseded}' \
                     AND withdrawn_at IS NULL \
                 ORDER BY job_id DESC, attempt DESC LIMIT 1) \
             AND NOT EXISTS ( \
                 SELECT 1 FROM snapshots WHERE store_id = $1 AND state = '{Live}')"
        ))
        .bind(snapshot.store_id.to_string())
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}

/// Returns the common table expression `expired`: snapshots that the [`Retention`] in `$1` to `$3` does not keep.
fn expired() -> String {
    format!(
        "WITH ranked AS ( \
             SELECT job_id, attempt, snapshots.state, superseded_at, byte_count, retired_at, \
                 CASE WHEN withdrawn_at IS NULL THEN 0 ELSE 1 END AS is_withdrawn, \
                 ROW_NUMBER() OVER ( \
                     PARTITION BY snapshots.store_id, CASE WHEN withdrawn_at IS NULL THEN 0 ELSE 1 END \
                     ORDER BY job_id DESC, attempt DESC) AS place \
             FROM snapshots LEFT JOIN stores ON stores.store_id = snapshots.store_id \
             WHERE snapshots.state IN ({PRESENT})), \
         expired AS ( \
             SELECT job_id, attempt, byte_count FROM ranked \
             WHERE (state = '{Superseded}' AND (place > $1 OR is_withdrawn = 1) AND superseded_at < $2) OR retired_at < $3)"
    )
}

async fn set_state(
    transaction: &mut Tx,
    snapshot: &SnapshotRef,
    state: SnapshotState,
) -> Result<(), CatalogError> {
    sqlx::query("UPDATE snapshots SET state = $3 WHERE job_id = $1 AND attempt = $2")
        .bind(snapshot.job_id.to_string())
        .bind(i64::from(snapshot.attempt.get()))
        .bind(state.name())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn snapshot_ref(row: &AnyRow) -> Result<SnapshotRef, CatalogError> {
    let record = snapshot_record(row)?;
    let manifest = record.manifest;
    Ok(SnapshotRef {
        state: record.state,
        keys: snapshots::keys_of(&manifest),
        bytes: manifest.bytes(),
        store_id: manifest.store_id,
        job_id: manifest.job_id,
        attempt: manifest.attempt,
    })
}
