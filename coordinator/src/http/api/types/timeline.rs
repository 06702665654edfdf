//! A run in time, as the API answers it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    catalog::{JobState, RunState},
    runs::progress::timeline::{self, BoundBy, Part},
};

/// A run in time: which worker was busy with what, and what bounded the run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Timeline {
    run_id: String,
    state: RunState,
    /// When it was started.
    from: DateTime<Utc>,
    /// When it ended, or now.
    until: DateTime<Utc>,
    /// Its jobs.
    jobs: u64,
    /// Those that a worker has started.
    started: u64,
    /// Those that failed for good.
    failed: u64,
    /// What kept it from ending sooner.
    bounded_by: BoundBy,
    /// The same in a sentence, with the numbers behind it.
    sentence: String,
    /// What the time of all jobs went into, the longest first.
    steps: Vec<StepSum>,
    /// The workers, those with most jobs first; at most 100.
    workers: Vec<WorkerTimes>,
    /// Workers that are not listed.
    more_workers: u64,
    /// The five jobs that took longest.
    slowest: Vec<Marked>,
    /// Jobs that failed for good, as they began; at most 20.
    failures: Vec<Marked>,
    /// The same as a picture: SVG.
    picture: String,
}

/// What one step of all jobs took.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct StepSum {
    step: String,
    /// Whom it waits for.
    part: Part,
    millis: u64,
    /// Of a hundred parts of all steps' time.
    share_percent: u64,
}

/// What one worker did in a run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct WorkerTimes {
    worker: String,
    /// Jobs that it worked on at a time: its slots if it is still there, else what was seen of them.
    slots: u64,
    /// Jobs that it worked on.
    jobs: u64,
    /// How many of a hundred parts of its slots' time they took.
    busy_percent: u64,
}

/// A job that is marked in the picture.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Marked {
    store_id: String,
    worker: String,
    state: JobState,
    /// unchanged, base or full.
    way: Option<String>,
    /// From its first start to its end, or to now.
    millis: u64,
    /// Its longest step, or the one that failed.
    step: Option<String>,
    attempts: u64,
}

impl From<timeline::Timeline> for Timeline {
    fn from(of: timeline::Timeline) -> Self {
        Self {
            picture: timeline::draw(&of),
            run_id: of.run_id.to_string(),
            state: of.state,
            from: of.from,
            until: of.until,
            jobs: of.jobs,
            started: of.started,
            failed: of.failed,
            bounded_by: of.bound.by,
            sentence: of.bound.sentence,
            steps: of.steps.into_iter().map(StepSum::from).collect(),
            workers: of.workers.into_iter().map(WorkerTimes::from).collect(),
            more_workers: of.more_workers,
            slowest: of.slowest.into_iter().map(Marked::from).collect(),
            failures: of.failures.into_iter().map(Marked::from).collect(),
        }
    }
}

impl From<timeline::StepSum> for StepSum {
    fn from(of: timeline::StepSum) -> Self {
        Self {
            step: of.step,
            part: of.part,
            millis: of.millis,
            share_percent: of.share_percent,
        }
    }
}

impl From<timeline::WorkerTimes> for WorkerTimes {
    fn from(of: timeline::WorkerTimes) -> Self {
        Self {
            worker: of.worker,
            slots: of.slots,
            jobs: of.jobs,
            busy_percent: of.busy_percent,
        }
    }
}

impl From<timeline::Marked> for Marked {
    fn from(of: timeline::Marked) -> Self {
        Self {
            store_id: of.store_id,
            worker: of.worker,
            state: of.state,
            way: of.way,
            millis: of.millis,
            step: of.step,
            attempts: of.attempts,
        }
    }
}
