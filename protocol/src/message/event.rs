//! The event that a worker publishes about a job and the coordinator applies to the catalog.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{Attempt, JobId, RunId, StoreId},
    manifest::{Checkpoint, Manifest, StepTiming},
};

/// What a worker reports about a job. Applied to the catalog at most once, in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedEvent {
    pub run_id: RunId,
    pub job_id: JobId,
    pub store_id: StoreId,
    pub attempt: Attempt,
    /// When it happened, by the worker's clock.
    pub at: DateTime<Utc>,
    pub worker: String,
    pub kind: EventKind,
    /// What the time of an attempt went into that left the snapshot as it was, or failed; the last step may be the one that did.
    /// Empty in any other event, and by an older worker. A snapshot's are in its manifest. Travels as a header: see
    /// [`Extras`](super::Extras).
    #[serde(skip)]
    pub steps: Vec<StepTiming>,
}

/// What happened to a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum EventKind {
    /// A worker took the job.
    Started {
        /// The trace of the job, as 32 hex digits.
        trace_id: Option<String>,
    },
    /// A verified snapshot is uploaded.
    Completed {
        /// Everything about it; without the buckets of its checkpoint if they are too many for a message.
        manifest: Box<Manifest>,
    },
    /// The base snapshot is still exactly what the service holds; nothing was downloaded.
    Unchanged {
        /// The job that made the base.
        base_job_id: JobId,
        base_attempt: Attempt,
        /// The checkpoint that was compared; without its buckets if they are too many for a message.
        checkpoint: Checkpoint,
    },
    /// The attempt failed.
    Failed(Failure),
}

impl SeedEvent {
    /// Returns the event without the buckets of its checkpoint; `None` when it has none.
    pub(super) fn without_buckets(&self) -> Option<Self> {
        let mut event = self.clone();
        let checkpoint = match &mut event.kind {
            EventKind::Completed { manifest } => &mut manifest.checkpoint,
            EventKind::Unchanged { checkpoint, .. } => checkpoint,
            EventKind::Started { .. } | EventKind::Failed(_) => return None,
        };
        checkpoint.leave_out_buckets().then_some(event)
    }
}

impl EventKind {
    /// Returns what happened, in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Completed { .. } => "completed",
            Self::Unchanged { .. } => "unchanged",
            Self::Failed(_) => "failed",
        }
    }
}

/// Why an attempt failed, and whether it is retried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// The step that failed, such as `sync`.
    pub step: String,
    /// What went wrong and what to do about it; never a secret.
    pub message: String,
    /// When the next attempt starts; `None` when there is none and the job is parked.
    pub retry_at: Option<DateTime<Utc>>,
}

/// Whether a retry could help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// Network, overload, broker, storage: a retry may succeed.
    Transient,
    /// The same input fails again until something is changed.
    Permanent,
}
