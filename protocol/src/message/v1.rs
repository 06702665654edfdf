//! Messages as version 1 wrote them. Only their layout counts here; the current types say what the fields mean.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    event::{self, Failure},
    job::{self, Scope, Start, StreamSubscription},
    json::JsonObject,
};
use crate::{
    ids::{Attempt, JobId, OpId, RunId, StoreId},
    manifest::{self, Download, FullReason, Notes, Origin, Rendition, StepTiming, TableRows},
};

#[derive(Deserialize)]
pub struct SeedJob {
    run_id: RunId,
    job_id: JobId,
    scope: Scope,
    parameters: JsonObject,
    default_streams: bool,
    subscriptions: Vec<StreamSubscription>,
    attempt: Attempt,
    deadline: DateTime<Utc>,
    /// Version 1 did nothing with it.
    _base: Option<BaseSnapshot>,
}

#[derive(Deserialize)]
struct BaseSnapshot {
    _job_id: JobId,
    _checkpoint: Checkpoint,
    _powersync_endpoint: String,
    _schema_fingerprint: String,
    _renditions: Vec<Rendition>,
}

#[derive(Deserialize)]
struct Checkpoint {
    last_op_id: OpId,
    buckets: Vec<BucketCheckpoint>,
}

#[derive(Deserialize)]
struct BucketCheckpoint {
    bucket: String,
    last_op: OpId,
    checksum: u32,
    priority: u8,
}

#[derive(Deserialize)]
pub struct SeedEvent {
    run_id: RunId,
    job_id: JobId,
    store_id: StoreId,
    attempt: Attempt,
    at: DateTime<Utc>,
    worker: String,
    kind: EventKind,
}

#[derive(Deserialize)]
enum EventKind {
    Started {
        trace_id: Option<String>,
    },
    Completed {
        manifest: Box<Manifest>,
    },
    Unchanged {
        base_job_id: JobId,
        checkpoint: Checkpoint,
    },
    Failed(Failure),
}

#[derive(Deserialize)]
struct Manifest {
    run_id: RunId,
    job_id: JobId,
    store_id: StoreId,
    attempt: Attempt,
    created_at: DateTime<Utc>,
    powersync_endpoint: String,
    core_version: String,
    internal_schema_version: u32,
    schema_fingerprint: String,
    checkpoint: Checkpoint,
    tables: Vec<TableRows>,
    renditions: Vec<Rendition>,
    download: Download,
    steps: Vec<StepTiming>,
    trace_id: Option<String>,
}

impl From<SeedJob> for job::SeedJob {
    fn from(job: SeedJob) -> Self {
        Self {
            run_id: job.run_id,
            job_id: job.job_id,
            scope: job.scope,
            parameters: job.parameters,
            default_streams: job.default_streams,
            subscriptions: job.subscriptions,
            attempt: job.attempt,
            deadline: job.deadline,
            start: Start::Full(FullReason::Off),
        }
    }
}

impl From<SeedEvent> for event::SeedEvent {
    fn from(event: SeedEvent) -> Self {
        Self {
            run_id: event.run_id,
            job_id: event.job_id,
            store_id: event.store_id,
            attempt: event.attempt,
            at: event.at,
            worker: event.worker,
            kind: event.kind.into(),
            steps: Vec::new(),
        }
    }
}

impl From<EventKind> for event::EventKind {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Started { trace_id } => Self::Started { trace_id },
            EventKind::Completed { manifest } => Self::Completed {
                manifest: Box::new((*manifest).into()),
            },
            EventKind::Unchanged {
                base_job_id,
                checkpoint,
            } => Self::Unchanged {
                base_job_id,
                // No worker of version 1 sent this event.
                base_attempt: Attempt::FIRST,
                checkpoint: checkpoint.into(),
            },
            EventKind::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<Manifest> for manifest::Manifest {
    fn from(manifest: Manifest) -> Self {
        Self {
            run_id: manifest.run_id,
            job_id: manifest.job_id,
            store_id: manifest.store_id,
            attempt: manifest.attempt,
            created_at: manifest.created_at,
            powersync_endpoint: manifest.powersync_endpoint,
            core_version: manifest.core_version,
            internal_schema_version: manifest.internal_schema_version,
            schema_fingerprint: manifest.schema_fingerprint,
            selection_fingerprint: String::new(),
            origin: Origin::default(),
            checkpoint: manifest.checkpoint.into(),
            tables: manifest.tables,
            renditions: manifest.renditions,
            download: manifest.download,
            steps: manifest.steps,
            trace_id: manifest.trace_id,
            forms: Vec::new(),
            notes: Notes::default(),
            sealed: Vec::new(),
            sealed_key: None,
        }
    }
}

impl From<Checkpoint> for manifest::Checkpoint {
    fn from(checkpoint: Checkpoint) -> Self {
        let bucket = |bucket: BucketCheckpoint| manifest::BucketCheckpoint {
            bucket: bucket.bucket,
            last_op: bucket.last_op,
            checksum: bucket.checksum,
            priority: bucket.priority,
            operations: 0,
        };
        Self {
            last_op_id: checkpoint.last_op_id,
            buckets: checkpoint.buckets.into_iter().map(bucket).collect(),
        }
    }
}
