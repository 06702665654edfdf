//! Reads what `status`, `snapshots` and a run's summary show.

use std::{collections::HashMap, ops::AddAssign};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use seedbed_protocol::{RunId, StoreId, message::Manifest};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row, any::AnyRow};

use super::{Catalog, CatalogError, damaged, database::sql::list_of, millis, parsed, time};

/// What a run's jobs add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Stores.
    pub stores: u64,
    /// Stores with a verified snapshot.
    pub seeded: u64,
    /// Those of them whose snapshot was still right.
    pub unchanged: u64,
    /// Those of them whose snapshot continues an earlier one.
    pub from_base: u64,
    /// Stores whose job failed for good.
    pub failed: u64,
    /// Stores whose job was dropped before it started.
    pub cancelled: u64,
    /// Stores whose job was given up before it ended.
    pub abandoned: u64,
    /// Stores whose job has not ended yet.
    pub in_flight: u64,
    /// Rows in the run's snapshots.
    pub rows: u64,
    /// Bytes of the run's snapshots.
    pub bytes: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.stores += other.stores;
        self.seeded += other.seeded;
        self.unchanged += other.unchanged;
        self.from_base += other.from_base;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.abandoned += other.abandoned;
        self.in_flight += other.in_flight;
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// Its id.
    pub run_id: RunId,
    /// What started it: `local`, `run`, `schedule`, `api`, `demand` or `rebuilt`.
    pub kind: String,
    /// `running`, `completed`, `failed`, `cancelled` or `abandoned`.
    pub state: String,
    /// When it was listed.
    pub started_at: DateTime<Utc>,
    /// When its last job ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What its jobs add up to.
    #[serde(flatten)]
    pub totals: Totals,
}

/// How many jobs went one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WayCount {
    /// `unchanged`, `base` or `full`.
    pub way: String,
    /// Why every row was downloaded, as in
    /// [`FullReason::name`](seedbed_protocol::message::FullReason::name).
    pub why: Option<String>,
    /// The jobs.
    pub jobs: u64,
}

/// A job that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedJob {
    /// The store.
    pub store_id: StoreId,
    /// Tries that it took.
    pub attempts: u64,
    /// `transient` or `permanent`.
    pub kind: Option<String>,
    /// The step that failed.
    pub step: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// The trace of the job.
    pub trace_id: Option<String>,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SnapshotRecord {
    /// `live`, `superseded`, `deleting` or `deleted`.
    pub state: String,
    /// When the service was last known to hold exactly this.
    pub verified_at: DateTime<Utc>,
    /// Everything about it.
    #[serde(flatten)]
    pub manifest: Manifest,
}

impl Catalog {
    /// The newest runs, newest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn runs(&self, limit: i64) -> Result<Vec<RunReport>, CatalogError> {
        self.runs_page(None, None, limit).await
    }

    /// Runs in this state, or all, newest first, that are older than `after`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn runs_page(
        &self,
        state: Option<&str>,
        after: Option<(DateTime<Utc>, RunId)>,
        limit: i64,
    ) -> Result<Vec<RunReport>, CatalogError> {
        let (started_at, id) = match after {
            Some((started_at, id)) => (millis(started_at), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let rows = sqlx::query(
            "SELECT id, kind, state, started_at, finished_at FROM runs \
             WHERE ($1 = '' OR state = $1) AND (started_at < $2 OR started_at = $2 AND id < $3) \
             ORDER BY started_at DESC, id DESC LIMIT $4",
        )
        .bind(state.unwrap_or_default().to_owned())
        .bind(started_at)
        .bind(id)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        self.reports(&rows).await
    }

    /// A run; `None` if there is no such run.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn find_run(&self, run_id: RunId) -> Result<Option<RunReport>, CatalogError> {
        let rows =
            sqlx::query("SELECT id, kind, state, started_at, finished_at FROM runs WHERE id = $1")
                .bind(run_id.to_string())
                .fetch_all(&self.readers)
                .await?;
        Ok(self.reports(&rows).await?.pop())
    }

    async fn reports(&self, rows: &[AnyRow]) -> Result<Vec<RunReport>, CatalogError> {
        let run_ids = rows.iter().map(|row| parsed(row, "id", "a run id"));
        let run_ids: Vec<RunId> = run_ids.collect::<Result<_, _>>()?;
        let mut totals = self.totals_of(&run_ids).await?;
        let report = |(row, run_id): (&AnyRow, RunId)| {
            let finished_at: Option<i64> = row.try_get("finished_at")?;
            Ok(RunReport {
                run_id,
                kind: row.try_get("kind")?,
                state: row.try_get("state")?,
                started_at: time(row.try_get("started_at")?)?,
                finished_at: finished_at.map(time).transpose()?,
                totals: totals.remove(&run_id).unwrap_or_default(),
            })
        };
        rows.iter().zip(run_ids).map(report).collect()
    }

    /// What the jobs of a run add up to.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn totals(&self, run_id: RunId) -> Result<Totals, CatalogError> {
        let mut totals = self.totals_of(&[run_id]).await?;
        Ok(totals.remove(&run_id).unwrap_or_default())
    }

    /// What the jobs of each of these runs add up to. A run without jobs may be missing.
    async fn totals_of(&self, runs: &[RunId]) -> Result<HashMap<RunId, Totals>, CatalogError> {
        let mut totals: HashMap<RunId, Totals> = HashMap::new();
        if runs.is_empty() {
            return Ok(totals);
        }
        let of_runs = async |statement: String| {
            let bound = runs
                .iter()
                .fold(sqlx::query(AssertSqlSafe(statement)), |query, run_id| {
                    query.bind(run_id.to_string())
                });
            bound.fetch_all(&self.readers).await
        };
        let list = list_of(1, runs.len());
        let states = of_runs(format!(
            "SELECT run_id, state, way, COUNT(*) AS n FROM jobs \
             WHERE run_id IN ({list}) AND state <> 'retried' GROUP BY run_id, state, way"
        ));
        for row in states.await? {
            let totals = totals
                .entry(parsed(&row, "run_id", "a run id")?)
                .or_default();
            let jobs = count(&row, "n")?;
            totals.stores += jobs;
            match row.try_get::<String, _>("state")?.as_str() {
                "completed" => {
                    totals.seeded += jobs;
                    if row.try_get::<Option<String>, _>("way")?.as_deref() == Some("base") {
                        totals.from_base += jobs;
                    }
                }
                "unchanged" => {
                    totals.seeded += jobs;
                    totals.unchanged += jobs;
                }
                "failed" => totals.failed += jobs,
                "cancelled" => totals.cancelled += jobs,
                "abandoned" => totals.abandoned += jobs,
                _ => totals.in_flight += jobs,
            }
        }
        // Postgres sums BIGINT to NUMERIC, hence the casts.
        let sums = of_runs(format!(
            "SELECT run_id, CAST(SUM(row_count) AS BIGINT) AS row_count, \
                 CAST(SUM(byte_count) AS BIGINT) AS byte_count \
             FROM snapshots WHERE run_id IN ({list}) GROUP BY run_id"
        ));
        for row in sums.await? {
            let totals = totals
                .entry(parsed(&row, "run_id", "a run id")?)
                .or_default();
            totals.rows = count(&row, "row_count")?;
            totals.bytes = count(&row, "byte_count")?;
        }
        Ok(totals)
    }

    /// How many jobs of a run went which way, the most first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn ways(&self, run_id: RunId) -> Result<Vec<WayCount>, CatalogError> {
        let rows = sqlx::query(
            "SELECT way, why, COUNT(*) AS n FROM jobs \
             WHERE run_id = $1 AND way IS NOT NULL AND state <> 'retried' \
             GROUP BY way, why ORDER BY n DESC, way, why",
        )
        .bind(run_id.to_string())
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(WayCount {
                    way: row.try_get("way")?,
                    why: row.try_get("why")?,
                    jobs: count(row, "n")?,
                })
            })
            .collect()
    }

    /// Jobs of a run that failed for good, in the order of the list of stores; at most `limit`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn failed_jobs(
        &self,
        run_id: RunId,
        limit: i64,
    ) -> Result<Vec<FailedJob>, CatalogError> {
        let rows = sqlx::query(
            "SELECT store_id, attempt, failure_kind, failure_step, failure_message, trace_id FROM jobs \
             WHERE run_id = $1 AND state = 'failed' ORDER BY position LIMIT $2",
        )
        .bind(run_id.to_string())
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(FailedJob {
                    store_id: parsed(row, "store_id", "a store id")?,
                    attempts: count(row, "attempt")?,
                    kind: row.try_get("failure_kind")?,
                    step: row.try_get("failure_step")?,
                    message: row.try_get("failure_message")?,
                    trace_id: row.try_get("trace_id")?,
                })
            })
            .collect()
    }

    /// Snapshots by store, the newest of each first: live ones, or all with `all`; of one store, or of
    /// every store.
    pub fn snapshots(
        &self,
        store_id: Option<&StoreId>,
        all: bool,
    ) -> BoxStream<'_, Result<SnapshotRecord, CatalogError>> {
        sqlx::query(
            "SELECT job_id, state, manifest, verified_at FROM snapshots \
             WHERE ($1 = '' OR store_id = $1) AND (state = 'live' OR $2 = 1) \
             ORDER BY store_id, created_at DESC",
        )
        .bind(store_id.map(ToString::to_string).unwrap_or_default())
        .bind(i64::from(all))
        .fetch(&self.readers)
        .map(|row| snapshot_record(&row?))
        .boxed()
    }

    /// The time by the catalog's own clock; `None` for SQLite, which has none but this machine's.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn clock(&self) -> Result<Option<DateTime<Utc>>, CatalogError> {
        if self.is_sqlite {
            return Ok(None);
        }
        let now: i64 = sqlx::query_scalar(
            "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        )
        .fetch_one(&self.readers)
        .await?;
        time(now).map(Some)
    }

    /// The live snapshots of `count` stores, picked at random.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn sample_live(&self, count: i64) -> Result<Vec<Manifest>, CatalogError> {
        let rows = sqlx::query(
            "SELECT job_id, state, manifest, verified_at FROM snapshots WHERE state = 'live' \
             AND NOT EXISTS ( \
                 SELECT 1 FROM stores \
                 WHERE stores.store_id = snapshots.store_id AND retired_at IS NOT NULL) \
             ORDER BY RANDOM() LIMIT $1",
        )
        .bind(count)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| Ok(snapshot_record(row)?.manifest))
            .collect()
    }

    /// The live snapshot of a store; none of a store that is no longer in the source.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn live_snapshot(
        &self,
        store_id: &StoreId,
    ) -> Result<Option<SnapshotRecord>, CatalogError> {
        let row = sqlx::query(
            "SELECT job_id, state, manifest, verified_at FROM snapshots WHERE store_id = $1 AND state = 'live' \
             AND NOT EXISTS ( \
                 SELECT 1 FROM stores WHERE store_id = $1 AND retired_at IS NOT NULL)",
        )
        .bind(store_id.to_string())
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(snapshot_record).transpose()
    }
}

pub(super) fn snapshot_record(row: &AnyRow) -> Result<SnapshotRecord, CatalogError> {
    let (job_id, json): (String, String) = (row.try_get("job_id")?, row.try_get("manifest")?);
    Ok(SnapshotRecord {
        state: row.try_get("state")?,
        verified_at: time(row.try_get("verified_at")?)?,
        manifest: serde_json::from_str(&json)
            .map_err(|_| damaged(json, format!("the manifest of the job {job_id}")))?,
    })
}

pub(super) fn count(row: &AnyRow, column: &str) -> Result<u64, CatalogError> {
    let count: i64 = row.try_get(column)?;
    u64::try_from(count).map_err(|_| damaged(count, "a count"))
}
