//! Failed stores by what they failed for: how many, since when, examples; and what names such a reason.
//!
//! The reason is in the job's row since its failure was recorded, so that a hundred thousand failures are grouped by the database,
//! from an index. Rows of versions that did not record it are completed the first time that somebody asks.

use chrono::{DateTime, Utc};
use seedbed_protocol::{JobId, RunId, StoreId};
use serde::Serialize;
use sqlx::{Row, any::AnyRow};
use utoipa::ToSchema;

use crate::catalog::{
    database::{Catalog, CatalogError, Lock, Tx, count, parsed, printable, sql, time},
    quarantine::{Held, Quarantine, code_of, hold, key_of, reason_of},
    state::{JobState::Failed, needed_retry},
};

/// Examples of a group.
const EXAMPLES: i64 = 3;

/// Rows without a reason that are completed together.
const BATCH: i64 = 1_000;

/// What a job failed for that said nothing.
const SILENT: &str = "no reason was reported";

/// Whose failures are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailuresOf {
    /// Stores whose newest job failed: those that a retry would start over.
    Now,
    /// The jobs of a run that failed, whatever became of their stores since.
    Run(RunId),
}

/// Stores that failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureGroup {
    /// Names the reason in commands and addresses.
    pub key: String,
    /// The step and what went wrong, without what differs from store to store.
    pub reason: String,
    /// The step that failed.
    pub step: String,
    /// PowerSync's code, or an HTTP status, if there is one.
    pub code: Option<String>,
    /// Stores that failed so.
    pub stores: u64,
    /// Those of them whose newest job is this one: a retry would start them over.
    pub open: u64,
    /// Those of these that are quarantined.
    pub quarantined: u64,
    /// The first failure of this reason that the catalog knows.
    pub first_seen: DateTime<Utc>,
    /// The last one.
    pub last_seen: DateTime<Utc>,
    /// Some of the stores, the newest failures first.
    pub examples: Vec<FailureExample>,
}

/// One of the failures of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureExample {
    /// The store.
    pub store_id: String,
    /// The run.
    pub run_id: String,
    /// The trace of the job, as 32 hex digits.
    pub trace_id: Option<String>,
    /// What went wrong, whole.
    pub message: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl Catalog {
    /// Returns the reasons that stores failed for, those of the most stores first, at most `limit`; and how many there are.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn failure_groups(
        &self,
        of: FailuresOf,
        quarantine: Quarantine,
        limit: i64,
    ) -> Result<(Vec<FailureGroup>, u64), CatalogError> {
        self.complete_reasons().await?;
        let (condition, run_id) = condition(of);
        let is_open = match of {
            FailuresOf::Now => "1 = 1",
            FailuresOf::Run(_) => needed_retry(),
        };
        let rows = sqlx::query(sql!(
            "SELECT grouped.*, COUNT(*) OVER () AS total, \
                 (SELECT MIN(first.finished_at) FROM jobs first \
                  WHERE first.state = '{Failed}' AND first.failure_reason = grouped.reason) AS first_seen, \
                 (SELECT MAX(last.finished_at) FROM jobs last \
                  WHERE last.state = '{Failed}' AND last.failure_reason = grouped.reason) AS last_seen \
             FROM (SELECT failure_reason AS reason, COUNT(*) AS stores, \
                 COUNT(CASE WHEN {is_open} THEN 1 END) AS open, \
                 COUNT(CASE WHEN {is_open} AND EXISTS (SELECT 1 FROM failing \
                     WHERE failing.store_id = jobs.store_id AND failing.sweeps >= {sweeps}) THEN 1 END) AS quarantined \
                 FROM jobs WHERE state = '{Failed}' AND {condition} GROUP BY failure_reason) grouped \
             ORDER BY grouped.open DESC, grouped.stores DESC, grouped.reason LIMIT $2",
            sweeps = quarantine.sweeps()
        ))
        .bind(run_id)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        let mut groups = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut group = group(row)?;
            group.examples = self.failures_for(&group.reason, of, EXAMPLES).await?;
            groups.push(group);
        }
        let total = rows.first().map(|row| count(row, "total")).transpose()?;
        Ok((groups, total.unwrap_or_default()))
    }

    /// Returns failures for one reason, the newest first; at most `limit`.
    async fn failures_for(
        &self,
        reason: &str,
        of: FailuresOf,
        limit: i64,
    ) -> Result<Vec<FailureExample>, CatalogError> {
        let (condition, run_id) = condition(of);
        let rows = sqlx::query(sql!(
            "SELECT store_id, run_id, trace_id, failure_message, COALESCE(finished_at, listed_at) AS at FROM jobs \
             WHERE state = '{Failed}' AND failure_reason = $2 AND {condition} \
             ORDER BY finished_at DESC, store_id, id LIMIT $3"
        ))
        .bind(run_id)
        .bind(reason)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(example).collect()
    }

    /// Quarantines every store whose newest job failed for the reason that `key` names, as `by` wants it: sweeps skip them, but
    /// for probes.
    ///
    /// # Errors
    /// [`CatalogError::UnknownReason`]; [`CatalogError::NoQuarantine`] if the settings have none.
    pub async fn quarantine_reason(
        &self,
        key: &str,
        quarantine: Quarantine,
        by: &str,
    ) -> Result<Held, CatalogError> {
        if quarantine.after == 0 {
            return Err(CatalogError::NoQuarantine);
        }
        self.complete_reasons().await?;
        let mut transaction = self.locked(Lock::Writer).await?;
        let reason = reason_named(&mut transaction, key).await?;
        let held = hold(&mut transaction, &reason, quarantine, by).await?;
        transaction.commit().await?;
        Ok(held)
    }

    /// Gives a reason to each failed job of a version that recorded none.
    pub(in crate::catalog) async fn complete_reasons(&self) -> Result<(), CatalogError> {
        loop {
            let rows = sqlx::query(sql!(
                "SELECT id, store_id, failure_step, failure_message FROM jobs \
                 WHERE state = '{Failed}' AND failure_reason IS NULL LIMIT {BATCH}"
            ))
            .fetch_all(&self.readers)
            .await?;
            if rows.is_empty() {
                return Ok(());
            }
            let mut transaction = self.locked(Lock::Writer).await?;
            for row in &rows {
                complete(&mut transaction, row).await?;
            }
            transaction.commit().await?;
        }
    }
}

/// The condition on failed jobs, and what its `$1` is.
fn condition(of: FailuresOf) -> (String, String) {
    match of {
        FailuresOf::Now => (format!("$1 = '' AND {}", needed_retry()), String::new()),
        FailuresOf::Run(run_id) => ("run_id = $1".to_owned(), run_id.to_string()),
    }
}

fn group(row: &AnyRow) -> Result<FailureGroup, CatalogError> {
    let reason: String = row.try_get("reason")?;
    let seen = |column: &str| -> Result<DateTime<Utc>, CatalogError> {
        time(row.try_get::<Option<i64>, _>(column)?.unwrap_or_default())
    };
    let step = reason.split_once(": ").map_or(&*reason, |(step, _)| step);
    Ok(FailureGroup {
        key: key_of(&reason),
        step: step.to_owned(),
        code: code_of(&reason).map(str::to_owned),
        stores: count(row, "stores")?,
        open: count(row, "open")?,
        quarantined: count(row, "quarantined")?,
        first_seen: seen("first_seen")?,
        last_seen: seen("last_seen")?,
        examples: Vec::new(),
        reason,
    })
}

fn example(row: &AnyRow) -> Result<FailureExample, CatalogError> {
    let message: Option<String> = row.try_get("failure_message")?;
    Ok(FailureExample {
        store_id: row.try_get("store_id")?,
        run_id: row.try_get("run_id")?,
        trace_id: row.try_get("trace_id")?,
        message: message.unwrap_or_else(|| SILENT.to_owned()),
        at: time(row.try_get("at")?)?,
    })
}

async fn complete(tx: &mut Tx, row: &AnyRow) -> Result<(), CatalogError> {
    let store_id: StoreId = parsed(row, "store_id", "a store id")?;
    let job_id: JobId = parsed(row, "id", "a job id")?;
    let step: Option<String> = row.try_get("failure_step")?;
    let message: Option<String> = row.try_get("failure_message")?;
    let step = step.as_deref().unwrap_or("unknown");
    let reason = reason_of(step, message.as_deref().unwrap_or(SILENT), &store_id);
    sqlx::query("UPDATE jobs SET failure_reason = $2 WHERE id = $1 AND failure_reason IS NULL")
        .bind(job_id.to_string())
        .bind(printable(&reason))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Returns the reason that `key` names.
pub(super) async fn reason_named(tx: &mut Tx, key: &str) -> Result<String, CatalogError> {
    let rows = sqlx::query(sql!(
        "SELECT DISTINCT failure_reason FROM jobs WHERE state = '{Failed}' AND failure_reason IS NOT NULL"
    ))
    .fetch_all(&mut **tx)
    .await?;
    for row in &rows {
        let reason: String = row.try_get("failure_reason")?;
        if key_of(&reason) == key {
            return Ok(reason);
        }
    }
    Err(CatalogError::UnknownReason {
        key: key.to_owned(),
    })
}
