//! Runs as they are shown: pages, the totals of their jobs, and how their snapshots were made.

use std::{collections::HashMap, ops::AddAssign, time::Duration};

use chrono::{DateTime, Utc};
use seedbed_protocol::{RunId, manifest::Way};
use serde::Serialize;
use sqlx::{Row, any::AnyRow};

use crate::catalog::{
    database::{
        Catalog, CatalogError, bind_all, count, cut_page, list_of, millis, parsed, sql, time,
    },
    state::{
        JobState::{self, Retried},
        RunState,
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
    /// Stores whose job failed for good, without those that were quarantined before.
    pub failed: u64,
    /// Stores in quarantine whose probe failed.
    pub quarantined: u64,
    /// Stores whose job was cancelled before it started.
    pub cancelled: u64,
    /// Stores whose job was abandoned.
    pub abandoned: u64,
    /// Stores whose job is in flight.
    pub in_flight: u64,
    /// Rows of the seeded stores: in the run's snapshots, and in those that it found to be still right.
    pub rows: u64,
    /// Rows of the stores whose job is in flight: of their snapshots until now; for a store without one, the mean of the
    /// run's other stores. 0 when nothing is known of any.
    pub rows_left: u64,
    /// Bytes of the same snapshots as `rows`.
    pub bytes: u64,
}

impl Totals {
    /// Returns whether stores succeeded, and none failed or was dropped but those that were quarantined before.
    pub fn all_well(&self) -> bool {
        self.unseeded() + self.in_flight == 0 && (self.seeded > 0 || self.stores == 0)
    }

    /// Returns how many stores failed, with those that were quarantined before.
    pub fn all_failed(&self) -> u64 {
        self.failed + self.quarantined
    }

    /// Returns how many stores failed or were dropped, without those that were quarantined before.
    pub fn unseeded(&self) -> u64 {
        self.failed + self.cancelled + self.abandoned
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.stores += other.stores;
        self.seeded += other.seeded;
        self.unchanged += other.unchanged;
        self.from_base += other.from_base;
        self.failed += other.failed;
        self.quarantined += other.quarantined;
        self.cancelled += other.cancelled;
        self.abandoned += other.abandoned;
        self.in_flight += other.in_flight;
        self.rows += other.rows;
        self.rows_left += other.rows_left;
        self.bytes += other.bytes;
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// Its id.
    pub run_id: RunId,
    /// What started it: `local`, `run`, `schedule`, `api`, `demand`, `config`, `retry` or `rebuilt`.
    pub kind: String,
    /// Its state.
    pub state: RunState,
    /// When it was listed.
    pub started_at: DateTime<Utc>,
    /// When its last job ended. What is retried later does not change it.
    pub finished_at: Option<DateTime<Utc>>,
    /// From its start to its end.
    pub seconds: Option<f64>,
    /// Rows of its seeded stores in a second of that; `None` if it was too short to tell.
    pub rows_per_second: Option<u64>,
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
    /// [`FullReason::name`](seedbed_protocol::manifest::FullReason::name).
    pub why: Option<String>,
    /// The jobs.
    pub jobs: u64,
}

/// The columns of a [`RunReport`].
const RUN_COLUMNS: &str =
    "id, kind, state, started_at, COALESCE(ended_at, finished_at) AS finished_at";

/// What is shorter says nothing about a second.
const SHORTEST: Duration = Duration::from_millis(100);

/// Returns how many there are in a second of `took`; `None` if that was too short to tell.
pub fn per_second(count: u64, took: Duration) -> Option<u64> {
    // Whole ones are precise enough.
    (took >= SHORTEST).then(|| (count as f64 / took.as_secs_f64()) as u64)
}

/// Jobs of a run that are counted, and how many rows their stores have.
#[derive(Default)]
struct Sums {
    totals: Totals,
    /// Jobs whose rows are known, and those rows.
    known: u64,
    rows: u64,
    /// Jobs in flight whose rows are not known.
    unknown_in_flight: u64,
}

impl Sums {
    /// Adds a group of jobs in one state.
    fn add(&mut self, row: &AnyRow) -> Result<(), CatalogError> {
        let (jobs, known) = (count(row, "jobs")?, count(row, "known")?);
        let (rows, bytes) = (count(row, "row_count")?, count(row, "byte_count")?);
        self.known += known;
        self.rows += rows;
        let totals = &mut self.totals;
        totals.stores += jobs;
        let state: JobState = parsed(row, "state", "the state of a job")?;
        if state.succeeded() {
            totals.seeded += jobs;
            totals.rows += rows;
            totals.bytes += bytes;
        }
        match state {
            JobState::Completed => {
                let way: Option<String> = row.try_get("way")?;
                if way.as_deref() == Some(Way::Base.name()) {
                    totals.from_base += jobs;
                }
            }
            JobState::Unchanged => totals.unchanged += jobs,
            JobState::Failed => match row.try_get::<Option<i64>, _>("is_probe")? {
                Some(_) => totals.quarantined += jobs,
                None => totals.failed += jobs,
            },
            JobState::Cancelled => totals.cancelled += jobs,
            JobState::Abandoned => totals.abandoned += jobs,
            JobState::Listed | JobState::Queued | JobState::Running => {
                totals.in_flight += jobs;
                totals.rows_left += rows;
                self.unknown_in_flight += jobs - known;
            }
            // Another job stands for it; the query leaves it out.
            JobState::Retried => {}
        }
        Ok(())
    }

    fn totals(mut self) -> Totals {
        let mean = self.rows.checked_div(self.known).unwrap_or_default();
        self.totals.rows_left += self.unknown_in_flight * mean;
        self.totals
    }
}

/// A place in the pages of runs: start and id.
pub type RunCursor = (DateTime<Utc>, RunId);

impl Catalog {
    /// Returns the newest runs, newest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn runs(&self, limit: i64) -> Result<Vec<RunReport>, CatalogError> {
        self.runs_after(None, None, limit).await
    }

    /// Returns a page of runs in one state or in all, newest first, at most `limit` after `after`, and the cursor of the
    /// next page.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn runs_page(
        &self,
        state: Option<RunState>,
        after: Option<RunCursor>,
        limit: u32,
    ) -> Result<(Vec<RunReport>, Option<RunCursor>), CatalogError> {
        let mut runs = self.runs_after(state, after, i64::from(limit) + 1).await?;
        let next = cut_page(&mut runs, limit, |last| (last.started_at, last.run_id));
        Ok((runs, next))
    }

    async fn runs_after(
        &self,
        state: Option<RunState>,
        after: Option<RunCursor>,
        limit: i64,
    ) -> Result<Vec<RunReport>, CatalogError> {
        let (started_at, id) = match after {
            Some((started_at, id)) => (millis(started_at), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let rows = sqlx::query(sql!(
            "SELECT {RUN_COLUMNS} FROM runs \
             WHERE ($1 = '' OR state = $1) AND (started_at < $2 OR started_at = $2 AND id < $3) \
             ORDER BY started_at DESC, id DESC LIMIT $4"
        ))
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
        let rows = sqlx::query(sql!("SELECT {RUN_COLUMNS} FROM runs WHERE id = $1"))
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
            let started_at = time(row.try_get("started_at")?)?;
            let finished_at: Option<i64> = row.try_get("finished_at")?;
            let finished_at = finished_at.map(time).transpose()?;
            let totals = totals.remove(&run_id).unwrap_or_default();
            let took = finished_at.map(|end| (end - started_at).to_std().unwrap_or_default());
            Ok(RunReport {
                run_id,
                kind: row.try_get("kind")?,
                state: parsed(row, "state", "the state of a run")?,
                started_at,
                finished_at,
                seconds: took.map(|took| took.as_secs_f64()),
                rows_per_second: took.and_then(|took| per_second(totals.rows, took)),
                totals,
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
        if runs.is_empty() {
            return Ok(HashMap::new());
        }
        // Postgres sums BIGINT to NUMERIC, hence the casts.
        let statement = sql!(
            "SELECT run_id, state, way, is_probe, COUNT(*) AS jobs, COUNT(row_count) AS known, \
                 CAST(COALESCE(SUM(row_count), 0) AS BIGINT) AS row_count, \
                 CAST(COALESCE(SUM(byte_count), 0) AS BIGINT) AS byte_count FROM jobs \
             WHERE run_id IN ({}) AND state <> '{Retried}' \
             GROUP BY run_id, state, way, is_probe",
            list_of(1, runs.len())
        );
        let groups = bind_all(sqlx::query(statement), runs);
        let mut sums: HashMap<RunId, Sums> = HashMap::new();
        for row in groups.fetch_all(&self.readers).await? {
            let sums = sums.entry(parsed(&row, "run_id", "a run id")?).or_default();
            sums.add(&row)?;
        }
        let totals = sums.into_iter().map(|(run, sums)| (run, sums.totals()));
        Ok(totals.collect())
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
}
