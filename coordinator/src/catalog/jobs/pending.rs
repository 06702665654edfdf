//! Jobs on their way: published, given up, and the runs that they add up to.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{
    JobId, JsonObject, RunId, StoreId,
    message::{BaseSnapshot, Scope},
    trace::TraceContext,
};
use sqlx::{AssertSqlSafe, Row};

use crate::catalog::{
    Catalog, CatalogError, damaged,
    database::sql::{Lock, list_of},
    in_flight, millis, parsed, printable,
    runs::snapshot_record,
};

/// A job that is not in a final state.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingJob {
    /// The job.
    pub job_id: JobId,
    /// Its run.
    pub run_id: RunId,
    /// The line or row of the list of stores.
    pub position: i64,
    /// What selects the store's rows.
    pub scope: Scope,
}

/// A job that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedJob {
    /// The job.
    pub job_id: JobId,
    /// The trace that it is followed in.
    pub trace_id: Option<String>,
    /// After it no worker works on the job.
    pub deadline: DateTime<Utc>,
}

impl Catalog {
    /// The next jobs of a run that were never published, after the job `after` at its place; at most
    /// `limit`. The place alone would not do: nothing keeps two stores from sharing one.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn listed_jobs(
        &self,
        run_id: RunId,
        after: Option<(i64, JobId)>,
        limit: i64,
    ) -> Result<Vec<PendingJob>, CatalogError> {
        let (position, job_id) = match after {
            Some((position, job_id)) => (position, job_id.to_string()),
            None => (i64::MIN, String::new()),
        };
        let rows = sqlx::query(
            "SELECT id, run_id, store_id, position, claims FROM jobs \
             WHERE run_id = $1 AND (position, id) > ($2, $3) AND state = 'listed' \
             ORDER BY position, id LIMIT $4",
        )
        .bind(run_id.to_string())
        .bind(position)
        .bind(job_id)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(pending_job).collect()
    }

    /// Notes that jobs were published. What a worker has already reported about one stays.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn mark_queued(&self, jobs: &[QueuedJob]) -> Result<(), CatalogError> {
        if jobs.is_empty() {
            return Ok(());
        }
        // Casts, since Postgres takes parameters in a list of values for texts.
        let published: Vec<String> = (0..jobs.len())
            .map(|job| {
                let (id, trace_id, deadline) = (3 * job + 1, 3 * job + 2, 3 * job + 3);
                format!("(${id}, CAST(${trace_id} AS TEXT), CAST(${deadline} AS BIGINT))")
            })
            .collect();
        let statement = format!(
            "WITH published (id, trace_id, deadline) AS (VALUES {}) \
             UPDATE jobs SET deadline = published.deadline, \
                 trace_id = COALESCE(jobs.trace_id, published.trace_id), \
                 state = CASE WHEN jobs.state = 'listed' THEN 'queued' ELSE jobs.state END \
             FROM published WHERE jobs.id = published.id",
            published.join(", ")
        );
        let mut transaction = self.locked(Lock::Writer).await?;
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for job in jobs {
            query = query
                .bind(job.job_id.to_string())
                .bind(job.trace_id.clone())
                .bind(millis(job.deadline));
        }
        query.execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Takes or renews the right to publish the jobs of a run; whether `holder` has it now.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn lease_run(
        &self,
        run_id: RunId,
        holder: &str,
        lease: Duration,
    ) -> Result<bool, CatalogError> {
        let now = Utc::now();
        let leased = sqlx::query(
            "UPDATE runs SET publisher = $2, lease_until = $4 \
             WHERE id = $1 AND state = 'running' \
                 AND (publisher IS NULL OR publisher = $2 OR lease_until < $3)",
        )
        .bind(run_id.to_string())
        .bind(holder.to_owned())
        .bind(millis(now))
        .bind(millis(now + lease))
        .execute(&self.pool)
        .await?;
        Ok(leased.rows_affected() == 1)
    }

    /// The trace that a run was listed in; none for a run of an older version.
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

    /// Whether the jobs of a run are to download every row.
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

    /// The live snapshots of the stores of `jobs`, by store.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn bases(
        &self,
        jobs: &[PendingJob],
    ) -> Result<HashMap<StoreId, BaseSnapshot>, CatalogError> {
        if jobs.is_empty() {
            return Ok(HashMap::new());
        }
        let statement = format!(
            "SELECT job_id, state, manifest, verified_at FROM snapshots \
             WHERE state = 'live' AND store_id IN ({})",
            list_of(1, jobs.len())
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for job in jobs {
            query = query.bind(job.scope.store_id.to_string());
        }
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let manifest = snapshot_record(row)?.manifest;
                Ok((manifest.store_id.clone(), BaseSnapshot::from(manifest)))
            })
            .collect()
    }

    /// Gives up the right to publish the jobs of a run.
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

    /// Runs with jobs that were not published, which nobody is publishing, oldest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn unpublished_runs(&self) -> Result<Vec<RunId>, CatalogError> {
        let rows = sqlx::query(
            "SELECT id FROM runs \
             WHERE state = 'running' AND (publisher IS NULL OR lease_until < $1) \
                 AND EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = 'listed') \
             ORDER BY started_at, id",
        )
        .bind(millis(Utc::now()))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| parsed(row, "id", "a run id"))
            .collect()
    }

    /// Some of the jobs in flight, of any run; at most `limit`. Empty when there are none.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn jobs_in_flight(&self, limit: i64) -> Result<Vec<PendingJob>, CatalogError> {
        let rows = sqlx::query(concat!(
            "SELECT id, run_id, store_id, position, claims FROM jobs WHERE ",
            in_flight!(),
            " LIMIT $1"
        ))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(pending_job).collect()
    }

    /// Ends jobs in flight without a result. Nothing that a worker reports about them counts any more.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn abandon_jobs(&self, jobs: &[PendingJob]) -> Result<(), CatalogError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let statement = format!(
            "UPDATE jobs SET state = 'abandoned', finished_at = $1 WHERE {} AND id IN ({})",
            in_flight!(),
            list_of(2, jobs.len())
        );
        let mut transaction = self.locked(Lock::Writer).await?;
        let mut query = sqlx::query(AssertSqlSafe(statement)).bind(millis(Utc::now()));
        for job in jobs {
            query = query.bind(job.job_id.to_string());
        }
        query.execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Fails a job that nobody can work on.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn fail_job(
        &self,
        job_id: JobId,
        step: &'static str,
        reason: &str,
    ) -> Result<(), CatalogError> {
        sqlx::query(concat!(
            "UPDATE jobs SET state = 'failed', finished_at = $2, failure_kind = 'permanent', \
                 failure_step = $3, failure_message = $4 WHERE id = $1 AND ",
            in_flight!()
        ))
        .bind(job_id.to_string())
        .bind(millis(Utc::now()))
        .bind(step)
        .bind(printable(reason))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Fails jobs that were not heard of until `grace` after their deadline, and says how many. A job that was
    /// started before its publication was recorded has `longest` from its start. Should a snapshot of one turn
    /// up after all, it counts.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn expire_jobs(
        &self,
        longest: Duration,
        grace: TimeDelta,
    ) -> Result<u64, CatalogError> {
        let now = Utc::now();
        let mut transaction = self.locked(Lock::Writer).await?;
        let expired = sqlx::query(
            "UPDATE jobs SET state = 'failed', finished_at = $1, failure_kind = 'transient', \
                 failure_step = 'queue', failure_message = \
                 'no worker ended it before its deadline; start more workers or raise \
                  worker.job_deadline, then seedbed retry' \
                 || COALESCE('. The last failure was: ' || failure_message, '') \
             WHERE state IN ('queued', 'running') AND COALESCE(deadline, started_at + $3) < $2",
        )
        .bind(millis(now))
        .bind(millis(now - grace))
        .bind(i64::try_from(longest.as_millis()).unwrap_or(i64::MAX / 2))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(expired.rows_affected())
    }

    /// Ends every run that has no job in flight any more: `abandoned` if a job was, `cancelled` if the run was,
    /// `failed` if a job did, else `completed`.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn finish_runs(&self) -> Result<(), CatalogError> {
        // The lock: a retry may be adding jobs to a run that is at its end.
        let mut transaction = self.locked(Lock::Writer).await?;
        sqlx::query(
            "UPDATE runs SET finished_at = $1, publisher = NULL, lease_until = NULL, state = CASE \
                 WHEN EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = 'abandoned') \
                     THEN 'abandoned' \
                 WHEN state = 'cancelled' THEN 'cancelled' \
                 WHEN EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = 'failed') \
                     THEN 'failed' \
                 ELSE 'completed' END \
             WHERE state IN ('running', 'cancelled') AND finished_at IS NULL AND NOT EXISTS ( \
                 SELECT 1 FROM jobs \
                 WHERE run_id = runs.id AND state IN ('listed', 'queued', 'running'))",
        )
        .bind(millis(Utc::now()))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}

pub(in crate::catalog) fn pending_job(row: &sqlx::any::AnyRow) -> Result<PendingJob, CatalogError> {
    let store_id: StoreId = parsed(row, "store_id", "a store id")?;
    let claims = claims(row)?;
    Ok(PendingJob {
        job_id: parsed(row, "id", "a job id")?,
        run_id: parsed(row, "run_id", "a run id")?,
        position: row.try_get("position")?,
        scope: Scope { store_id, claims },
    })
}

/// The claims of a job of the store that the row names.
pub(in crate::catalog) fn claims(row: &sqlx::any::AnyRow) -> Result<JsonObject, CatalogError> {
    let claims: String = row.try_get("claims")?;
    serde_json::from_str(&claims).map_err(|_| {
        let store_id = row.try_get::<String, _>("store_id").unwrap_or_default();
        damaged(
            claims,
            format!("the claims of a job of the store {store_id:?}"),
        )
    })
}
