//! Writes the jobs of a new run: all of them, or none.

use chrono::Utc;
use seedbed_protocol::{JobId, RunId};
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::{Catalog, CatalogError, damaged, millis};
use crate::stores::Store;

/// Jobs in one INSERT statement.
const BATCH: usize = 64;

/// A run that is being listed. Nothing of it exists until [`Listing::commit`]; dropped, nothing remains.
pub struct Listing {
    transaction: Transaction<'static, Any>,
    run_id: RunId,
    jobs: u64,
    waiting: Vec<(JobId, Store)>,
}

impl Catalog {
    /// Starts to list a run of this kind.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn list_run(&self, kind: &str) -> Result<Listing, CatalogError> {
        let run_id = RunId::new();
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO runs (id, kind, state, started_at) VALUES ($1, $2, 'running', $3)",
        )
        .bind(run_id.to_string())
        .bind(kind.to_owned())
        .bind(millis(Utc::now()))
        .execute(&mut *transaction)
        .await?;
        Ok(Listing {
            transaction,
            run_id,
            jobs: 0,
            waiting: Vec::with_capacity(BATCH),
        })
    }
}

impl Listing {
    /// Adds the job of one store. Stores are written many at a time: what is wrong with one may show only
    /// when a later one is added, or at the [`Self::commit`].
    ///
    /// # Errors
    /// [`CatalogError::DuplicateStore`] names both places, [`CatalogError::InFlight`] the other run.
    pub async fn add(&mut self, store: Store) -> Result<(), CatalogError> {
        self.waiting.push((JobId::new(), store));
        self.jobs += 1;
        if self.waiting.len() == BATCH {
            self.write_waiting().await?;
        }
        Ok(())
    }

    async fn write_waiting(&mut self) -> Result<(), CatalogError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let statement = insert_jobs(self.waiting.len());
        let mut insert = sqlx::query(AssertSqlSafe(statement));
        for (job_id, store) in &self.waiting {
            insert = insert
                .bind(job_id.to_string())
                .bind(self.run_id.to_string())
                .bind(store.scope.store_id.to_string())
                .bind(i64::try_from(store.position).unwrap_or(i64::MAX))
                .bind(claims_of(store)?)
                .bind(millis(Utc::now()));
        }
        let inserted = insert.execute(&mut *self.transaction).await?;
        if inserted.rows_affected() < self.waiting.len() as u64 {
            return Err(self.conflict().await?);
        }
        self.waiting.clear();
        Ok(())
    }

    /// Finds the first waiting store whose place is taken by another job.
    async fn conflict(&mut self) -> Result<CatalogError, CatalogError> {
        for (job_id, store) in &self.waiting {
            let job = sqlx::query(
                "SELECT id, run_id, position FROM jobs \
                 WHERE store_id = $1 AND state IN ('listed', 'queued', 'running')",
            )
            .bind(store.scope.store_id.to_string())
            .fetch_one(&mut *self.transaction)
            .await?;
            if job.try_get::<String, _>("id")? == job_id.to_string() {
                continue;
            }
            let store_id = store.scope.store_id.to_string();
            let run_id: String = job.try_get("run_id")?;
            if run_id != self.run_id.to_string() {
                return Ok(CatalogError::InFlight { store_id, run_id });
            }
            return Ok(CatalogError::DuplicateStore {
                store_id,
                first: job.try_get("position")?,
                second: store.position,
            });
        }
        Ok(damaged(
            "a refused job",
            "only jobs that conflict with another",
        ))
    }

    /// Jobs that were added.
    pub fn jobs(&self) -> u64 {
        self.jobs
    }

    /// Makes the run and its jobs real.
    ///
    /// # Errors
    /// As [`Self::add`]; then nothing was listed.
    pub async fn commit(mut self) -> Result<RunId, CatalogError> {
        self.write_waiting().await?;
        self.transaction.commit().await?;
        Ok(self.run_id)
    }
}

/// The statement that inserts this many jobs.
fn insert_jobs(jobs: usize) -> String {
    let rows: Vec<String> = (0..jobs)
        .map(|job| {
            let value = |column: usize| 6 * job + column;
            let (id, run_id, store_id) = (value(1), value(2), value(3));
            let (position, claims, listed_at) = (value(4), value(5), value(6));
            format!(
                "(${id}, ${run_id}, ${store_id}, ${position}, ${claims}, 'listed', 0, ${listed_at})"
            )
        })
        .collect();
    format!(
        "INSERT INTO jobs (id, run_id, store_id, position, claims, state, attempt, listed_at) \
         VALUES {} ON CONFLICT DO NOTHING",
        rows.join(", ")
    )
}

fn claims_of(store: &Store) -> Result<String, CatalogError> {
    serde_json::to_string(&store.scope.claims).map_err(|e| CatalogError::Unstorable {
        what: "claims of a store",
        reason: e.to_string(),
    })
}
