//! What the API answers, as it is written.

use chrono::{DateTime, Utc};
use seedbed_protocol::message::Manifest;
use serde::Serialize;
use utoipa::ToSchema;

pub(super) use crate::catalog::{Age, JobState, RunState};
use crate::{
    catalog::{
        Freshness, JobRecord, Listed, Retried, RunReport, SnapshotRecord, SnapshotState,
        StoreRecord,
    },
    http::download::Encodings,
    requeue::Cancelled,
    show::Parked,
};

/// A sweep over stores.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    run_id: String,
    /// What started it: local, run, schedule, api, demand or rebuilt.
    kind: String,
    state: RunState,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    stores: u64,
    seeded: u64,
    /// Those of the seeded whose snapshot was still right.
    unchanged: u64,
    /// Those of the seeded whose snapshot continues an earlier one.
    from_base: u64,
    failed: u64,
    cancelled: u64,
    abandoned: u64,
    in_flight: u64,
    rows: u64,
    bytes: u64,
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
            stores: totals.stores,
            seeded: totals.seeded,
            unchanged: totals.unchanged,
            from_base: totals.from_base,
            failed: totals.failed,
            cancelled: totals.cancelled,
            abandoned: totals.abandoned,
            in_flight: totals.in_flight,
            rows: totals.rows,
            bytes: totals.bytes,
        }
    }
}

impl Run {
    pub(super) fn is_running(&self) -> bool {
        self.state == RunState::Running
    }
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Runs {
    pub(super) runs: Vec<Run>,
    /// Goes into `after` for the next page.
    pub(super) next: Option<String>,
}

/// One store within one run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    job_id: String,
    run_id: String,
    store_id: String,
    state: JobState,
    /// The newest try that is known of; 0 before the first.
    attempt: u64,
    worker: Option<String>,
    trace_id: Option<String>,
    listed_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    /// Which way it went: unchanged, base (it continues an earlier snapshot) or full (every row was downloaded).
    way: Option<String>,
    /// Why every row was downloaded.
    why: Option<String>,
    failure: Option<Failure>,
}

/// Why the last try failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Failure {
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
pub(super) struct Jobs {
    pub(super) jobs: Vec<Job>,
    /// Goes into `after` for the next page.
    pub(super) next: Option<String>,
}

/// A store as it is now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Store {
    store_id: String,
    /// Whether it is no longer in the source.
    retired: bool,
    /// When PowerSync was last known to hold exactly what is in its live snapshot.
    snapshot_at: Option<DateTime<Utc>>,
    rows: Option<u64>,
    bytes: Option<u64>,
    /// Its newest job.
    job: Option<Job>,
}

impl From<StoreRecord> for Store {
    fn from(store: StoreRecord) -> Self {
        Self {
            store_id: store.store_id.to_string(),
            retired: store.retired,
            snapshot_at: store.snapshot_at,
            rows: store.rows,
            bytes: store.bytes,
            job: store.job.map(Job::from),
        }
    }
}

/// A page of stores.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stores {
    pub(super) stores: Vec<Store>,
    /// Goes into `after` for the next page.
    pub(super) next: Option<String>,
    /// Stores on all pages.
    pub(super) total: u64,
}

/// A store with its history, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StoreDetail {
    #[serde(flatten)]
    pub(super) store: Store,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) jobs: Vec<Job>,
}

/// One snapshot.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Snapshot {
    job_id: String,
    attempt: u64,
    run_id: String,
    state: SnapshotState,
    created_at: DateTime<Utc>,
    /// When PowerSync was last known to hold exactly this.
    verified_at: DateTime<Utc>,
    /// How it came to be: base (it continues an earlier snapshot) or full (every row was downloaded).
    way: &'static str,
    /// Why every row was downloaded.
    why: Option<&'static str>,
    rows: u64,
    bytes: u64,
    /// PowerSync's newest op in it.
    checkpoint: String,
    /// How many buckets it has.
    buckets: usize,
    core_version: String,
    schema_fingerprint: String,
    powersync_endpoint: String,
    tables: Vec<Table>,
    renditions: Vec<Rendition>,
    steps: Vec<Step>,
    download: Download,
    trace_id: Option<String>,
}

/// The rows of a table.
#[derive(Debug, Serialize, ToSchema)]
struct Table {
    table: String,
    rows: u64,
}

/// One file of a snapshot.
#[derive(Debug, Serialize, ToSchema)]
struct Rendition {
    #[schema(value_type = Encodings)]
    encoding: seedbed_protocol::message::Encoding,
    bytes: u64,
    sha256: String,
    key: String,
}

/// How long a step of the job took.
#[derive(Debug, Serialize, ToSchema)]
struct Step {
    step: String,
    millis: u64,
}

/// What was downloaded from PowerSync.
#[derive(Debug, Serialize, ToSchema)]
struct Download {
    bytes: u64,
    operations: u64,
    connections: u32,
}

impl From<SnapshotRecord> for Snapshot {
    fn from(record: SnapshotRecord) -> Self {
        let SnapshotRecord {
            state,
            verified_at,
            manifest,
        } = record;
        let way = manifest.way();
        let (rows, bytes) = (manifest.rows(), manifest.bytes());
        let Manifest {
            tables,
            renditions,
            steps,
            download,
            ..
        } = manifest;
        Self {
            job_id: manifest.job_id.to_string(),
            attempt: manifest.attempt.get().into(),
            run_id: manifest.run_id.to_string(),
            state,
            created_at: manifest.created_at,
            verified_at,
            way: way.name(),
            why: way.why(),
            rows,
            bytes,
            checkpoint: manifest.checkpoint.last_op_id.to_string(),
            buckets: manifest.checkpoint.buckets.len(),
            core_version: manifest.core_version,
            schema_fingerprint: manifest.schema_fingerprint,
            powersync_endpoint: manifest.powersync_endpoint,
            tables: tables
                .into_iter()
                .map(|t| Table {
                    table: t.table,
                    rows: t.rows,
                })
                .collect(),
            renditions: renditions
                .into_iter()
                .map(|r| Rendition {
                    encoding: r.encoding,
                    bytes: r.bytes,
                    sha256: r.sha256,
                    key: r.key,
                })
                .collect(),
            steps: steps
                .into_iter()
                .map(|s| Step {
                    step: s.step,
                    millis: s.millis,
                })
                .collect(),
            download: Download {
                bytes: download.bytes,
                operations: download.operations,
                connections: download.connections,
            },
            trace_id: manifest.trace_id,
        }
    }
}

/// What a request to seed came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Started {
    /// The new run; none if no store needed a job.
    run_id: Option<String>,
    jobs: u64,
    /// Stores that are being seeded already.
    in_flight: u64,
    /// Stores whose snapshot is young enough.
    fresh: u64,
    /// Stores that are no longer in the source.
    retired: u64,
}

impl From<Listed> for Started {
    fn from(listed: Listed) -> Self {
        Self {
            run_id: listed.run_id.map(|run_id| run_id.to_string()),
            jobs: listed.jobs,
            in_flight: listed.in_flight,
            fresh: listed.fresh,
            retired: listed.retired,
        }
    }
}

/// What a retry came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StartedOver {
    runs: Vec<String>,
    /// Jobs that start over.
    jobs: u64,
    /// Failed jobs that stay as they are, because their store has a later job or is gone.
    skipped: u64,
}

impl From<Retried> for StartedOver {
    fn from(retried: Retried) -> Self {
        Self {
            runs: retried.runs.iter().map(ToString::to_string).collect(),
            jobs: retried.jobs,
            skipped: retried.skipped,
        }
    }
}

/// What cancelling came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dropped {
    /// Jobs that will not start.
    cancelled: u64,
    /// Jobs that have started, and go on.
    going_on: u64,
}

impl From<Cancelled> for Dropped {
    fn from(cancelled: Cancelled) -> Self {
        Self {
            cancelled: cancelled.cancelled,
            going_on: cancelled.going_on,
        }
    }
}

/// Everything at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    /// When it was so.
    pub(super) now: DateTime<Utc>,
    /// The server's version.
    pub(super) version: &'static str,
    /// Stores in the source.
    pub(super) stores: u64,
    pub(super) freshness: Ages,
    /// Messages that were put aside; none if the broker does not tell.
    pub(super) parked: Option<Messages>,
    /// Messages that wait; none if the broker does not tell.
    pub(super) waiting: Option<Messages>,
    /// The newest run that has not ended.
    pub(super) current_run: Option<Run>,
    /// The newest runs.
    pub(super) runs: Vec<Run>,
    /// The page of a trace, with {trace_id} in it.
    pub(super) trace_url: Option<String>,
    /// When the next run starts by itself.
    pub(super) scheduled: Option<DateTime<Utc>>,
}

/// How many stores have a snapshot of which age.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ages {
    /// Younger than an hour.
    hour: u64,
    /// Younger than six hours.
    six_hours: u64,
    /// Younger than a day.
    day: u64,
    older: u64,
    never: u64,
}

impl From<Freshness> for Ages {
    fn from(freshness: Freshness) -> Self {
        Self {
            hour: freshness.hour,
            six_hours: freshness.six_hours,
            day: freshness.day,
            older: freshness.older,
            never: freshness.never,
        }
    }
}

/// Messages on the broker.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Messages {
    pub(super) jobs: u64,
    pub(super) events: u64,
}

impl From<Parked> for Messages {
    fn from(Parked { jobs, events }: Parked) -> Self {
        Self { jobs, events }
    }
}
