//! Forgets what is long over: jobs, runs, records of deleted snapshots, retired stores with their reports. Old rows go in small batches, each
//! a short transaction, so that events are applied in between. Several processes may do so at once.
//!
//! What stays, whatever its age: jobs in flight, jobs whose snapshot still exists, and the newest jobs of each store that
//! is not retired: its last outcome, and the failures before it.

use std::ops::AddAssign;

use chrono::{DateTime, Utc};
use seedbed_protocol::JobId;
use serde::Serialize;
use sqlx::Row;

use super::{
    database::{Catalog, CatalogError, Lock, count, ids, millis, sql, take},
    state::{IN_FLIGHT, SnapshotState::Deleted},
};

/// The newest jobs of each store that stay.
const KEPT_JOBS: u32 = 10;

/// Jobs that are looked at together.
const BATCH: i64 = 500;

/// Counts of rows that were removed, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Forgotten {
    /// Jobs.
    pub jobs: u64,
    /// Records of snapshots whose objects were deleted before.
    pub snapshots: u64,
    /// Runs without a job.
    pub runs: u64,
    /// Retired stores.
    pub stores: u64,
    /// Reports of first launches.
    pub reports: u64,
    /// Entries of the audit log.
    pub audit: u64,
}

impl AddAssign for Forgotten {
    fn add_assign(&mut self, other: Self) {
        self.jobs += other.jobs;
        self.snapshots += other.snapshots;
        self.runs += other.runs;
        self.stores += other.stores;
        self.reports += other.reports;
        self.audit += other.audit;
    }
}

/// Tables whose rows go by their age alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aged {
    /// Reports of first launches.
    Reports,
    /// Entries of the audit log.
    Audit,
}

impl Aged {
    /// The table, the column with the time that counts, and its key.
    const fn names(self) -> [&'static str; 3] {
        match self {
            Self::Reports => ["reports", "received_at", "store_id, launch"],
            Self::Audit => ["audit", "at", "id"],
        }
    }
}

/// Rows of [`Aged`] that are removed together.
const AGED_BATCH: i64 = 1_000;

/// A place among all jobs in the order of their ids, for the next batch.
#[derive(Debug, Clone, Default)]
pub struct HistoryCursor(String);

/// Jobs that ended before a time, in a range of ids.
struct Old {
    before: DateTime<Utc>,
    after: String,
    last: String,
}

impl Catalog {
    /// Removes a batch of the rows of `aged` from before `before`, and returns how many those were; with `dry_run`, counts all
    /// of them.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn forget_aged(
        &self,
        aged: Aged,
        before: DateTime<Utc>,
        dry_run: bool,
    ) -> Result<u64, CatalogError> {
        let [table, time, key] = aged.names();
        let old = sqlx::query(sql!("SELECT COUNT(*) AS n FROM {table} WHERE {time} < $1"))
            .bind(millis(before))
            .fetch_one(&self.readers)
            .await?;
        let old = count(&old, "n")?;
        // Mostly there are none, and no lock is taken.
        if dry_run || old == 0 {
            return Ok(old);
        }
        let mut transaction = self.locked(Lock::Writer).await?;
        let removed = sqlx::query(sql!(
            "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {time} < $1 LIMIT $2)"
        ))
        .bind(millis(before))
        .bind(AGED_BATCH)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(removed.rows_affected())
    }

    /// Looks at the next old jobs after `cursor`, and removes those that ended before `before`, with the records of their
    /// deleted snapshots; with `dry_run`, only counts them. Returns the next cursor; `None` at the end.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn forget_jobs(
        &self,
        before: DateTime<Utc>,
        cursor: HistoryCursor,
        dry_run: bool,
    ) -> Result<(Forgotten, Option<HistoryCursor>), CatalogError> {
        let page = sqlx::query(
            "SELECT COUNT(*) AS n, MAX(id) AS last FROM ( \
                 SELECT id FROM jobs WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3) page",
        )
        .bind(cursor.0.clone())
        .bind(JobId::first_at(before).to_string())
        .bind(BATCH)
        .fetch_one(&self.readers)
        .await?;
        let Some(last) = page.try_get::<Option<String>, _>("last")? else {
            return Ok((Forgotten::default(), None));
        };
        let next =
            (count(&page, "n")? == BATCH.unsigned_abs()).then(|| HistoryCursor(last.clone()));
        let old = Old {
            before,
            after: cursor.0,
            last,
        };
        // Most batches of a catalog that is kept short have nothing to remove, and take no lock.
        let found = self.count_old(&old).await?;
        if dry_run || found == Forgotten::default() {
            return Ok((found, next));
        }
        Ok((self.remove_old(&old).await?, next))
    }

    async fn count_old(&self, old: &Old) -> Result<Forgotten, CatalogError> {
        let query = sql!(
            "SELECT (SELECT COUNT(*) FROM jobs WHERE {}) AS jobs, \
                 (SELECT COUNT(*) FROM snapshots WHERE {}) AS snapshots",
            old_jobs(),
            old_snapshots()
        );
        let found = sqlx::query(query)
            .bind(old.after.clone())
            .bind(old.last.clone())
            .bind(millis(old.before))
            .fetch_one(&self.readers)
            .await?;
        Ok(Forgotten {
            jobs: count(&found, "jobs")?,
            snapshots: count(&found, "snapshots")?,
            ..Forgotten::default()
        })
    }

    async fn remove_old(&self, old: &Old) -> Result<Forgotten, CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        let mut removed = [0, 0];
        // The snapshots first: they refer to the jobs.
        let statements = [
            sql!("DELETE FROM snapshots WHERE {}", old_snapshots()),
            sql!("DELETE FROM jobs WHERE {}", old_jobs()),
        ];
        for (statement, removed) in statements.into_iter().zip(&mut removed) {
            let done = sqlx::query(statement)
                .bind(old.after.clone())
                .bind(old.last.clone())
                .bind(millis(old.before))
                .execute(&mut *transaction)
                .await?;
            *removed = done.rows_affected();
        }
        transaction.commit().await?;
        let [snapshots, jobs] = removed;
        Ok(Forgotten {
            jobs,
            snapshots,
            ..Forgotten::default()
        })
    }

    /// Removes runs that ended before `before` and retired stores, as far as nothing refers to them any more: a batch of
    /// each. Nothing is removed when there are none left.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn forget_runs_and_stores(
        &self,
        before: DateTime<Utc>,
    ) -> Result<Forgotten, CatalogError> {
        let run = "SELECT id FROM runs WHERE started_at < $1 AND finished_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.run_id = runs.id) \
             AND NOT EXISTS (SELECT 1 FROM snapshots WHERE snapshots.run_id = runs.id) \
             ORDER BY started_at LIMIT $2";
        let runs = self.remove_found("runs", "id", run, before).await?;
        let store = "SELECT store_id FROM stores WHERE retired_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.store_id = stores.store_id) \
             AND NOT EXISTS (SELECT 1 FROM snapshots WHERE snapshots.store_id = stores.store_id) \
             LIMIT $2";
        let stores = self
            .remove_found("stores", "store_id", store, before)
            .await?;
        Ok(Forgotten {
            runs,
            stores,
            ..Forgotten::default()
        })
    }

    /// Removes the rows of `table` that `query` finds. It is asked twice: without a lock, since mostly it finds nothing,
    /// and with both, since a listing may have come between that needs a store or a run.
    async fn remove_found(
        &self,
        table: &'static str,
        key: &'static str,
        query: &'static str,
        before: DateTime<Utc>,
    ) -> Result<u64, CatalogError> {
        let find = || sqlx::query_scalar(query).bind(millis(before)).bind(BATCH);
        let found: Vec<String> = find().fetch_all(&self.readers).await?;
        if found.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.locked(Lock::Listing).await?;
        take(&mut transaction, Lock::Writer).await?;
        let found: Vec<String> = find().fetch_all(&mut *transaction).await?;
        if !found.is_empty() {
            let among = self.dialect.among(1);
            sqlx::query(sql!("DELETE FROM {table} WHERE {key} {among}"))
                .bind(ids(&found))
                .execute(&mut *transaction)
                .await?;
            if table == "stores" {
                sqlx::query(sql!("DELETE FROM reports WHERE store_id {among}"))
                    .bind(ids(&found))
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(found.len() as u64)
    }
}

/// The condition for records of deleted snapshots in a range of jobs: `$1` to `$3` are those of an [`Old`].
fn old_snapshots() -> String {
    format!(
        "snapshots.job_id > $1 AND snapshots.job_id <= $2 AND snapshots.state = '{Deleted}' \
         AND COALESCE(snapshots.superseded_at, snapshots.created_at) < $3"
    )
}

/// The condition for jobs in a range that nothing needs, see [`old_snapshots`].
fn old_jobs() -> String {
    let newest = KEPT_JOBS - 1;
    format!(
        "jobs.id > $1 AND jobs.id <= $2 AND jobs.state NOT IN ({IN_FLIGHT}) \
         AND COALESCE(jobs.finished_at, jobs.listed_at) < $3 \
         AND NOT EXISTS ( \
             SELECT 1 FROM snapshots WHERE snapshots.job_id = jobs.id \
                 AND (snapshots.state <> '{Deleted}' \
                     OR COALESCE(snapshots.superseded_at, snapshots.created_at) >= $3)) \
         AND (jobs.id < ( \
                 SELECT newer.id FROM jobs newer WHERE newer.store_id = jobs.store_id \
                 ORDER BY newer.id DESC LIMIT 1 OFFSET {newest}) \
             OR NOT EXISTS ( \
                 SELECT 1 FROM stores WHERE stores.store_id = jobs.store_id \
                     AND (stores.retired_at IS NULL OR stores.retired_at >= $3)))"
    )
}
