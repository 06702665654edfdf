//! Runs and jobs, as the API answers them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::{ConfigChange, JobRecord, JobState, RunReport, RunState};

/// One sweep over stores.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Run {
    run_id: String,
    /// What started it: local, run, schedule, api, demand, config, retry or rebuilt.
    kind: String,
    state: RunState,
    started_at: DateTime<Utc>,
    /// When its last job ended. What is retried later does not change it.
    finished_at: Option<DateTime<Utc>>,
    /// From its start to its end.
    seconds: Option<f64>,
    /// Rows of its seeded stores in a second of that; null if it was too short to tell.
    rows_per_second: Option<u64>,
    stores: u64,
    seeded: u64,
    /// Seeded stores whose snapshot was still current.
    unchanged: u64,
    /// Seeded stores whose snapshot continues an earlier one.
    from_base: u64,
    /// Without those that were quarantined before.
    failed: u64,
    /// Stores in quarantine whose probe failed.
    quarantined: u64,
    cancelled: u64,
    abandoned: u64,
    in_flight: u64,
    /// Of the seeded stores, unchanged ones included.
    rows: u64,
    /// Of the stores in flight, as far as they are known or can be guessed.
    rows_left: u64,
    /// Of the same snapshots as rows.
    bytes: u64,
    /// Changes of the sync config that its jobs found; only of one run that is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::http::api) config_changes: Vec<ConfigChange>,
}

impl From<RunReport> for Run {
    fn from(run: RunReport) -> Self {
        let totals = run.totals;
        Self {
            run_id: run.run_id.to_string(),
            kind: run.kind,
            state: run.state,
            started_at: run.started_at,
            finished_at: run.finished_at,
            seconds: run.seconds,
            rows_per_second: run.rows_per_second,
            stores: totals.stores,
            seeded: totals.seeded,
            unchanged: totals.unchanged,
            from_base: totals.from_base,
            failed: totals.failed,
            quarantined: totals.quarantined,
            cancelled: totals.cancelled,
            abandoned: totals.abandoned,
            in_flight: totals.in_flight,
            rows: totals.rows,
            rows_left: totals.rows_left,
            bytes: totals.bytes,
            config_changes: Vec::new(),
        }
    }
}

impl Run {
    pub(in crate::http::api) fn is_running(&self) -> bool {
        self.state == RunState::Running
    }
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::api) struct Runs {
    pub(in crate::http::api) runs: Vec<Run>,
    /// Pass it as `after` to get the next page; null on the last.
    pub(in crate::http::api) next: Option<String>,
}

/// One store within one run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Job {
    job_id: String,
    run_id: String,
    store_id: String,
    state: JobState,
    /// The newest attempt that is known; 0 before the first.
    attempt: u64,
    worker: Option<String>,
    trace_id: Option<String>,
    listed_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    /// How it was seeded: unchanged, base (continues an earlier snapshot) or full (every row was downloaded).
    way: Option<String>,
    /// Why every row was downloaded.
    why: Option<String>,
    failure: Option<Failure>,
    /// When it is tried again, as long as it waits for that.
    retry_at: Option<DateTime<Utc>>,
    /// Whether it waits since the service has as many streams open as it allows (429).
    waits_for_service: bool,
    /// The state of the store's newest job, if that is a later one, such as a retry; else null.
    later: Option<JobState>,
}

/// Why the last attempt failed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::api) struct Failure {
    /// transient or permanent.
    kind: Option<String>,
    step: Option<String>,
    message: String,
}

impl From<JobRecord> for Job {
    fn from(job: JobRecord) -> Self {
        Self {
            job_id: job.job_id.to_string(),
            run_id: job.run_id.to_string(),
            store_id: job.store_id.to_string(),
            state: job.state,
            attempt: job.attempt,
            worker: job.worker,
            trace_id: job.trace_id,
            listed_at: job.listed_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            way: job.way,
            why: job.why,
            later: job.later,
            retry_at: job.retry_at,
            waits_for_service: job.waits_for_service,
            failure: job.failure.map(|failure| Failure {
                kind: failure.kind,
                step: failure.step,
                message: failure.message,
            }),
        }
    }
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::api) struct Jobs {
    pub(in crate::http::api) jobs: Vec<Job>,
    /// Pass it as `after` to get the next page; null on the last.
    pub(in crate::http::api) next: Option<String>,
}
