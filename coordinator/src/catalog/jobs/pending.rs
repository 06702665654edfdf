//! Jobs in flight: the next ones to publish, those that were published, and those that are failed or abandoned.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{
    Attempt, JobId, JsonObject, RunId, StoreId,
    message::{FailureKind, Scope},
};
use sqlx::Row;

use crate::catalog::{
    database::{
        Catalog, CatalogError, Lock, damaged, elapsed, ids, json, millis, parsed, printable, sql,
    },
    state::{
        IN_FLIGHT,
        JobState::{Abandoned, Failed, Listed, Queued, Running},
        PUBLISHED, failure_kind,
    },
};

/// The bits of a job's turn below its class; that of stores that clients asked for is 0.
pub(in crate::catalog) const CLASS_SHIFT: u32 = 56;

/// A job in flight.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingJob {
    /// The job.
    pub job_id: JobId,
    /// Its run.
    pub run_id: RunId,
    /// When it is published, compared with the other jobs of its run: the lowest first.
    pub turn: i64,
    /// The store's line or row in the list.
    pub position: i64,
    /// What selects the store's rows.
    pub scope: Scope,
    /// The attempt that comes next: after the newest one that an event told of.
    pub attempt: Attempt,
}

impl PendingJob {
    /// Returns whether a client waits for it. Of jobs that an older version listed, nobody knows.
    pub fn is_asked_for(&self) -> bool {
        self.turn > 0 && self.turn >> CLASS_SHIFT == 0
    }
}

/// A job that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedJob {
    /// The job.
    pub job_id: JobId,
    /// Its trace.
    pub trace_id: Option<String>,
    /// When workers give it up.
    pub deadline: DateTime<Utc>,
}

impl Catalog {
    /// Returns the next jobs of a run that were never published, in the order in which they go out: at most `limit`, those
    /// that come after the job `after`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn listed_jobs(
        &self,
        run_id: RunId,
        after: Option<&PendingJob>,
        limit: i64,
    ) -> Result<Vec<PendingJob>, CatalogError> {
        // The turn and the position are not enough: two stores may share both.
        let (turn, position, job_id) = match after {
            Some(after) => (after.turn, after.position, after.job_id.to_string()),
            None => (i64::MIN, i64::MIN, String::new()),
        };
        let rows = sqlx::query(sql!(
            "SELECT id, run_id, store_id, turn, position, claims, attempt FROM jobs \
             WHERE run_id = $1 AND (turn, position, id) > ($2, $3, $4) AND state = '{Listed}' \
             ORDER BY turn, position, id LIMIT $5"
        ))
        .bind(run_id.to_string())
        .bind(turn)
        .bind(position)
        .bind(job_id)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(pending_job).collect()
    }

    /// Returns the jobs of a run that were never published and that clients wait for, see [`PendingJob::is_asked_for`]; at
    /// most `limit`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn asked_jobs(
        &self,
        run_id: RunId,
        limit: i64,
    ) -> Result<Vec<PendingJob>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT id, run_id, store_id, turn, position, claims, attempt FROM jobs \
             WHERE run_id = $1 AND turn > 0 AND turn < $2 AND state = '{Listed}' \
             ORDER BY turn, position, id LIMIT $3"
        ))
        .bind(run_id.to_string())
        .bind(1_i64 << CLASS_SHIFT)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(pending_job).collect()
    }

    /// Records that jobs were published. What a worker has already reported about one stays.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn mark_queued(&self, jobs: &[QueuedJob]) -> Result<(), CatalogError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let statement = sql!(
            "WITH published AS MATERIALIZED ({}) \
             UPDATE jobs SET deadline = published.deadline, \
                 moved_at = CASE WHEN jobs.state = '{Listed}' THEN $2 ELSE jobs.moved_at END, \
                 trace_id = COALESCE(jobs.trace_id, published.trace_id), \
                 state = CASE WHEN jobs.state = '{Listed}' THEN '{Queued}' ELSE jobs.state END \
             FROM published WHERE jobs.id = published.id",
            (self.dialect).rows_in("id TEXT, trace_id TEXT, deadline BIGINT")
        );
        let mut transaction = self.locked(Lock::Writer).await?;
        let published = jobs.iter().map(|job| {
            let (id, trace_id) = (job.job_id.to_string(), job.trace_id.as_deref());
            (id, trace_id, millis(job.deadline))
        });
        sqlx::query(statement)
            .bind(json(published))
            .bind(millis(Utc::now()))
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Returns jobs in flight, of any run; at most `limit`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn jobs_in_flight(&self, limit: i64) -> Result<Vec<PendingJob>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT id, run_id, store_id, turn, position, claims, attempt FROM jobs \
             WHERE state IN ({IN_FLIGHT}) LIMIT $1"
        ))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(pending_job).collect()
    }

    /// Returns how long the oldest job that no worker has started has waited at `now`; zero without one.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn oldest_waiting(&self, now: DateTime<Utc>) -> Result<Duration, CatalogError> {
        let statement = sql!(
            "SELECT MIN(listed_at) FROM jobs WHERE state IN ({IN_FLIGHT}) AND state <> '{Running}'"
        );
        let oldest: Option<i64> = sqlx::query_scalar(statement)
            .fetch_one(&self.readers)
            .await?;
        Ok(oldest.map_or(Duration::ZERO, |oldest| elapsed(oldest, now)))
    }

    /// Abandons jobs in flight: they end without a result, and later events about them are ignored.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn abandon_jobs(&self, jobs: &[PendingJob]) -> Result<(), CatalogError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let statement = sql!(
            "UPDATE jobs SET state = '{Abandoned}', finished_at = $1 \
             WHERE state IN ({IN_FLIGHT}) AND id {}",
            self.dialect.among(2)
        );
        let mut transaction = self.locked(Lock::Writer).await?;
        sqlx::query(statement)
            .bind(millis(Utc::now()))
            .bind(ids(jobs.iter().map(|job| job.job_id)))
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Fails a job that no worker can work on, such as one that cannot be published.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn fail_job(
        &self,
        job_id: JobId,
        step: &'static str,
        reason: &str,
    ) -> Result<(), CatalogError> {
        // What cannot be published is a matter of its store's claims, or of a template that fits none.
        sqlx::query(sql!(
            "UPDATE jobs SET state = '{Failed}', finished_at = $2, failure_kind = '{permanent}', \
                 failure_step = $3, failure_message = $4, failure_reason = $3 \
             WHERE id = $1 AND state IN ({IN_FLIGHT})",
            permanent = failure_kind(FailureKind::Permanent)
        ))
        .bind(job_id.to_string())
        .bind(millis(Utc::now()))
        .bind(step)
        .bind(printable(reason))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Fails jobs without a result at `grace` after their deadline, and returns how many. A job that was started
    /// before its publication was recorded has no deadline yet: it has `longest` from its start. A snapshot that
    /// arrives late still counts.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn expire_jobs(
        &self,
        longest: Duration,
        grace: TimeDelta,
    ) -> Result<u64, CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        let now = transaction.now().await?;
        let expired = sqlx::query(sql!(
            "UPDATE jobs SET state = '{Failed}', finished_at = $1, failure_kind = '{transient}', \
                 failure_step = 'queue', failure_reason = 'queue: no worker ended it before its deadline', \
                 failure_message = \
                 'no worker ended it before its deadline; start more workers or raise \
                  worker.job_deadline, then seedbed retry' \
                 || COALESCE('. The last failure was: ' || failure_message, '') \
             WHERE state IN ({PUBLISHED}) AND COALESCE(deadline, started_at + $3) < $2",
            transient = failure_kind(FailureKind::Transient)
        ))
        .bind(millis(now))
        .bind(millis(now - grace))
        .bind(i64::try_from(longest.as_millis()).unwrap_or(i64::MAX / 2))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(expired.rows_affected())
    }
}

fn pending_job(row: &sqlx::any::AnyRow) -> Result<PendingJob, CatalogError> {
    let store_id: StoreId = parsed(row, "store_id", "a store id")?;
    let claims = claims(row)?;
    let attempted: i64 = row.try_get("attempt")?;
    let next = u32::try_from(attempted.saturating_add(1)).unwrap_or(u32::MAX);
    Ok(PendingJob {
        job_id: parsed(row, "id", "a job id")?,
        run_id: parsed(row, "run_id", "a run id")?,
        turn: row.try_get("turn")?,
        position: row.try_get("position")?,
        scope: Scope { store_id, claims },
        attempt: Attempt::new(next).unwrap_or(Attempt::FIRST),
    })
}

/// Reads the claims of a job.
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
