//! The messages themselves. Their binary layout is frozen by the golden files in `protocol/tests/golden`:
//! a changed field is a new version in [`crate::codec`], never a silent edit here; `v1` is how the last one was.

use std::ops::AddAssign;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Attempt, JobId, JsonObject, OpId, RunId, StoreId};

pub(crate) mod v1;

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

/// Why every row of a store was downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FullReason {
    /// Nothing else was on offer: earlier snapshots were not to be used (`sync.reuse`), or not known how to.
    #[default]
    Off,
    /// The store had no live snapshot.
    First,
    /// Somebody asked for it.
    Asked,
    /// The last one was too long ago (`sync.full_every`).
    Due,
    /// The app's schema has changed.
    Schema,
    /// The base was written by another version of the core extension.
    CoreVersion,
    /// The base was synced from another PowerSync service.
    Endpoint,
    /// The base is not stored in the forms that are wanted (`snapshots.renditions`).
    Renditions,
    /// Other parameters or subscriptions were asked for.
    Selection,
    /// The base's stream subscriptions would soon expire.
    Subscriptions,
    /// A file of the base is missing, or is not what it was.
    BaseFile,
    /// So much has changed that the base would not pay.
    Changed,
    /// The base and what came after it did not add up.
    Mismatch,
}

impl FullReason {
    /// Its name in JSON, traces and the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::First => "first",
            Self::Asked => "asked",
            Self::Due => "due",
            Self::Schema => "schema",
            Self::CoreVersion => "core_version",
            Self::Endpoint => "endpoint",
            Self::Renditions => "renditions",
            Self::Selection => "selection",
            Self::Subscriptions => "subscriptions",
            Self::BaseFile => "base_file",
            Self::Changed => "changed",
            Self::Mismatch => "mismatch",
        }
    }
}

/// Which way a job went, and for a full download why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The live snapshot was still right: nothing was downloaded.
    Unchanged,
    /// The snapshot continues an earlier one.
    Base,
    /// Every row was downloaded.
    Full(FullReason),
}

impl Way {
    /// Its name in JSON, traces and the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Base => "base",
            Self::Full(_) => "full",
        }
    }

    /// Why every row was downloaded.
    pub fn why(self) -> Option<&'static str> {
        match self {
            Self::Full(reason) => Some(reason.name()),
            Self::Unchanged | Self::Base => None,
        }
    }
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

/// PowerSync's consistent point: how far each bucket has come and what it must sum to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The service's newest op at this point.
    pub last_op_id: OpId,
    /// Every bucket of the scope, sorted by name.
    pub buckets: Vec<BucketCheckpoint>,
}

impl Checkpoint {
    /// How many operations the service says there are, see [`BucketCheckpoint::operations`].
    pub fn operations(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.operations).sum()
    }
}

/// One bucket within a [`Checkpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketCheckpoint {
    /// The service's name of it, such as `1#store_products["7"]`.
    pub bucket: String,
    /// The last op that was downloaded for it; 0 for a bucket without rows.
    pub last_op: OpId,
    /// The sum of its ops' checksums modulo 2^32.
    pub checksum: u32,
    /// 0 (synced first) to 3.
    pub priority: u8,
    /// How many operations the service says it has: enough for an estimate, too unreliable to compare.
    #[serde(default)]
    pub operations: u64,
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

/// How a snapshot came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Every row was downloaded.
    Full {
        /// Why.
        because: FullReason,
    },
    /// It continues an earlier snapshot of the same store.
    Base {
        /// The job that made that one.
        job_id: JobId,
        /// When every row was downloaded last.
        full_at: DateTime<Utc>,
        /// Operations that were applied since the file was last written in order, without holes.
        loose_operations: u64,
    },
}

impl Default for Origin {
    /// That of manifests which do not say.
    fn default() -> Self {
        let because = FullReason::default();
        Self::Full { because }
    }
}

/// Everything that is known of one snapshot. Stored beside it as JSON, so that the objects alone suffice
/// to rebuild the catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The sweep that made it.
    pub run_id: RunId,
    /// The job that made it.
    pub job_id: JobId,
    /// The store.
    pub store_id: StoreId,
    /// The try that succeeded.
    pub attempt: Attempt,
    /// When it was complete and verified.
    pub created_at: DateTime<Utc>,
    /// The service that it was synced from.
    pub powersync_endpoint: String,
    /// The version of the PowerSync core extension that wrote it.
    pub core_version: String,
    /// The version of PowerSync's internal tables in it (`ps_migration`).
    pub internal_schema_version: u32,
    /// SHA-256, in hex, of the app schema that was applied.
    pub schema_fingerprint: String,
    /// SHA-256, in hex, of the parameters and subscriptions that were asked for. Empty in older manifests.
    #[serde(default)]
    pub selection_fingerprint: String,
    /// How it came to be.
    #[serde(default)]
    pub origin: Origin,
    /// What it holds, in PowerSync's terms.
    pub checkpoint: Checkpoint,
    /// Rows of each table, sorted by name.
    pub tables: Vec<TableRows>,
    /// Its files, at least one.
    pub renditions: Vec<Rendition>,
    /// Bytes and operations that were downloaded for it.
    pub download: Download,
    /// How long each step took, in order.
    pub steps: Vec<StepTiming>,
    /// The trace of the job, as 32 hex digits.
    pub trace_id: Option<String>,
}

impl Manifest {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Bytes of the uncompressed SQLite file, or of the first file if there is no such rendition.
    pub fn bytes(&self) -> u64 {
        let identity = self
            .renditions
            .iter()
            .find(|r| r.encoding == Encoding::Identity);
        identity.or(self.renditions.first()).map_or(0, |r| r.bytes)
    }

    /// When every row of it was downloaded: with it, or with a base of it.
    pub fn full_at(&self) -> DateTime<Utc> {
        match self.origin {
            Origin::Full { .. } => self.created_at,
            Origin::Base { full_at, .. } => full_at,
        }
    }

    /// Operations that were applied since the file was last written in order.
    pub fn loose_operations(&self) -> u64 {
        match self.origin {
            Origin::Full { .. } => 0,
            Origin::Base {
                loose_operations, ..
            } => loose_operations,
        }
    }

    /// Which way its job went.
    pub fn way(&self) -> Way {
        match self.origin {
            Origin::Full { because } => Way::Full(because),
            Origin::Base { .. } => Way::Base,
        }
    }
}

/// The rows of one table in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// The table, as the app knows it.
    pub table: String,
    /// Its rows.
    pub rows: u64,
}

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// How the SQLite file is wrapped.
    pub encoding: Encoding,
    /// The object's key below the snapshot URL.
    pub key: String,
    /// The object's size.
    pub bytes: u64,
    /// SHA-256 of the object, in hex.
    pub sha256: String,
}

/// How a rendition wraps the SQLite file; the names are those of HTTP's Content-Encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// The SQLite file itself.
    Identity,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Encoding {
    /// The name, as manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// What a job downloaded from PowerSync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Download {
    /// Bytes of the stream's lines, after decompression.
    pub bytes: u64,
    /// Operations.
    pub operations: u64,
    /// How often the stream was opened.
    pub connections: u32,
    /// Milliseconds in which the job had nothing to do but wait for the service.
    pub waited_millis: u64,
}

impl AddAssign for Download {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.operations += other.operations;
        self.connections += other.connections;
        self.waited_millis += other.waited_millis;
    }
}

/// How long one step of a job took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTiming {
    /// `compare`, `fetch`, `sync`, `scrub`, `vacuum`, `verify` or `upload`.
    pub step: String,
    /// Wall-clock milliseconds.
    pub millis: u64,
}

/// What a worker reports about a job. Applied to the catalog at most once, in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedEvent {
    /// The sweep.
    pub run_id: RunId,
    /// The job.
    pub job_id: JobId,
    /// The store.
    pub store_id: StoreId,
    /// The try that this is about.
    pub attempt: Attempt,
    /// When it happened, by the worker's clock.
    pub at: DateTime<Utc>,
    /// The worker's name.
    pub worker: String,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum EventKind {
    /// A worker took the job.
    Started {
        /// The trace of the job, as 32 hex digits.
        trace_id: Option<String>,
    },
    /// A verified snapshot is in the store.
    Completed {
        /// Everything about it.
        manifest: Box<Manifest>,
    },
    /// The base snapshot is still exactly what the service holds.
    Unchanged {
        /// The job that made the base.
        base_job_id: JobId,
        /// The try that made it.
        base_attempt: Attempt,
        /// The checkpoint that was compared.
        checkpoint: Checkpoint,
    },
    /// The try failed.
    Failed(Failure),
}

impl EventKind {
    /// What happened, in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Completed { .. } => "completed",
            Self::Unchanged { .. } => "unchanged",
            Self::Failed(_) => "failed",
        }
    }
}

/// Why a try failed, and what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whether another try could help.
    pub kind: FailureKind,
    /// The step that failed, such as `sync`.
    pub step: String,
    /// What went wrong and what to do about it; never a secret.
    pub message: String,
    /// When the next try starts; `None` when there is none and the job is parked.
    pub retry_at: Option<DateTime<Utc>>,
}

/// Whether another try could help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// Network, overload, broker, storage: the next try may succeed.
    Transient,
    /// The same input fails again: somebody has to change something.
    Permanent,
}
