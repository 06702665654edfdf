//! Restores records of snapshots from their manifests, for a catalog that was lost.

use seedbed_protocol::{JobId, manifest::Manifest};
use sqlx::Row;

use super::record::{Recorded, make_live, record_snapshot};
use crate::catalog::{
    database::{Catalog, CatalogError, Lock, Tx, millis, parsed, sql, stored},
    state::{JobState, PRESENT, RunState, SnapshotState},
};

impl Catalog {
    /// Records a snapshot from its manifest, with its store, run and job; whether it was unknown. Idempotent.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub async fn restore(&self, manifest: &Manifest) -> Result<bool, CatalogError> {
        if self.is_forgotten(&manifest.store_id).await? {
            return Ok(false);
        }
        let mut transaction = self.locked(Lock::Writer).await?;
        restore_store(&mut transaction, manifest).await?;
        restore_run(&mut transaction, manifest).await?;
        // A run may have had two jobs of one store, the first of which was retried.
        if !restore_job(&mut transaction, manifest, JobState::Completed).await? {
            restore_job(&mut transaction, manifest, JobState::Retried).await?;
        }
        let recorded = record_snapshot(&mut transaction, manifest).await?;
        transaction.commit().await?;
        Ok(recorded == Recorded::New)
    }

    /// Makes the newest of `snapshots`, which are all of one store and recorded, the live one; unless a snapshot that is
    /// none of them is live.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub async fn make_newest_live(
        &self,
        newest: &Manifest,
        snapshots: &[Manifest],
    ) -> Result<(), CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        let rows = sqlx::query(sql!(
            "SELECT job_id, attempt, state FROM snapshots WHERE store_id = $1 AND state IN ({PRESENT}) \
             AND withdrawn_at IS NULL"
        ))
        .bind(newest.store_id.to_string())
        .fetch_all(&mut *transaction)
        .await?;
        let (mut is_known, mut replaces) = (false, false);
        for row in &rows {
            let job_id: JobId = parsed(row, "job_id", "a job id")?;
            let attempt: i64 = row.try_get("attempt")?;
            let is = |snapshot: &Manifest| {
                snapshot.job_id == job_id && i64::from(snapshot.attempt.get()) == attempt
            };
            match parsed(row, "state", "the state of a snapshot")? {
                SnapshotState::Live => replaces = !is(newest) && snapshots.iter().any(is),
                _ => is_known |= is(newest),
            }
        }
        if is_known && replaces {
            make_live(&mut transaction, newest).await?;
        }
        Ok(transaction.commit().await?)
    }
}

async fn restore_store(transaction: &mut Tx, manifest: &Manifest) -> Result<(), CatalogError> {
    sqlx::query(
        "INSERT INTO stores (store_id, seen_in, position) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
    )
    .bind(manifest.store_id.to_string())
    .bind(manifest.run_id.to_string())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn restore_run(transaction: &mut Tx, manifest: &Manifest) -> Result<(), CatalogError> {
    sqlx::query(sql!(
        "INSERT INTO runs (id, kind, state, started_at, finished_at) \
         VALUES ($1, 'rebuilt', '{run_completed}', $2, $2) ON CONFLICT DO NOTHING",
        run_completed = RunState::Completed
    ))
    .bind(manifest.run_id.to_string())
    .bind(millis(manifest.created_at))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Adds the job of a snapshot; whether it exists now. It does not if the run has another job of the store.
async fn restore_job(
    transaction: &mut Tx,
    manifest: &Manifest,
    state: JobState,
) -> Result<bool, CatalogError> {
    sqlx::query(
        "INSERT INTO jobs (id, run_id, store_id, position, claims, state, attempt, trace_id, \
             listed_at, finished_at, row_count, byte_count) \
         VALUES ($1, $2, $3, 0, '{}', $4, $5, $6, $7, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind(manifest.job_id.to_string())
    .bind(manifest.run_id.to_string())
    .bind(manifest.store_id.to_string())
    .bind(state.name())
    .bind(i64::from(manifest.attempt.get()))
    .bind(manifest.trace_id.clone())
    .bind(millis(manifest.created_at))
    .bind(stored(manifest.rows()))
    .bind(stored(manifest.bytes()))
    .execute(&mut **transaction)
    .await?;
    let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE id = $1")
        .bind(manifest.job_id.to_string())
        .fetch_one(&mut **transaction)
        .await?;
    Ok(known == 1)
}
