//! The job that a coordinator publishes and a worker takes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::json::JsonObject;
use crate::{
    ids::{Attempt, JobId, RunId, StoreId},
    manifest::{Checkpoint, Download, FullReason, Manifest, Rendition},
};

/// Asks for a snapshot of one store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedJob {
    pub run_id: RunId,
    pub job_id: JobId,
    pub scope: Scope,
    /// Sync parameters (PowerSync's connection parameters), resolved for this store.
    pub parameters: JsonObject,
    /// Whether the streams that the sync config subscribes every client to are synced as well.
    pub default_streams: bool,
    /// Explicit stream subscriptions, resolved for this store.
    pub subscriptions: Vec<StreamSubscription>,
    pub attempt: Attempt,
    /// When the job expires: it is neither started nor finished later.
    pub deadline: DateTime<Utc>,
    pub start: Start,
}

impl SeedJob {
    /// Returns the job without the buckets of its base's checkpoint; `None` when it has none.
    pub(super) fn without_buckets(&self) -> Option<Self> {
        let mut job = self.clone();
        match &mut job.start {
            Start::Base(base) => base.checkpoint.leave_out_buckets().then_some(job),
            Start::Full(_) => None,
        }
    }
}

/// What a job starts from: nothing, or a base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Start {
    /// Nothing: every row is downloaded.
    Full(FullReason),
    /// The store's live snapshot, if the worker can use it.
    Base(Box<BaseSnapshot>),
}

/// What selects a store's rows: its id, and the claims that its JWT carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    pub store_id: StoreId,
    /// JWT claims other than `sub`, `aud`, `iat` and `exp`, with their JSON types. Never a token.
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
    pub job_id: JobId,
    pub attempt: Attempt,
    pub created_at: DateTime<Utc>,
    /// When all of its rows were downloaded: with it, or with a base of its own.
    pub full_at: DateTime<Utc>,
    /// Operations that were applied since the file was last written in order (dense).
    pub loose_operations: u64,
    /// The checkpoint that it holds. Without buckets, if they are too many for a message: the manifest has them.
    pub checkpoint: Checkpoint,
    pub powersync_endpoint: String,
    pub core_version: String,
    pub schema_fingerprint: String,
    pub selection_fingerprint: String,
    pub download: Download,
    pub renditions: Vec<Rendition>,
    /// The body has no room for them: they travel as a header.
    #[serde(skip)]
    pub forms: Vec<Rendition>,
    /// They travel as a header, too.
    #[serde(skip)]
    pub sealed: Vec<Rendition>,
}

impl BaseSnapshot {
    /// Returns its renditions in every form.
    pub fn all_renditions(&self) -> impl Iterator<Item = &Rendition> {
        let plain = self.renditions.iter().chain(&self.forms);
        plain.chain(&self.sealed)
    }
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
            forms: manifest.forms,
            sealed: manifest.sealed,
        }
    }
}
