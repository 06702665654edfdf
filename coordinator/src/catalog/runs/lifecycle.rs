//! Changes of a run: added, leased by the process that publishes it, cancelled, ended.
//!
//! A lease is held by one process at a time, and counted by the database's clock. That of a killed process runs out, and another process takes the run over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use seedbed_protocol::{RunId, telemetry::trace::TraceContext};
use sqlx::Row;
use tracing::Span;

use super::kind::RunKind;
use crate::catalog::{
    database::{Catalog, CatalogError, Lock, Tx, millis, parsed, sql},
    quarantine::judge_sweep,
    state::{
        IN_FLIGHT,
        JobState::{self, Listed},
        RunState, SUCCEEDED, UNFINISHED,
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

    /// Returns runs with unpublished jobs and without a valid lease: those for stores that clients wait for, and then the
    /// others, each oldest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn unpublished_runs(&self) -> Result<Vec<RunId>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT id FROM runs \
             WHERE state = '{running}' AND (publisher IS NULL OR lease_until < {now}) \
                 AND EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = '{Listed}') \
             ORDER BY CASE kind WHEN '{demand}' THEN 0 ELSE 1 END, started_at, id",
            running = RunState::Running,
            now = self.dialect.now(),
            demand = RunKind::Demand.name()
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
    /// failed if a job failed, else completed. A failed probe of a quarantined store fails the run only if no store
    /// succeeded. Notes which stores failed alone in a sweep. The end is when the last job ended, and never changes.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub async fn finish_runs(&self) -> Result<(), CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        let over = sqlx::query(sql!(
            "SELECT id, started_at, sweep, \
                 (SELECT MAX(finished_at) FROM jobs WHERE run_id = runs.id) AS last_end FROM runs \
             WHERE state IN ({UNFINISHED}) AND finished_at IS NULL AND NOT EXISTS ( \
                 SELECT 1 FROM jobs WHERE run_id = runs.id AND state IN ({IN_FLIGHT}))"
        ))
        .fetch_all(&mut *transaction)
        .await?;
        for run in &over {
            let run_id: RunId = parsed(run, "id", "a run id")?;
            let sweep: Option<String> = run.try_get("sweep")?;
            if let Some(sweep) = sweep {
                judge_sweep(&mut transaction, run_id, sweep == CHANGED).await?;
            }
            let (started_at, now) = (run.try_get("started_at")?, millis(transaction.now().await?));
            let last_end: Option<i64> = run.try_get("last_end")?;
            // Workers have other clocks: the end is never before the start, nor in the future.
            let ended_at = last_end.unwrap_or(now).min(now).max(started_at);
            end_run(&mut transaction, run_id, ended_at).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Ends a run whose jobs have all ended.
async fn end_run(tx: &mut Tx, run_id: RunId, ended_at: i64) -> Result<(), CatalogError> {
    let any = |condition: String| {
        format!("EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND {condition})")
    };
    sqlx::query(sql!(
        "UPDATE runs SET finished_at = $2, ended_at = COALESCE(ended_at, $2), publisher = NULL, \
             lease_until = NULL, state = CASE \
             WHEN {abandoned_job} THEN '{abandoned}' \
             WHEN state = '{cancelled}' THEN '{cancelled}' \
             WHEN {failed_job} OR {failed_probe} AND NOT {succeeded_job} THEN '{failed}' \
             ELSE '{completed}' END \
         WHERE id = $1",
        abandoned_job = any(format!("state = '{}'", JobState::Abandoned)),
        failed_job = any(format!(
            "state = '{}' AND is_probe IS NULL",
            JobState::Failed
        )),
        failed_probe = any(format!("state = '{}'", JobState::Failed)),
        succeeded_job = any(format!("state IN ({SUCCEEDED})")),
        abandoned = RunState::Abandoned,
        cancelled = RunState::Cancelled,
        failed = RunState::Failed,
        completed = RunState::Completed
    ))
    .bind(run_id.to_string())
    .bind(ended_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// In the column `sweep`: a sweep over a whole list.
const ALL: &str = "all";

/// In the column `sweep`: a sweep over a list that may leave out what has not changed.
const CHANGED: &str = "changed";

/// A run that starts now.
pub(in crate::catalog) struct NewRun {
    pub(in crate::catalog) kind: RunKind,
    /// Whether its jobs download every row.
    pub(in crate::catalog) is_full: bool,
    /// Whether it is over a list of stores, rather than over chosen ones.
    pub(in crate::catalog) is_sweep: bool,
    /// Whether that list may leave out stores that have not changed.
    pub(in crate::catalog) is_partial: bool,
}

/// Has runs that begin later than now, since the clock was ahead then, begin just before now: a run that is added now is newer, and
/// the newest run must not be one of tomorrow until then. Each keeps how long it took.
async fn end_the_future(tx: &mut Tx, now: DateTime<Utc>) -> Result<(), CatalogError> {
    sqlx::query(
        "UPDATE runs SET finished_at = finished_at - (started_at - $1), ended_at = ended_at - (started_at - $1), \
         started_at = $1 WHERE started_at > $1",
    )
    .bind(millis(now) - 1)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Adds a run, within the trace of the caller. Returns its id and its start.
pub(in crate::catalog) async fn add_run(
    tx: &mut Tx,
    run: NewRun,
) -> Result<(RunId, DateTime<Utc>), CatalogError> {
    let (run_id, started_at) = (RunId::new(), tx.now().await?);
    end_the_future(tx, started_at).await?;
    let sweep = if run.is_partial { CHANGED } else { ALL };
    sqlx::query(sql!(
        "INSERT INTO runs (id, kind, state, started_at, traceparent, is_full, sweep) \
         VALUES ($1, $2, '{running}', $3, $4, $5, $6)",
        running = RunState::Running
    ))
    .bind(run_id.to_string())
    .bind(run.kind.name())
    .bind(millis(started_at))
    .bind(TraceContext::of(&Span::current()).traceparent)
    .bind(i64::from(run.is_full))
    .bind(run.is_sweep.then_some(sweep))
    .execute(&mut **tx)
    .await?;
    Ok((run_id, started_at))
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
