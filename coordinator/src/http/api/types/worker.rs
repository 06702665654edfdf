//! Workers, as the API answers them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::WorkerRecord;

/// The workers that are there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Workers {
    pub(in crate::http::api) workers: Vec<Worker>,
}

/// A worker that says that it is there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Worker {
    /// Its name, as jobs have it.
    name: String,
    /// Its machine's name.
    host: String,
    version: String,
    /// Jobs that it works on at a time.
    slots: u64,
    /// Jobs that it works on, as of its last heartbeat.
    busy: u64,
    /// Those of them that waited for PowerSync's limit of streams (429).
    waiting: u64,
    /// When it started, by its own clock.
    started_at: DateTime<Utc>,
    /// When its last heartbeat came.
    seen_at: DateTime<Utc>,
}

impl From<WorkerRecord> for Worker {
    fn from(worker: WorkerRecord) -> Self {
        Self {
            name: worker.name,
            host: worker.host,
            version: worker.version,
            slots: worker.slots,
            busy: worker.busy,
            waiting: worker.waiting,
            started_at: worker.started_at,
            seen_at: worker.seen_at,
        }
    }
}
