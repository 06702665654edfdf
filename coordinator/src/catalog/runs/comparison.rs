//! A run beside the one before it: which stores fail since, which work again, and which take longer.

use chrono::{DateTime, Utc};
use seedbed_protocol::RunId;
use serde::Serialize;
use sqlx::{Row, any::AnyRow};
use utoipa::ToSchema;

use super::kind::RunKind;
use crate::catalog::{
    database::{Catalog, CatalogError, count, millis, parsed, sql, time},
    quarantine::key_of,
    state::{
        JobState::{Failed, Retried},
        SUCCEEDED,
    },
};

/// Stores of a kind that are named.
const NAMED: i64 = 5;

/// A job is slower if it takes half as long again, and so many milliseconds more: less is chance.
const SLOWER: &str = "2 * (job.finished_at - job.started_at) > 3 * (earlier.finished_at - earlier.started_at) \
     AND (job.finished_at - job.started_at) - (earlier.finished_at - earlier.started_at) > 5000";

/// A run beside the one before it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunComparison {
    /// The run before: for a sweep, the sweep before.
    pub before: String,
    /// When that one was listed.
    pub before_started_at: DateTime<Utc>,
    /// How long that one took, in seconds; null if it has not ended.
    pub before_seconds: Option<f64>,
    /// Stores that both runs have.
    pub compared: u64,
    /// Stores that failed, and had not failed in the run before.
    pub new_failures: u64,
    /// Stores that failed in both.
    pub still_failing: u64,
    /// Stores that succeeded, and had failed in the run before.
    pub healed: u64,
    /// Stores that were seeded in the same way as before, and took half as long again, and more than 5 s longer.
    pub slower: u64,
    /// Some that failed newly.
    pub newly_failed: Vec<NewFailure>,
    /// Some that work again.
    pub healed_stores: Vec<String>,
    /// Those that became slower the most.
    pub slowest: Vec<SlowerStore>,
}

/// A store that failed, and had not failed in the run before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewFailure {
    /// The store.
    pub store_id: String,
    /// What it failed for, without what differs from store to store.
    pub reason: Option<String>,
    /// What names that reason.
    pub key: Option<String>,
}

/// A store that took longer than in the run before.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlowerStore {
    /// The store.
    pub store_id: String,
    /// From its start to its end in this run.
    pub seconds: f64,
    /// The same in the run before.
    pub before_seconds: f64,
}

impl RunComparison {
    /// Returns whether there is anything to tell.
    pub fn tells(&self) -> bool {
        self.new_failures + self.healed + self.slower > 0
    }
}

/// The beginning of a run's id that tells it from others: the millisecond in which it was listed.
const SHORT_ID: usize = 13;

/// A run's id, short enough for a table. Commands take it for the whole.
#[derive(Debug, Clone, Copy)]
pub struct ShortRunId(pub RunId);

impl std::fmt::Display for ShortRunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = self.0.to_string();
        f.pad(whole.get(..SHORT_ID).unwrap_or(&whole))
    }
}

impl Catalog {
    /// Compares a run with the one before it; `None` if it is the first, or does not exist.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn compare_run(&self, run_id: RunId) -> Result<Option<RunComparison>, CatalogError> {
        let Some(before) = self.run_before(run_id).await? else {
            return Ok(None);
        };
        let pairs = |kind: &str| {
            format!(
                "FROM jobs job {kind} JOIN jobs earlier ON earlier.run_id = $2 AND earlier.store_id = job.store_id \
                     AND earlier.state <> '{Retried}' \
                 WHERE job.run_id = $1 AND job.state <> '{Retried}'"
            )
        };
        let fails = format!(
            "job.state = '{Failed}' AND (earlier.id IS NULL OR earlier.state <> '{Failed}')"
        );
        let heals = format!("job.state IN ({SUCCEEDED}) AND earlier.state = '{Failed}'");
        let slows = format!(
            "job.state IN ({SUCCEEDED}) AND earlier.state IN ({SUCCEEDED}) AND job.way = earlier.way AND {SLOWER}"
        );
        let row = sqlx::query(sql!(
            "SELECT COUNT(earlier.id) AS compared, COUNT(CASE WHEN {fails} THEN 1 END) AS fails, \
                 COUNT(CASE WHEN job.state = '{Failed}' AND earlier.state = '{Failed}' THEN 1 END) AS still, \
                 COUNT(CASE WHEN {heals} THEN 1 END) AS heals, COUNT(CASE WHEN {slows} THEN 1 END) AS slows {}",
            pairs("LEFT")
        ))
        .bind(run_id.to_string())
        .bind(before.id.clone())
        .fetch_one(&self.readers)
        .await?;
        let some = async |kind: &str, condition: &str, order: &str| {
            let statement = sql!(
                "SELECT job.store_id, job.failure_reason, job.finished_at - job.started_at AS took, \
                     earlier.finished_at - earlier.started_at AS took_before {} AND {condition} \
                 ORDER BY {order}job.position, job.id LIMIT {NAMED}",
                pairs(kind)
            );
            let query = sqlx::query(statement)
                .bind(run_id.to_string())
                .bind(before.id.clone());
            query.fetch_all(&self.readers).await
        };
        let newly_failed = some("LEFT", &fails, "").await?;
        let healed = some("", &heals, "").await?;
        let by_loss = "(job.finished_at - job.started_at) - (earlier.finished_at - earlier.started_at) DESC, ";
        let slowest = some("", &slows, by_loss).await?;
        Ok(Some(RunComparison {
            before: before.id,
            before_started_at: before.started_at,
            before_seconds: before.seconds,
            compared: count(&row, "compared")?,
            new_failures: count(&row, "fails")?,
            still_failing: count(&row, "still")?,
            healed: count(&row, "heals")?,
            slower: count(&row, "slows")?,
            newly_failed: newly_failed
                .iter()
                .map(new_failure)
                .collect::<Result<_, _>>()?,
            healed_stores: healed
                .iter()
                .map(|row| row.try_get("store_id"))
                .collect::<Result<_, _>>()?,
            slowest: slowest.iter().map(slower).collect::<Result<_, _>>()?,
        }))
    }

    /// Returns the run whose id begins with `text`.
    ///
    /// # Errors
    /// [`CatalogError::RunPrefix`] if it is not one.
    pub async fn run_named(&self, text: &str) -> Result<RunId, CatalogError> {
        let unknown = |several| CatalogError::RunPrefix {
            text: text.to_owned(),
            several,
        };
        let is_id = |c: char| c.is_ascii_hexdigit() || c == '-';
        if text.is_empty() || !text.chars().all(is_id) {
            return Err(unknown(false));
        }
        let rows = sqlx::query("SELECT id FROM runs WHERE id LIKE $1 ORDER BY id LIMIT 2")
            .bind(format!("{}%", text.to_ascii_lowercase()))
            .fetch_all(&self.readers)
            .await?;
        match &rows[..] {
            [only] => parsed(only, "id", "a run id"),
            rows => Err(unknown(rows.len() > 1)),
        }
    }

    /// The run before, of those that say as much as this one: a sweep is compared with a sweep, another run with whatever a
    /// person or the schedule has started.
    async fn run_before(&self, run_id: RunId) -> Result<Option<Before>, CatalogError> {
        let this = sqlx::query("SELECT started_at, sweep FROM runs WHERE id = $1")
            .bind(run_id.to_string())
            .fetch_optional(&self.readers)
            .await?;
        let Some(this) = this else {
            return Ok(None);
        };
        let is_sweep = this.try_get::<Option<String>, _>("sweep")?.is_some();
        let started_at: i64 = this.try_get("started_at")?;
        let sweeps = if is_sweep {
            "AND sweep IS NOT NULL"
        } else {
            ""
        };
        let row = sqlx::query(sql!(
            "SELECT id, started_at, COALESCE(ended_at, finished_at) AS ended_at FROM runs \
             WHERE (started_at < $1 OR started_at = $1 AND id < $2) \
                 AND kind NOT IN ('{}', '{}', 'rebuilt') {sweeps} \
             ORDER BY started_at DESC, id DESC LIMIT 1",
            RunKind::Retry.name(),
            RunKind::Demand.name()
        ))
        .bind(started_at)
        .bind(run_id.to_string())
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(before).transpose()
    }
}

/// The run before.
struct Before {
    id: String,
    started_at: DateTime<Utc>,
    seconds: Option<f64>,
}

fn before(row: &AnyRow) -> Result<Before, CatalogError> {
    let started_at = time(row.try_get("started_at")?)?;
    let ended_at: Option<i64> = row.try_get("ended_at")?;
    let seconds = ended_at.map(|ended_at| (ended_at - millis(started_at)).max(0) as f64 / 1_000.0);
    Ok(Before {
        id: row.try_get("id")?,
        started_at,
        seconds,
    })
}

fn new_failure(row: &AnyRow) -> Result<NewFailure, CatalogError> {
    let reason: Option<String> = row.try_get("failure_reason")?;
    Ok(NewFailure {
        store_id: row.try_get("store_id")?,
        key: reason.as_deref().map(key_of),
        reason,
    })
}

fn slower(row: &AnyRow) -> Result<SlowerStore, CatalogError> {
    let seconds = |column: &str| -> Result<f64, CatalogError> {
        Ok(row.try_get::<i64, _>(column)?.max(0) as f64 / 1_000.0)
    };
    Ok(SlowerStore {
        store_id: row.try_get("store_id")?,
        seconds: seconds("took")?,
        before_seconds: seconds("took_before")?,
    })
}
