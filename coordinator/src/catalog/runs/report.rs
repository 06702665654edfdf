//! The table `runs`: reports and totals, the lease of the process that publishes a run, and how runs end.
//!
//! A lease is held by one process at a time. That of a killed process runs out, and another process takes the run over.

use std::{collections::HashMap, ops::AddAssign, time::Duration};

use chrono::{DateTime, Utc};
use seedbed_protocol::{RunId, message::Way, trace::TraceContext};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row, any::AnyRow};

use crate::catalog::{
    database::{
        Catalog, CatalogError, Lock, Tx, bind_all, count, list_of, millis, parsed, sql, time,
    },
    state::{
        IN_FLIGHT,
        JobState::{self, Listed, Retried},
        RunState, UNFINISHED,
    },
};

/// The totals of a run's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Stores.
    pub stores: u64,
    /// Stores with a verified snapshot.
    pub seeded: u64,
    /// Those of them whose live snapshot was still right.
    pub unchanged: u64,
    /// Those of them whose snapshot continues an earlier one.
    pub from_base: u64,
    /// Stores whose job failed for good.
    pub failed: u64,
    /// Stores whose job was cancelled before it started.
    pub cancelled: u64,
    /// Stores whose job was abandoned.
    pub abandoned: u64,
    /// Stores whose job is in flight.
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
    /// How it stands.
    pub state: RunState,
    /// When it was listed.
    pub started_at: DateTime<Utc>,
    /// When its last job ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The totals of its jobs.
    #[serde(flatten)]
    pub totals: Totals,
}

/// How many jobs of a run made their snapshots in one way.
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

impl Catalog {
    /// Returns the newest runs, newest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn runs(&self, limit: i64) -> Result<Vec<RunReport>, CatalogError> {
        self.runs_page(None, None, limit).await
    }

    /// Returns runs that are older than `after`, in one state or in all, newest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn runs_page(
        &self,
        state: Option<RunState>,
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
        .bind(state.map_or("", RunState::name))
        .bind(started_at)
        .bind(id)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        self.reports(&rows).await
    }

    /// Returns a run; `None` if it does not exist.
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
                state: parsed(row, "state", "the state of a run")?,
                started_at: time(row.try_get("started_at")?)?,
                finished_at: finished_at.map(time).transpose()?,
                totals: totals.remove(&run_id).unwrap_or_default(),
            })
        };
        rows.iter().zip(run_ids).map(report).collect()
    }

    /// Returns the totals of a run's jobs.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn totals(&self, run_id: RunId) -> Result<Totals, CatalogError> {
        let mut totals = self.totals_of(&[run_id]).await?;
        Ok(totals.remove(&run_id).unwrap_or_default())
    }

    /// Returns the totals of each of these runs. A run without jobs may be missing.
    async fn totals_of(&self, runs: &[RunId]) -> Result<HashMap<RunId, Totals>, CatalogError> {
        let mut totals: HashMap<RunId, Totals> = HashMap::new();
        if runs.is_empty() {
            return Ok(totals);
        }
        let of_runs = async |statement: AssertSqlSafe<String>| {
            let query = bind_all(sqlx::query(statement), runs);
            query.fetch_all(&self.readers).await
        };
        let list = list_of(1, runs.len());
        let states = of_runs(sql!(
            "SELECT run_id, state, way, COUNT(*) AS n FROM jobs \
             WHERE run_id IN ({list}) AND state <> '{Retried}' GROUP BY run_id, state, way"
        ));
        for row in states.await? {
            let totals = totals
                .entry(parsed(&row, "run_id", "a run id")?)
                .or_default();
            let jobs = count(&row, "n")?;
            totals.stores += jobs;
            match parsed(&row, "state", "the state of a job")? {
                JobState::Completed => {
                    totals.seeded += jobs;
                    if row.try_get::<Option<String>, _>("way")?.as_deref() == Some(Way::Base.name())
                    {
                        totals.from_base += jobs;
                    }
                }
                JobState::Unchanged => {
                    totals.seeded += jobs;
                    totals.unchanged += jobs;
                }
                JobState::Failed => totals.failed += jobs,
                JobState::Cancelled => totals.cancelled += jobs,
                JobState::Abandoned => totals.abandoned += jobs,
                JobState::Listed | JobState::Queued | JobState::Running => {
                    totals.in_flight += jobs;
                }
                // Another job stands for it; the query leaves it out.
                JobState::Retried => {}
            }
        }
        // Postgres sums BIGINT to NUMERIC, hence the casts.
        let sums = of_runs(sql!(
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

    /// Counts the jobs of a run by way and reason, the most frequent first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn ways(&self, run_id: RunId) -> Result<Vec<WayCount>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT way, why, COUNT(*) AS n FROM jobs \
             WHERE run_id = $1 AND way IS NOT NULL AND state <> '{Retried}' \
             GROUP BY way, why ORDER BY n DESC, way, why"
        ))
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

    /// Claims the scheduled run of `due`; whether the caller is the first to do so, and may start it.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn claim_schedule(&self, due: DateTime<Utc>) -> Result<bool, CatalogError> {
        let claimed =
            sqlx::query("UPDATE locks SET taken = $1 WHERE name = 'schedule' AND taken < $1")
                .bind(millis(due))
                .execute(&self.pool)
                .await?;
        Ok(claimed.rows_affected() == 1)
    }

    /// Takes or renews the lease to publish the jobs of a run; whether `holder` has it now.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn lease_run(
        &self,
        run_id: RunId,
        holder: &str,
        lease: Duration,
    ) -> Result<bool, CatalogError> {
        let now = Utc::now();
        let leased = sqlx::query(sql!(
            "UPDATE runs SET publisher = $2, lease_until = $4 \
             WHERE id = $1 AND state = '{running}' \
                 AND (publisher IS NULL OR publisher = $2 OR lease_until < $3)",
            running = RunState::Running
        ))
        .bind(run_id.to_string())
        .bind(holder.to_owned())
        .bind(millis(now))
        .bind(millis(now + lease))
        .execute(&self.pool)
        .await?;
        Ok(leased.rows_affected() == 1)
    }

    /// Releases the lease of a run.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn release_run(&self, run_id: RunId, holder: &str) -> Result<(), CatalogError> {
        sqlx::query(
            "UPDATE runs SET publisher = NULL, lease_until = NULL WHERE id = $1 AND publisher = $2",
        )
        .bind(run_id.to_string())
        .bind(holder.to_owned())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Returns the trace in which a run was listed; empty for a run of an older version.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn run_trace(&self, run_id: RunId) -> Result<TraceContext, CatalogError> {
        let traceparent = sqlx::query_scalar("SELECT traceparent FROM runs WHERE id = $1")
            .bind(run_id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        Ok(TraceContext {
            traceparent: traceparent.flatten(),
            tracestate: None,
        })
    }

    /// Whether the jobs of a run download every row.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn is_full_run(&self, run_id: RunId) -> Result<bool, CatalogError> {
        let is_full: Option<Option<i64>> =
            sqlx::query_scalar("SELECT is_full FROM runs WHERE id = $1")
                .bind(run_id.to_string())
                .fetch_optional(&self.pool)
                .await?;
        Ok(is_full.flatten() == Some(1))
    }

    /// Returns runs with unpublished jobs and without a valid lease, oldest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn unpublished_runs(&self) -> Result<Vec<RunId>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT id FROM runs \
             WHERE state = '{running}' AND (publisher IS NULL OR lease_until < $1) \
                 AND EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = '{Listed}') \
             ORDER BY started_at, id",
            running = RunState::Running
        ))
        .bind(millis(Utc::now()))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| parsed(row, "id", "a run id"))
            .collect()
    }

    /// Ends every run without a job in flight: as abandoned if a job was abandoned, cancelled if the run was,
    /// failed if a job failed, else completed.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn finish_runs(&self) -> Result<(), CatalogError> {
        // The lock: a retry may be adding jobs to a run that would end here.
        let mut transaction = self.locked(Lock::Writer).await?;
        sqlx::query(sql!(
            "UPDATE runs SET finished_at = $1, publisher = NULL, lease_until = NULL, state = CASE \
                 WHEN EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = '{job_abandoned}') \
                     THEN '{abandoned}' \
                 WHEN state = '{cancelled}' THEN '{cancelled}' \
                 WHEN EXISTS (SELECT 1 FROM jobs WHERE run_id = runs.id AND state = '{job_failed}') \
                     THEN '{failed}' \
                 ELSE '{completed}' END \
             WHERE state IN ({UNFINISHED}) AND finished_at IS NULL AND NOT EXISTS ( \
                 SELECT 1 FROM jobs WHERE run_id = runs.id AND state IN ({IN_FLIGHT}))",
            job_abandoned = JobState::Abandoned,
            job_failed = JobState::Failed,
            abandoned = RunState::Abandoned,
            cancelled = RunState::Cancelled,
            failed = RunState::Failed,
            completed = RunState::Completed
        ))
        .bind(millis(Utc::now()))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Cancels a run, so that no further jobs of it are published; whether no process is publishing it any more.
    /// The run ends with its last job.
    ///
    /// # Errors
    /// [`CatalogError::UnknownRun`], [`CatalogError::RunEnded`].
    pub async fn stop_publishing(&self, run_id: RunId) -> Result<bool, CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        let state = run_state(&mut transaction, run_id).await?;
        if !UNFINISHED.has(state) {
            return Err(CatalogError::RunEnded { run_id, state });
        }
        sqlx::query("UPDATE runs SET state = $2 WHERE id = $1")
            .bind(run_id.to_string())
            .bind(RunState::Cancelled.name())
            .execute(&mut *transaction)
            .await?;
        let publishing: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM runs \
             WHERE id = $1 AND publisher IS NOT NULL AND lease_until >= $2",
        )
        .bind(run_id.to_string())
        .bind(millis(Utc::now()))
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(publishing == 0)
    }
}

pub(in crate::catalog) async fn run_state(
    transaction: &mut Tx,
    run_id: RunId,
) -> Result<RunState, CatalogError> {
    let run = sqlx::query("SELECT state FROM runs WHERE id = $1")
        .bind(run_id.to_string())
        .fetch_optional(&mut **transaction)
        .await?;
    let run = run.ok_or(CatalogError::UnknownRun { run_id })?;
    parsed(&run, "state", "the state of a run")
}

/// Reopens a run that has ended, since a job was added to it.
pub(in crate::catalog) async fn reopen_run(
    transaction: &mut Tx,
    run_id: RunId,
) -> Result<(), CatalogError> {
    sqlx::query("UPDATE runs SET state = $2, finished_at = NULL WHERE id = $1")
        .bind(run_id.to_string())
        .bind(RunState::Running.name())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
