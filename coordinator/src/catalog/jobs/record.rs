//! Jobs as they are shown: pages of a run, failures, the newest job of a store.

use chrono::{DateTime, Utc};
use seedbed_protocol::{JobId, RunId, StoreId};
use serde::Serialize;
use sqlx::{Row, any::AnyRow};

use super::waits::is_too_many_streams;
use crate::catalog::{
    database::{Catalog, CatalogError, count, cut_page, parsed, pattern, sql, time},
    state::JobState::{self, Failed, Retried},
};

/// The columns of a [`JobRecord`], of the table with the alias `job`.
pub(in crate::catalog) const JOB_COLUMNS: &str = "\
     job.id AS job_id, job.run_id AS job_run_id, job.store_id AS job_store_id, \
     job.state AS job_state, job.attempt, job.worker, job.trace_id, job.listed_at, job.started_at, \
     job.finished_at, job.failure_kind, job.failure_step, job.failure_message, job.position, job.way, \
     job.why, job.retry_at, \
     (SELECT later.state FROM jobs later WHERE later.store_id = job.store_id AND later.id > job.id \
      ORDER BY later.id DESC LIMIT 1) AS later_state";

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobRecord {
    /// Its id.
    pub job_id: JobId,
    /// Its run.
    pub run_id: RunId,
    /// Its store.
    pub store_id: StoreId,
    /// Its state.
    pub state: JobState,
    /// The newest attempt that was reported; 0 before the first.
    pub attempt: u64,
    /// The worker of its last attempt.
    pub worker: Option<String>,
    /// Its trace, as 32 hex digits.
    pub trace_id: Option<String>,
    /// When it was listed.
    pub listed_at: DateTime<Utc>,
    /// When a worker started it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How its snapshot was made: `unchanged`, `base` or `full`.
    pub way: Option<String>,
    /// Why every row was downloaded, if it was.
    pub why: Option<String>,
    /// Why its last attempt failed, unless a later one succeeded.
    pub failure: Option<JobFailure>,
    /// When it is tried again, as long as it waits for that.
    pub retry_at: Option<DateTime<Utc>>,
    /// Whether it waits since the service has as many streams open as it allows (429).
    pub waits_for_service: bool,
    /// The state of its store's newest job, if that is a later one, such as a retry.
    pub later: Option<JobState>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobFailure {
    /// `transient` or `permanent`.
    pub kind: Option<String>,
    /// The step that failed.
    pub step: Option<String>,
    /// Why.
    pub message: String,
}

/// Selects jobs of a run.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only those in this state; by default all but retried ones, which other jobs replaced.
    pub state: Option<JobState>,
    /// Only jobs of stores whose id contains this, in upper or lower case.
    pub search: Option<String>,
}

/// A place in the pages of a run's jobs: position and id.
pub type JobCursor = (i64, JobId);

/// A job that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedJob {
    /// The store.
    pub store_id: StoreId,
    /// Its attempts.
    pub attempts: u64,
    /// `transient` or `permanent`.
    pub kind: Option<String>,
    /// The step that failed.
    pub step: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// The trace of the job.
    pub trace_id: Option<String>,
    /// Whether the store was quarantined when the run was listed.
    pub is_probe: bool,
    /// The state of its store's newest job, if that is a later one, such as a retry.
    pub later: Option<JobState>,
}

/// When the newest job of a store was listed, and whether it is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestAttempt {
    /// When it was listed.
    pub listed_at: DateTime<Utc>,
    /// Whether it has not ended.
    pub in_flight: bool,
}

impl Catalog {
    /// Returns a page of a run's jobs in the order of the list of stores, at most `limit` after `after`, and the cursor
    /// of the next page.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn jobs_page(
        &self,
        run_id: RunId,
        filter: &JobFilter,
        after: Option<JobCursor>,
        limit: u32,
    ) -> Result<(Vec<JobRecord>, Option<JobCursor>), CatalogError> {
        let (position, id) = match after {
            Some((position, id)) => (position, id.to_string()),
            None => (i64::MIN, String::new()),
        };
        let statement = sql!(
            "SELECT {JOB_COLUMNS} FROM jobs job \
             WHERE job.run_id = $1 AND (job.state = $2 OR $2 = '' AND job.state <> '{Retried}') \
                 AND LOWER(job.store_id) LIKE LOWER($3) ESCAPE '\\' \
                 AND (job.position > $4 OR job.position = $4 AND job.id > $5) \
             ORDER BY job.position, job.id LIMIT $6"
        );
        let mut rows = sqlx::query(statement)
            .bind(run_id.to_string())
            .bind(filter.state.map_or("", JobState::name))
            .bind(pattern(filter.search.as_deref()))
            .bind(position)
            .bind(id)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.readers)
            .await?;
        let next = cut_page(&mut rows, limit, |last| {
            let id = parsed(last, "job_id", "a job id")?;
            Ok::<_, CatalogError>((last.try_get("position")?, id))
        });
        let jobs: Vec<JobRecord> = rows.iter().map(job).collect::<Result<_, _>>()?;
        Ok((jobs, next.transpose()?))
    }

    /// Returns jobs of a run that failed for good, in the order of the list of stores; at most `limit`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn failed_jobs(
        &self,
        run_id: RunId,
        limit: i64,
    ) -> Result<Vec<FailedJob>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT {JOB_COLUMNS}, job.is_probe FROM jobs job \
             WHERE job.run_id = $1 AND job.state = '{Failed}' ORDER BY job.position LIMIT $2"
        ))
        .bind(run_id.to_string())
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(FailedJob {
                    store_id: parsed(row, "job_store_id", "a store id")?,
                    attempts: count(row, "attempt")?,
                    kind: row.try_get("failure_kind")?,
                    step: row.try_get("failure_step")?,
                    message: row.try_get("failure_message")?,
                    trace_id: row.try_get("trace_id")?,
                    is_probe: row.try_get::<Option<i64>, _>("is_probe")?.is_some(),
                    later: later(row)?,
                })
            })
            .collect()
    }

    /// Returns the newest job of a store, if it ever had one.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn newest_attempt(
        &self,
        store_id: &StoreId,
    ) -> Result<Option<NewestAttempt>, CatalogError> {
        let row = sqlx::query(
            "SELECT state, listed_at FROM jobs WHERE store_id = $1 ORDER BY id DESC LIMIT 1",
        )
        .bind(store_id.to_string())
        .fetch_optional(&self.readers)
        .await?;
        let newest = row.map(|row| {
            let state: JobState = parsed(&row, "state", "the state of a job")?;
            Ok(NewestAttempt {
                listed_at: time(row.try_get("listed_at")?)?,
                in_flight: state.is_in_flight(),
            })
        });
        newest.transpose()
    }
}

fn later(row: &AnyRow) -> Result<Option<JobState>, CatalogError> {
    let later: Option<String> = row.try_get("later_state")?;
    let state = later.map(|_| parsed(row, "later_state", "the state of a job"));
    state.transpose()
}

pub(in crate::catalog) fn job(row: &AnyRow) -> Result<JobRecord, CatalogError> {
    let optional_time = |column: &str| -> Result<Option<DateTime<Utc>>, CatalogError> {
        let millis: Option<i64> = row.try_get(column)?;
        millis.map(time).transpose()
    };
    let state: JobState = parsed(row, "job_state", "the state of a job")?;
    let message: Option<String> = row.try_get("failure_message")?;
    let failure = match message.filter(|_| !state.succeeded()) {
        Some(message) => Some(JobFailure {
            kind: row.try_get("failure_kind")?,
            step: row.try_get("failure_step")?,
            message,
        }),
        None => None,
    };
    let retry_at = optional_time("retry_at")?.filter(|_| state == JobState::Queued);
    let is_429 = |failure: &JobFailure| is_too_many_streams(&failure.message);
    Ok(JobRecord {
        retry_at,
        waits_for_service: retry_at.is_some() && failure.as_ref().is_some_and(is_429),
        job_id: parsed(row, "job_id", "a job id")?,
        run_id: parsed(row, "job_run_id", "a run id")?,
        store_id: parsed(row, "job_store_id", "a store id")?,
        state,
        attempt: count(row, "attempt")?,
        worker: row.try_get("worker")?,
        trace_id: row.try_get("trace_id")?,
        listed_at: time(row.try_get("listed_at")?)?,
        started_at: optional_time("started_at")?,
        finished_at: optional_time("finished_at")?,
        way: row.try_get("way")?,
        why: row.try_get("why")?,
        failure,
        later: later(row)?,
    })
}
