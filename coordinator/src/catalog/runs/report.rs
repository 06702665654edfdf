//! Runs as they are shown: pages, and how their snapshots were made.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use seedbed_protocol::RunId;
use serde::Serialize;
use sqlx::{Row, any::AnyRow};

use super::{ended::EndedRuns, totals::Totals};
use crate::catalog::{
    database::{Catalog, CatalogError, count, cut_page, millis, parsed, sql, time},
    state::{JobState::Retried, RunState},
};

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

/// A place in the pages of runs: start and id.
pub type RunCursor = (DateTime<Utc>, RunId);

impl Catalog {
    /// Returns the newest runs, newest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn runs(&self, limit: i64) -> Result<Vec<RunReport>, CatalogError> {
        self.runs_after(None, None, limit, None).await
    }

    /// Returns the same, with the totals that `ended` remembers of runs that are long over.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn runs_remembering(
        &self,
        limit: i64,
        ended: &EndedRuns,
    ) -> Result<Vec<RunReport>, CatalogError> {
        self.runs_after(None, None, limit, Some(ended)).await
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
        let mut runs = self
            .runs_after(state, after, i64::from(limit) + 1, None)
            .await?;
        let next = cut_page(&mut runs, limit, |last| (last.started_at, last.run_id));
        Ok((runs, next))
    }

    async fn runs_after(
        &self,
        state: Option<RunState>,
        after: Option<RunCursor>,
        limit: i64,
        ended: Option<&EndedRuns>,
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
        self.reports(&rows, ended).await
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
        Ok(self.reports(&rows, None).await?.pop())
    }

    async fn reports(
        &self,
        rows: &[AnyRow],
        ended: Option<&EndedRuns>,
    ) -> Result<Vec<RunReport>, CatalogError> {
        let run_ids = rows.iter().map(|row| parsed(row, "id", "a run id"));
        let run_ids: Vec<RunId> = run_ids.collect::<Result<_, _>>()?;
        let mut totals = match ended {
            Some(ended) => ended.known(rows)?,
            None => HashMap::new(),
        };
        let unknown = run_ids.iter().filter(|run| !totals.contains_key(run));
        let unknown: Vec<RunId> = unknown.copied().collect();
        let read = self.totals_of(&unknown).await?;
        if let Some(ended) = ended {
            ended.keep(&read);
        }
        totals.extend(read);
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
