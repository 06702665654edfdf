//! Jobs of which the broker should have a message, and those that are published again because it has none.
//!
//! The catalog cannot see messages, only count: `runs/supervise/lost.rs` compares.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::RunId;

use crate::catalog::{
    database::{Catalog, CatalogError, Lock, millis, parsed, sql},
    state::{
        JobState::{Cancelled, Listed, Queued, Running},
        PUBLISHED, RunState, WAITING,
    },
};

/// A job that is lost again and again is published again after pauses that double, this often: a quarter of an hour at
/// most, by default.
const DOUBLINGS: u32 = 5;

/// Which published jobs should have a message that no worker holds.
#[derive(Debug, Clone, Copy)]
pub struct Awaited {
    /// Jobs that wait, since this moment or longer; and jobs that a worker took up then, if it is gone or works on nothing
    /// since: the report of how they ended was lost, or their message is back in its queue.
    pub queued_before: DateTime<Utc>,
    /// Jobs that a worker took up at this moment or earlier, whatever it says: it would have told how that ended.
    pub started_before: DateTime<Utc>,
    /// How much later than a job's start its worker must have said that it works on nothing: the start is recorded late, and
    /// by another clock.
    pub idle_after: TimeDelta,
}

impl Awaited {
    /// The condition, for the parameters `$1` and `$2`.
    fn condition(&self) -> String {
        let idle_after = self.idle_after.num_milliseconds();
        let started = "COALESCE(moved_at, started_at, listed_at)";
        format!(
            "state IN ({PUBLISHED}) AND ( \
                 state = '{Queued}' AND COALESCE(moved_at, listed_at) <= $1 \
                 OR state = '{Running}' AND {started} <= $2 \
                 OR state = '{Running}' AND {started} <= $1 AND EXISTS ( \
                     SELECT 1 FROM workers WHERE workers.name = jobs.worker AND ( \
                         workers.expires_at <= $1 \
                         OR workers.busy = 0 AND workers.seen_at >= {started} + {idle_after})))"
        )
    }
}

impl Catalog {
    /// Counts the jobs that should have a message on the broker.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn awaited_jobs(&self, awaited: Awaited) -> Result<u64, CatalogError> {
        let count: i64 = sqlx::query_scalar(sql!(
            "SELECT COUNT(*) FROM jobs WHERE {}",
            awaited.condition()
        ))
        .bind(millis(awaited.queued_before))
        .bind(millis(awaited.started_before))
        .fetch_one(&self.readers)
        .await?;
        Ok(count.unsigned_abs())
    }

    /// Lists the oldest of the awaited jobs again, at most `limit`, so that they are published once more; in a cancelled
    /// run, cancels them. Leaves out those that moved less than `pause` ago, twice that if it is the second time, and so
    /// on, and those whose retry is not due. Returns how many.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn list_lost(
        &self,
        awaited: Awaited,
        pause: Duration,
        limit: u64,
    ) -> Result<u64, CatalogError> {
        let now = millis(Utc::now());
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX >> (DOUBLINGS + 1));
        let of_cancelled_run = format!(
            "run_id IN (SELECT id FROM runs WHERE state = '{}')",
            RunState::Cancelled
        );
        let mut transaction = self.locked(Lock::Writer).await?;
        let listed = sqlx::query(sql!(
            "UPDATE jobs SET \
                 state = CASE WHEN {of_cancelled_run} THEN '{Cancelled}' ELSE '{Listed}' END, \
                 finished_at = CASE WHEN {of_cancelled_run} THEN CAST($3 AS BIGINT) END, \
                 moved_at = $3, retry_at = NULL, lost = lost + 1 \
             WHERE id IN ( \
                 SELECT id FROM jobs WHERE {condition} \
                     AND COALESCE(retry_at, 0) <= $3 \
                     AND COALESCE(moved_at, listed_at) + CAST($4 AS BIGINT) * (CAST(1 AS BIGINT) << \
                         CAST(CASE WHEN lost > {DOUBLINGS} THEN {DOUBLINGS} ELSE lost END AS INTEGER)) <= $3 \
                 ORDER BY COALESCE(moved_at, listed_at), id LIMIT $5)",
            condition = awaited.condition()
        ))
        .bind(millis(awaited.queued_before))
        .bind(millis(awaited.started_before))
        .bind(now)
        .bind(pause)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(listed.rows_affected())
    }

    /// Cancels every job of a run that no worker has started, whether it was published or not. Messages of them may be
    /// left then: [`Self::runs_with_messages`] names the run until [`Self::messages_are_removed`].
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn cancel_waiting(&self, run_id: RunId) -> Result<(), CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        let published: i64 = sqlx::query_scalar(sql!(
            "SELECT COUNT(*) FROM jobs WHERE run_id = $1 AND state = '{Queued}' AND attempt = 0"
        ))
        .bind(run_id.to_string())
        .fetch_one(&mut *transaction)
        .await?;
        if published > 0 {
            sqlx::query("UPDATE runs SET has_messages = 1 WHERE id = $1")
                .bind(run_id.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(sql!(
            "UPDATE jobs SET state = '{Cancelled}', finished_at = $2 \
             WHERE run_id = $1 AND state IN ({WAITING}) AND attempt = 0"
        ))
        .bind(run_id.to_string())
        .bind(millis(Utc::now()))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Returns runs of which messages of cancelled jobs may be left on the broker.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn runs_with_messages(&self) -> Result<Vec<RunId>, CatalogError> {
        let rows =
            sqlx::query("SELECT id FROM runs WHERE has_messages = 1 ORDER BY started_at, id")
                .fetch_all(&self.readers)
                .await?;
        rows.iter()
            .map(|row| parsed(row, "id", "a run id"))
            .collect()
    }

    /// Records that the messages of a run's cancelled jobs were removed.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn messages_are_removed(&self, run_id: RunId) -> Result<(), CatalogError> {
        sqlx::query("UPDATE runs SET has_messages = NULL WHERE id = $1")
            .bind(run_id.to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
