//! The table `forgotten`: stores whose data was removed on demand, and what has to be removed again if a job in flight brings it.
//!
//! The rows of a store go in one transaction with the note that it is forgotten. Its objects go afterwards: by the note, servers
//! and `gc` remove what a killed command has left, and what late jobs upload.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{JobId, StoreId};
use serde::Serialize;
use sqlx::{Row, any::AnyRow};
use utoipa::ToSchema;

use crate::catalog::{
    database::{Catalog, CatalogError, Lock, Tx, count, millis, parsed, sql, take, time},
    snapshots::note_change,
    state::IN_FLIGHT,
};

/// How often the objects of a store are looked for again while a job may still upload some.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(60);

/// The tables with rows of a store; those that others refer to last.
const TABLES: [&str; 5] = ["snapshots", "jobs", "failing", "reports", "stores"];

/// Counts of what the catalog had of a store, and has no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForgottenRows {
    /// Records of snapshots.
    pub snapshots: u64,
    /// Jobs.
    pub jobs: u64,
    /// Those of them that were in flight: what they still report or upload is removed.
    pub in_flight: u64,
    /// Reports of first launches.
    pub reports: u64,
}

/// A store whose objects are to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgottenStore {
    /// The store.
    pub store_id: StoreId,
    /// The last job that there was. If the store is allowed again, objects of later jobs stay.
    pub last_job: Option<JobId>,
    /// Whether it is allowed again.
    pub is_allowed: bool,
}

/// A store that no list has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForgottenSince {
    /// The store.
    #[schema(value_type = String)]
    pub store_id: StoreId,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Whether objects of it are left, which servers and `seedbed gc` remove.
    pub left: bool,
}

impl Catalog {
    /// Returns the stores that are forgotten and not allowed again, the newest first, at most `limit`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn forgotten_since(&self, limit: u32) -> Result<Vec<ForgottenSince>, CatalogError> {
        let rows = sqlx::query(
            "SELECT store_id, at, CAST(CASE WHEN cleaned_at IS NULL THEN 1 ELSE 0 END AS BIGINT) AS remaining \
             FROM forgotten WHERE allowed_at IS NULL ORDER BY at DESC, store_id LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        let each = rows.iter().map(|row| {
            Ok(ForgottenSince {
                store_id: parsed(row, "store_id", "a store id")?,
                at: time(row.try_get("at")?)?,
                left: count(row, "remaining")? > 0,
            })
        });
        each.collect()
    }

    /// Removes every row of a store, and leaves it out of lists from now on. Its jobs in flight may upload something for
    /// `watch`.
    ///
    /// # Errors
    /// [`CatalogError::Database`]; then nothing was removed.
    pub async fn forget_store(
        &self,
        store_id: &StoreId,
        watch: Duration,
    ) -> Result<ForgottenRows, CatalogError> {
        let mut transaction = self.locked(Lock::Listing).await?;
        take(&mut transaction, Lock::Writer).await?;
        let now = transaction.now().await?;
        let watch = TimeDelta::from_std(watch).unwrap_or(TimeDelta::days(365));
        let jobs = sqlx::query(sql!(
            "SELECT COALESCE(MAX(id), '') AS last_job, \
                 COUNT(CASE WHEN state IN ({IN_FLIGHT}) THEN 1 END) AS in_flight \
             FROM jobs WHERE store_id = $1"
        ))
        .bind(store_id.to_string())
        .fetch_one(&mut *transaction)
        .await?;
        let last_job: String = jobs.try_get("last_job")?;
        let in_flight = count(&jobs, "in_flight")?;
        sqlx::query(
            "INSERT INTO forgotten (store_id, at, last_job, watch_until) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (store_id) DO UPDATE SET at = excluded.at, \
                 last_job = CASE WHEN excluded.last_job > forgotten.last_job \
                     THEN excluded.last_job ELSE forgotten.last_job END, \
                 watch_until = CASE WHEN excluded.watch_until > forgotten.watch_until \
                     THEN excluded.watch_until ELSE forgotten.watch_until END, \
                 cleaned_at = NULL, allowed_at = NULL",
        )
        .bind(store_id.to_string())
        .bind(millis(now))
        .bind(last_job)
        .bind(millis(now + watch))
        .execute(&mut *transaction)
        .await?;
        let mut removed = [0; TABLES.len()];
        for (table, removed) in TABLES.iter().zip(&mut removed) {
            let done = sqlx::query(sql!("DELETE FROM {table} WHERE store_id = $1"))
                .bind(store_id.to_string())
                .execute(&mut *transaction)
                .await?;
            *removed = done.rows_affected();
        }
        note_change(&mut transaction).await?;
        transaction.commit().await?;
        let [snapshots, jobs, _, reports, _] = removed;
        Ok(ForgottenRows {
            snapshots,
            jobs,
            in_flight,
            reports,
        })
    }

    /// Lets a store into lists again; whether it was forgotten.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn allow_store(&self, store_id: &StoreId) -> Result<bool, CatalogError> {
        let allowed = sqlx::query(sql!(
            "UPDATE forgotten SET allowed_at = {} WHERE store_id = $1 AND allowed_at IS NULL",
            self.dialect.now()
        ))
        .bind(store_id.to_string())
        .execute(&self.pool)
        .await?;
        Ok(allowed.rows_affected() > 0)
    }

    /// Returns whether a store is forgotten and not allowed again.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn is_forgotten(&self, store_id: &StoreId) -> Result<bool, CatalogError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS n FROM forgotten WHERE store_id = $1 AND allowed_at IS NULL",
        )
        .bind(store_id.to_string())
        .fetch_one(&self.readers)
        .await?;
        Ok(count(&row, "n")? > 0)
    }

    /// Returns the stores whose objects are to be removed now; with `every`, all that are or were forgotten.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn forgotten_stores(&self, every: bool) -> Result<Vec<ForgottenStore>, CatalogError> {
        let now = self.now().await?;
        let rows = sqlx::query(
            "SELECT store_id, last_job, CAST(CASE WHEN allowed_at IS NULL THEN 0 ELSE 1 END AS BIGINT) AS is_allowed \
             FROM forgotten WHERE cleaned_at IS NULL OR $1 = 1 OR watch_until > $2 AND cleaned_at < $3 \
             ORDER BY store_id",
        )
        .bind(i64::from(every))
        .bind(millis(now))
        .bind(millis(now - LOOK_AGAIN))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(forgotten).collect()
    }

    /// Records that the objects of a store were removed just now. A store that is allowed again is no longer watched after its
    /// time.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn objects_are_removed(&self, store_id: &StoreId) -> Result<(), CatalogError> {
        let now = self.now().await?;
        for statement in [
            "UPDATE forgotten SET cleaned_at = $2 WHERE store_id = $1",
            "DELETE FROM forgotten WHERE store_id = $1 AND allowed_at IS NOT NULL AND watch_until < $2",
        ] {
            sqlx::query(statement)
                .bind(store_id.to_string())
                .bind(millis(now))
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }
}

/// Returns whether a job that the catalog does not know is one of a forgotten store. Its objects are then removed soon.
pub(in crate::catalog) async fn is_of_forgotten(
    tx: &mut Tx,
    store_id: &StoreId,
    job_id: JobId,
) -> Result<bool, CatalogError> {
    let noted = sqlx::query(
        "UPDATE forgotten SET cleaned_at = NULL WHERE store_id = $1 AND (last_job >= $2 OR allowed_at IS NULL)",
    )
    .bind(store_id.to_string())
    .bind(job_id.to_string())
    .execute(&mut **tx)
    .await?;
    Ok(noted.rows_affected() > 0)
}

fn forgotten(row: &AnyRow) -> Result<ForgottenStore, CatalogError> {
    let last_job: String = row.try_get("last_job")?;
    let is_allowed = count(row, "is_allowed")? > 0;
    Ok(ForgottenStore {
        store_id: parsed(row, "store_id", "a store id")?,
        last_job: last_job.parse().ok(),
        is_allowed,
    })
}
