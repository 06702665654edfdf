//! What the jobs of runs add up to.

use std::{collections::HashMap, ops::AddAssign};

use seedbed_protocol::{RunId, manifest::Way};
use serde::Serialize;
use sqlx::{Row, any::AnyRow};

use crate::catalog::{
    database::{Catalog, CatalogError, count, ids, parsed, sql},
    state::JobState::{self, Retried},
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

impl Catalog {
    /// Returns the totals of a run's jobs.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn totals(&self, run_id: RunId) -> Result<Totals, CatalogError> {
        let mut totals = self.totals_of(&[run_id]).await?;
        Ok(totals.remove(&run_id).unwrap_or_default())
    }

    /// Returns the totals of each of these runs. A run without jobs may be missing.
    pub(super) async fn totals_of(
        &self,
        runs: &[RunId],
    ) -> Result<HashMap<RunId, Totals>, CatalogError> {
        if runs.is_empty() {
            return Ok(HashMap::new());
        }
        // Postgres sums BIGINT to NUMERIC, hence the casts.
        let statement = sql!(
            "SELECT run_id, state, way, is_probe, COUNT(*) AS jobs, COUNT(row_count) AS known, \
                 CAST(COALESCE(SUM(row_count), 0) AS BIGINT) AS row_count, \
                 CAST(COALESCE(SUM(byte_count), 0) AS BIGINT) AS byte_count FROM jobs \
             WHERE run_id {} AND state <> '{Retried}' \
             GROUP BY run_id, state, way, is_probe",
            self.dialect.among(1)
        );
        let groups = sqlx::query(statement).bind(ids(runs));
        let mut sums: HashMap<RunId, Sums> = HashMap::new();
        for row in groups.fetch_all(&self.readers).await? {
            let sums = sums.entry(parsed(&row, "run_id", "a run id")?).or_default();
            sums.add(&row)?;
        }
        let totals = sums.into_iter().map(|(run, sums)| (run, sums.totals()));
        Ok(totals.collect())
    }
}
