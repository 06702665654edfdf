//! Changes of a run: leased by the process that publishes it, cancelled, reopened, ended.
//!
//! A lease is held by one process at a time, and counted by the database's clock. That of a killed process runs out, and another process takes the run over.

use std::time::Duration;

use chrono::Utc;
use seedbed_protocol::{RunId, telemetry::trace::TraceContext};

use crate::catalog::{
    database::{Catalog, CatalogError, Lock, Tx, millis, parsed, sql},
    state::{
        IN_FLIGHT,
        JobState::{self, Listed},
        RunState, UNFINISHED,
    },
};

impl Catalog {
    /// Takes or renews the lease to publish the jobs of a run; whether `holder` has it now.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn lease_run(
        &self,
        run_id: RunId,
        holder: &str,
        lease: Duration,
    ) -> Result<bool, CatalogError> {
        let now = self.dialect.now();
        let leased = sqlx::query(sql!(
            "UPDATE runs SET publisher = $2, lease_until = {now} + $3 \
             WHERE id = $1 AND state = '{running}' \
                 AND (publisher IS NULL OR publisher = $2 OR lease_until < {now})",
            running = RunState::Running
        ))
        .bind(run_id.to_string())
        .bind(holder.to_owned())
        .bind(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 2))
        .execute(&self.pool)
        .await?;
        Ok(leased.rows_affected() == 1)
    }

    /// Releases the lease of a run.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn release_run(&self, run_id: RunId, holder: &str) -> Result<(), CatalogError> {
        sqlx::query(
            "UPDATE runs SET publisher = NULL, lease_until = NULL WHERE id = $1 AND publisher = $2",
        )
        .bind(run_id.to_string())
        .bind(holder.to_owned())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Returns runs with unpublished jobs and without a valid lease, oldest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn unpublished_runs(&self) -> Result<Vec<RunId>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT id FROM runs \
             WHERE state = '{running}' AND (publisher IS NULL OR lease_until < {now}) \
                 AND EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = '{Listed}') \
             ORDER BY started_at, id",
            running = RunState::Running,
            now = self.dialect.now()
        ))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| parsed(row, "id", "a run id"))
            .collect()
    }

    /// Returns the trace in which a run was listed; empty for a run of an older version.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn run_trace(&self, run_id: RunId) -> Result<TraceContext, CatalogError> {
        let traceparent = sqlx::query_scalar("SELECT traceparent FROM runs WHERE id = $1")
            .bind(run_id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        Ok(TraceContext {
            traceparent: traceparent.flatten(),
            tracestate: None,
        })
    }

    /// Returns whether the jobs of a run download every row.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn is_full_run(&self, run_id: RunId) -> Result<bool, CatalogError> {
        let is_full: Option<Option<i64>> =
            sqlx::query_scalar("SELECT is_full FROM runs WHERE id = $1")
                .bind(run_id.to_string())
                .fetch_optional(&self.pool)
                .await?;
        Ok(is_full.flatten() == Some(1))
    }

    /// Cancels a run, so that no further jobs of it are published; whether no process is publishing it any more.
    /// The run ends with its last job.
    ///
    /// # Errors
    /// [`CatalogError::UnknownRun`], [`CatalogError::RunEnded`].
    pub async fn stop_publishing(&self, run_id: RunId) -> Result<bool, CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        let state = run_state(&mut transaction, run_id).await?;
        if !UNFINISHED.has(state) {
            return Err(CatalogError::RunEnded { run_id, state });
        }
        sqlx::query("UPDATE runs SET state = $2 WHERE id = $1")
            .bind(run_id.to_string())
            .bind(RunState::Cancelled.name())
            .execute(&mut *transaction)
            .await?;
        let publishing: i64 = sqlx::query_scalar(sql!(
            "SELECT COUNT(*) FROM runs \
             WHERE id = $1 AND publisher IS NOT NULL AND lease_until >= {}",
            self.dialect.now()
        ))
        .bind(run_id.to_string())
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(publishing == 0)
    }

    /// Ends every run without a job in flight: as abandoned if a job was abandoned, cancelled if the run was,
    /// failed if a job failed, else completed.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn finish_runs(&self) -> Result<(), CatalogError> {
        // The lock: a retry may be adding jobs to a run that would end here.
        let mut transaction = self.locked(Lock::Writer).await?;
        sqlx::query(sql!(
            "UPDATE runs SET finished_at = $1, publisher = NULL, lease_until = NULL, state = CASE \
                 WHEN EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = '{job_abandoned}') \
                     THEN '{abandoned}' \
                 WHEN state = '{cancelled}' THEN '{cancelled}' \
                 WHEN EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = '{job_failed}') \
                     THEN '{failed}' \
                 ELSE '{completed}' END \
             WHERE state IN ({UNFINISHED}) AND finished_at IS NULL AND NOT EXISTS ( \
                 SELECT 1 FROM jobs WHERE run_id = runs.id AND state IN ({IN_FLIGHT}))",
            job_abandoned = JobState::Abandoned,
            job_failed = JobState::Failed,
            abandoned = RunState::Abandoned,
            cancelled = RunState::Cancelled,
            failed = RunState::Failed,
            completed = RunState::Completed
        ))
        .bind(millis(Utc::now()))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}

pub(in crate::catalog) async fn run_state(
    transaction: &mut Tx,
    run_id: RunId,
) -> Result<RunState, CatalogError> {
    let run = sqlx::query("SELECT state FROM runs WHERE id = $1")
        .bind(run_id.to_string())
        .fetch_optional(&mut **transaction)
        .await?;
    let run = run.ok_or(CatalogError::UnknownRun { run_id })?;
    parsed(&run, "state", "the state of a run")
}

/// Reopens a run that has ended, since a job was added to it.
pub(in crate::catalog) async fn reopen_run(
    transaction: &mut Tx,
    run_id: RunId,
) -> Result<(), CatalogError> {
    sqlx::query("UPDATE runs SET state = $2, finished_at = NULL WHERE id = $1")
        .bind(run_id.to_string())
        .bind(RunState::Running.name())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
