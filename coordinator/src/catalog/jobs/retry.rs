//! Retry of failed jobs, and cancellation of jobs that were not started.
//!
//! A retry is a new job: its id is newer, so that ids still tell which snapshot of a store is the newer one, and late
//! events about the old job cannot be taken for events about the new one. It is in a run of its own: how the earlier run
//! ended, and when, stays as it was.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::Utc;
use seedbed_protocol::{JobId, RunId, StoreId};
use serde::Serialize;
use sqlx::Row;

use super::reasons::reason_named;
use crate::catalog::{
    database::{Catalog, CatalogError, Lock, Tx, ids, millis, parsed, sql, take},
    runs::{NewRun, RunKind, add_run, run_state},
    state::{
        JobState::{Cancelled, Failed, Listed},
        NOT_RETRIED, SUCCEEDED, needless_retry,
    },
};

/// The result of a retry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Retried {
    /// Jobs that were listed again.
    pub jobs: u64,
    /// Their runs, which are new.
    pub runs: BTreeSet<RunId>,
    /// Failed jobs without a later success that stay failed, because their store has a later job or is retired.
    pub skipped: u64,
}

/// Which failed jobs are retried: all of them by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct FailedJobs<'a> {
    /// Only those of this run.
    pub run_id: Option<RunId>,
    /// Only those of these stores, unless there are none.
    pub stores: &'a [StoreId],
    /// Only those that failed for the reason with this key.
    pub reason: Option<&'a str>,
}

impl Catalog {
    /// Retries the failed jobs of `run_id`, or of every run, in a new run; only those of `stores`, unless that is empty.
    /// See [`Self::retry`].
    ///
    /// # Errors
    /// [`CatalogError::UnknownRun`].
    pub async fn retry_failed(
        &self,
        run_id: Option<RunId>,
        stores: &[StoreId],
    ) -> Result<Retried, CatalogError> {
        let reason = None;
        let which = FailedJobs {
            run_id,
            stores,
            reason,
        };
        self.retry(which).await
    }

    /// Retries these failed jobs in a new run. Skips a job whose store has a later job, whatever its state, or is retired.
    ///
    /// # Errors
    /// [`CatalogError::UnknownRun`], [`CatalogError::UnknownReason`].
    pub async fn retry(&self, which: FailedJobs<'_>) -> Result<Retried, CatalogError> {
        let FailedJobs { run_id, stores, .. } = which;
        if which.reason.is_some() {
            self.complete_reasons().await?;
        }
        let mut transaction = self.locked(Lock::Listing).await?;
        take(&mut transaction, Lock::Writer).await?;
        if let Some(run_id) = run_id {
            run_state(&mut transaction, run_id).await?;
        }
        let reason = match which.reason {
            Some(key) => reason_named(&mut transaction, key).await?,
            None => String::new(),
        };
        let of_run = run_id.map(|run_id| run_id.to_string()).unwrap_or_default();
        let failed = sqlx::query(sql!(
            "SELECT jobs.id, jobs.store_id, COALESCE(runs.is_full, 0) AS is_full, \
                 CASE WHEN {} THEN 1 ELSE 0 END AS is_needless \
             FROM jobs JOIN runs ON runs.id = jobs.run_id \
             WHERE jobs.state = '{Failed}' AND ($1 = '' OR jobs.run_id = $1) \
                 AND ($2 = '' OR jobs.failure_reason = $2) AND NOT EXISTS ( \
                 SELECT 1 FROM jobs later WHERE later.store_id = jobs.store_id \
                     AND later.id > jobs.id AND later.state IN ({SUCCEEDED}))",
            needless_retry()
        ))
        .bind(of_run)
        .bind(reason)
        .fetch_all(&mut *transaction)
        .await?;
        let mut retried = Retried::default();
        // Whether every row is downloaded is said of a run: up to two new ones.
        let mut new_runs: HashMap<bool, RunId> = HashMap::new();
        for job in failed {
            let store_id: StoreId = parsed(&job, "store_id", "a store id")?;
            if !stores.is_empty() && !stores.contains(&store_id) {
                continue;
            }
            if job.try_get::<i32, _>("is_needless")? != 0 {
                retried.skipped += 1;
                continue;
            }
            let is_full = job.try_get::<i64, _>("is_full")? != 0;
            let new_run = match new_runs.get(&is_full) {
                Some(&new_run) => new_run,
                None => {
                    let new_run = new_run(&mut transaction, is_full).await?;
                    new_runs.insert(is_full, new_run);
                    new_run
                }
            };
            start_over(&mut transaction, parsed(&job, "id", "a job id")?, new_run).await?;
            retried.jobs += 1;
        }
        retried.runs = new_runs.into_values().collect();
        transaction.commit().await?;
        Ok(retried)
    }

    /// Returns those of `jobs` that need no retry any more.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn replaced_among(&self, jobs: &[JobId]) -> Result<HashSet<JobId>, CatalogError> {
        self.jobs_among(
            jobs,
            &format!(
                "(state IN ({NOT_RETRIED}) OR state = '{Failed}' AND EXISTS ( \
                     SELECT 1 FROM jobs later \
                     WHERE later.store_id = jobs.store_id AND later.id > jobs.id))"
            ),
        )
        .await
    }

    /// Returns those of `jobs` that are cancelled.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn cancelled_among(&self, jobs: &[JobId]) -> Result<HashSet<JobId>, CatalogError> {
        self.jobs_among(jobs, &format!("state = '{Cancelled}'"))
            .await
    }

    /// Returns those of `jobs` for which `condition` holds.
    async fn jobs_among(
        &self,
        jobs: &[JobId],
        condition: &str,
    ) -> Result<HashSet<JobId>, CatalogError> {
        if jobs.is_empty() {
            return Ok(HashSet::new());
        }
        let statement = sql!(
            "SELECT id FROM jobs WHERE {condition} AND id {}",
            self.dialect.among(1)
        );
        let query = sqlx::query(statement).bind(ids(jobs));
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| parsed(row, "id", "a job id"))
            .collect()
    }
}

/// Adds a run of failed jobs.
async fn new_run(transaction: &mut Tx, is_full: bool) -> Result<RunId, CatalogError> {
    let run = NewRun {
        kind: RunKind::Retry,
        is_full,
        is_sweep: false,
        is_partial: false,
    };
    let (run_id, _) = add_run(transaction, run).await?;
    Ok(run_id)
}

/// Adds a new job for a failed one.
async fn start_over(
    transaction: &mut Tx,
    job_id: JobId,
    new_run: RunId,
) -> Result<(), CatalogError> {
    sqlx::query(sql!(
        "INSERT INTO jobs (id, run_id, store_id, turn, position, claims, state, attempt, listed_at, \
             row_count, byte_count) \
         SELECT $2, $4, store_id, turn, position, claims, '{Listed}', 0, CAST($3 AS BIGINT), \
             row_count, byte_count \
         FROM jobs WHERE id = $1"
    ))
    .bind(job_id.to_string())
    .bind(JobId::after(job_id).to_string())
    .bind(millis(Utc::now()))
    .bind(new_run.to_string())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
