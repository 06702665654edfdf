//! The job that a coordinator publishes and a worker takes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::Checkpoint,
    ids::{Attempt, JobId, RunId, StoreId},
    json::JsonObject,
    manifest::{Download, FullReason, Manifest, Rendition},
};

/// Seed one store: sync it, vacuum it, verify it, upload it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedJob {
    /// The sweep that this job belongs to.
    pub run_id: RunId,
    /// This job.
    pub job_id: JobId,
    /// Which rows the snapshot holds.
    pub scope: Scope,
    /// Sync parameters (PowerSync's connection parameters), resolved for this store.
    pub parameters: JsonObject,
    /// Whether the streams that the sync config subscribes every client to are synced as well.
    pub default_streams: bool,
    /// Explicit stream subscriptions, resolved for this store.
    pub subscriptions: Vec<StreamSubscription>,
    /// Which try this is.
    pub attempt: Attempt,
    /// After this moment the job is not worth starting or finishing.
    pub deadline: DateTime<Utc>,
    /// What it starts from.
    pub start: Start,
}

/// What a job starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Start {
    /// Nothing: every row is downloaded.
    Full(FullReason),
    /// The store's live snapshot, as far as that is of use.
    Base(Box<BaseSnapshot>),
}

/// What selects a store's rows: its id, and the claims that its JWT carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// The store.
    pub store_id: StoreId,
    /// JWT claims beside `sub`, `aud`, `iat` and `exp`, with their JSON types. Never a token.
    pub claims: JsonObject,
}

/// One explicit subscription to a Sync Stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamSubscription {
    /// The stream's name in the sync config.
    pub stream: String,
    /// Its parameters; `None` subscribes without any.
    pub parameters: Option<JsonObject>,
    /// Overrides the stream's priority, 0 (first) to 3.
    pub priority: Option<u8>,
}

/// A snapshot that a job may start from; for its fields see [`Manifest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaseSnapshot {
    /// The job that made it.
    pub job_id: JobId,
    /// The try that made it.
    pub attempt: Attempt,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When all of its rows were downloaded: then, or with a base of its own.
    pub full_at: DateTime<Utc>,
    /// Operations that were applied since the file was last written in order.
    pub loose_operations: u64,
    /// Where it stopped.
    pub checkpoint: Checkpoint,
    /// The service that it was synced from.
    pub powersync_endpoint: String,
    /// The core extension that wrote it.
    pub core_version: String,
    /// The schema that it was made with.
    pub schema_fingerprint: String,
    /// What was asked for.
    pub selection_fingerprint: String,
    /// What was downloaded for it.
    pub download: Download,
    /// Its files.
    pub renditions: Vec<Rendition>,
}

impl From<Manifest> for BaseSnapshot {
    fn from(manifest: Manifest) -> Self {
        Self {
            full_at: manifest.full_at(),
            loose_operations: manifest.loose_operations(),
            job_id: manifest.job_id,
            attempt: manifest.attempt,
            created_at: manifest.created_at,
            checkpoint: manifest.checkpoint,
            powersync_endpoint: manifest.powersync_endpoint,
            core_version: manifest.core_version,
            schema_fingerprint: manifest.schema_fingerprint,
            selection_fingerprint: manifest.selection_fingerprint,
            download: manifest.download,
            renditions: manifest.renditions,
        }
    }
}
