//! What the catalog knows of jobs whose messages were parked: the state of each, and how many a retry would start over.

use std::collections::HashMap;

use seedbed_protocol::{JobId, RunId, StoreId};
use sqlx::Row;

use crate::catalog::{
    database::{Catalog, CatalogError, count, ids, parsed, sql},
    state::{
        JobState::{self, Failed},
        needless_retry,
    },
};

/// A job of which a message was parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadJob {
    /// Its run.
    pub run_id: RunId,
    /// Its store.
    pub store_id: StoreId,
    /// Its state.
    pub state: JobState,
    /// The newest attempt that an event told of; 0 before the first.
    pub attempt: u64,
    /// The worker of that attempt.
    pub worker: Option<String>,
}

impl Catalog {
    /// Returns those of `jobs` that the catalog knows.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn dead_jobs(&self, jobs: &[JobId]) -> Result<HashMap<JobId, DeadJob>, CatalogError> {
        if jobs.is_empty() {
            return Ok(HashMap::new());
        }
        let statement = sql!(
            "SELECT id, run_id, store_id, state, attempt, worker FROM jobs WHERE id {}",
            self.dialect.among(1)
        );
        let rows = sqlx::query(statement)
            .bind(ids(jobs))
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let job = DeadJob {
                    run_id: parsed(row, "run_id", "a run id")?,
                    store_id: parsed(row, "store_id", "a store id")?,
                    state: parsed(row, "state", "the state of a job")?,
                    attempt: count(row, "attempt")?,
                    worker: row.try_get("worker")?,
                };
                Ok((parsed(row, "id", "a job id")?, job))
            })
            .collect()
    }

    /// Counts the parked jobs: those that failed, and that a retry would start over. Counts up to `most`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn parked_jobs(&self, most: i64) -> Result<u64, CatalogError> {
        let row = sqlx::query(sql!(
            "SELECT COUNT(*) AS parked FROM ( \
                 SELECT 1 AS one FROM jobs WHERE state = '{Failed}' AND NOT ({}) LIMIT $1 \
             ) parked_jobs",
            needless_retry()
        ))
        .bind(most)
        .fetch_one(&self.readers)
        .await?;
        count(&row, "parked")
    }
}
