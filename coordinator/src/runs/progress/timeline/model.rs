//! What a timeline tells.

use chrono::{DateTime, Utc};
use seedbed_protocol::RunId;
use serde::Serialize;

use super::{bound::Bound, part::Part, places::Places};
use crate::catalog::{JobState, RunState};

/// A run in time.
#[derive(Debug, Clone, Serialize)]
pub struct Timeline {
    /// The run.
    pub run_id: RunId,
    /// Its state.
    pub state: RunState,
    /// When it was started.
    pub from: DateTime<Utc>,
    /// When it ended, or now.
    pub until: DateTime<Utc>,
    /// Its jobs.
    pub jobs: u64,
    /// Those that a worker has started.
    pub started: u64,
    /// Those that failed for good.
    pub failed: u64,
    /// What kept it from ending sooner.
    pub bound: Bound,
    /// What the time of all jobs went into, the longest first.
    pub steps: Vec<StepSum>,
    /// The workers, those with most jobs first; at most 100.
    pub workers: Vec<WorkerTimes>,
    /// Workers that are not listed.
    pub more_workers: u64,
    /// The jobs that took longest, the slowest first.
    pub slowest: Vec<Marked>,
    /// Jobs that failed for good, as they began; at most 20.
    pub failures: Vec<Marked>,
    /// Where everything is in the picture.
    #[serde(skip)]
    pub(super) places: Places,
}

/// What one step of all jobs took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepSum {
    /// The step.
    pub step: String,
    /// Who it waits for.
    pub part: Part,
    /// Milliseconds.
    pub millis: u64,
    /// How many of a hundred parts of all steps' time that is.
    pub share_percent: u64,
}

/// What one worker did in the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerTimes {
    /// Its name.
    pub worker: String,
    /// Jobs that it worked on at a time: its slots if it is still there, else what was seen of them.
    pub slots: u64,
    /// Jobs that it worked on.
    pub jobs: u64,
    /// How many of a hundred parts of its slots' time they took.
    pub busy_percent: u64,
}

/// A job that the picture marks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Marked {
    /// Its store.
    pub store_id: String,
    /// Its worker.
    pub worker: String,
    /// Its state.
    pub state: JobState,
    /// Its way: `unchanged`, `base` or `full`.
    pub way: Option<String>,
    /// From its first start to its end, or to now. Milliseconds.
    pub millis: u64,
    /// Its longest step, or the one that failed.
    pub step: Option<String>,
    /// Its attempts.
    pub attempts: u64,
    /// Milliseconds from the start of the run to its own.
    #[serde(skip)]
    pub(super) offset: u64,
}

impl Timeline {
    /// Returns how long it is, in milliseconds; at least 1.
    pub(super) fn length(&self) -> u64 {
        millis_between(self.from, self.until).max(1)
    }
}

/// Returns how many milliseconds it is from one time to another; 0 if that is the earlier one.
pub(super) fn millis_between(from: DateTime<Utc>, until: DateTime<Utc>) -> u64 {
    u64::try_from((until - from).num_milliseconds()).unwrap_or_default()
}
