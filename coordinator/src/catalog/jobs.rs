//! Jobs on their way: published, abandoned, and the runs that they add up to.

use chrono::Utc;
use seedbed_protocol::{JobId, JsonObject, RunId, StoreId, message::Scope};
use sqlx::Row;

use super::{Catalog, CatalogError, damaged, millis, parsed};

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

    /// Notes that jobs were published, with the trace of each. A job that a worker has already reported
    /// about stays as it is.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn mark_queued(&self, jobs: &[(JobId, Option<String>)]) -> Result<(), CatalogError> {
        let mut transaction = self.pool.begin().await?;
        for (job_id, trace_id) in jobs {
            sqlx::query(
                "UPDATE jobs SET state = 'queued', trace_id = $2 WHERE id = $1 AND state = 'listed'",
            )
            .bind(job_id.to_string())
            .bind(trace_id.clone())
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Some of the jobs in flight, of any run; at most `limit`. Empty when there are none.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn jobs_in_flight(&self, limit: i64) -> Result<Vec<PendingJob>, CatalogError> {
        let rows = sqlx::query(
            "SELECT id, run_id, store_id, position, claims FROM jobs \
             WHERE state IN ('listed', 'queued', 'running') LIMIT $1",
        )
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
        let mut transaction = self.pool.begin().await?;
        for job in jobs {
            sqlx::query(
                "UPDATE jobs SET state = 'abandoned', finished_at = $2 \
                 WHERE id = $1 AND state IN ('listed', 'queued', 'running')",
            )
            .bind(job.job_id.to_string())
            .bind(millis(Utc::now()))
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Ends every run that has no job in flight any more: `abandoned` if a job was, `failed` if one did,
    /// else `completed`.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn finish_runs(&self) -> Result<(), CatalogError> {
        sqlx::query(
            "UPDATE runs SET finished_at = $1, state = CASE \
                 WHEN EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = 'abandoned') \
                     THEN 'abandoned' \
                 WHEN EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = 'failed') \
                     THEN 'failed' \
                 ELSE 'completed' END \
             WHERE state = 'running' AND NOT EXISTS ( \
                 SELECT 1 FROM jobs \
                 WHERE run_id = runs.id AND state IN ('listed', 'queued', 'running'))",
        )
        .bind(millis(Utc::now()))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

fn pending_job(row: &sqlx::any::AnyRow) -> Result<PendingJob, CatalogError> {
    let job_id: JobId = parsed(row, "id", "a job id")?;
    let claims: String = row.try_get("claims")?;
    let claims: JsonObject = serde_json::from_str(&claims)
        .map_err(|_| damaged(claims, format!("the claims of the job {job_id}")))?;
    let store_id: StoreId = parsed(row, "store_id", "a store id")?;
    Ok(PendingJob {
        job_id,
        run_id: parsed(row, "run_id", "a run id")?,
        position: row.try_get("position")?,
        scope: Scope { store_id, claims },
    })
}
