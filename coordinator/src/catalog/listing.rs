//! Writes the jobs of a new run: all of them, or none.

use chrono::Utc;
use seedbed_protocol::{JobId, RunId};
use sqlx::{Any, Row, Transaction};

use super::{Catalog, CatalogError, millis};
use crate::stores::Store;

/// A run that is being listed. Nothing of it exists until [`Listing::commit`]; dropped, nothing remains.
pub struct Listing {
    transaction: Transaction<'static, Any>,
    run_id: RunId,
    jobs: u64,
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
        })
    }
}

impl Listing {
    /// Adds the job of one store.
    ///
    /// # Errors
    /// [`CatalogError::DuplicateStore`] names both places, [`CatalogError::InFlight`] the other run.
    pub async fn add(&mut self, store: &Store) -> Result<(), CatalogError> {
        let claims =
            serde_json::to_string(&store.scope.claims).map_err(|e| CatalogError::Unstorable {
                what: "claims of a store",
                reason: e.to_string(),
            })?;
        let inserted = sqlx::query(
            "INSERT INTO jobs (id, run_id, store_id, position, claims, state, attempt, listed_at) \
             VALUES ($1, $2, $3, $4, $5, 'listed', 0, $6) ON CONFLICT DO NOTHING",
        )
        .bind(JobId::new().to_string())
        .bind(self.run_id.to_string())
        .bind(store.scope.store_id.to_string())
        .bind(i64::try_from(store.position).unwrap_or(i64::MAX))
        .bind(claims)
        .bind(millis(Utc::now()))
        .execute(&mut *self.transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(self.conflict(store).await?);
        }
        self.jobs += 1;
        Ok(())
    }

    async fn conflict(&mut self, store: &Store) -> Result<CatalogError, CatalogError> {
        let other = sqlx::query(
            "SELECT run_id, position FROM jobs \
             WHERE store_id = $1 AND state IN ('listed', 'queued', 'running')",
        )
        .bind(store.scope.store_id.to_string())
        .fetch_one(&mut *self.transaction)
        .await?;
        let store_id = store.scope.store_id.to_string();
        let run_id: String = other.try_get("run_id")?;
        if run_id != self.run_id.to_string() {
            return Ok(CatalogError::InFlight { store_id, run_id });
        }
        Ok(CatalogError::DuplicateStore {
            store_id,
            first: other.try_get("position")?,
            second: store.position,
        })
    }

    /// Jobs that were added.
    pub fn jobs(&self) -> u64 {
        self.jobs
    }

    /// Makes the run and its jobs real.
    ///
    /// # Errors
    /// [`CatalogError::Database`]; then nothing was listed.
    pub async fn commit(self) -> Result<RunId, CatalogError> {
        self.transaction.commit().await?;
        Ok(self.run_id)
    }
}
