//! The manifest of a snapshot: what it holds, where its files are, and how it was made.

use std::{ops::AddAssign, time::Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::Checkpoint,
    encoding::Encoding,
    ids::{Attempt, JobId, RunId, StoreId},
};

/// Everything that is known of one snapshot. Stored next to it as JSON, so that the objects alone suffice to rebuild
/// the catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub run_id: RunId,
    pub job_id: JobId,
    pub store_id: StoreId,
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
    #[serde(default)]
    pub origin: Origin,
    /// What it holds, as PowerSync counts it.
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
    /// Returns the rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Returns the bytes of the uncompressed SQLite file, or of the first file if there is no such rendition.
    pub fn bytes(&self) -> u64 {
        let identity = self
            .renditions
            .iter()
            .find(|r| r.encoding == Encoding::Identity);
        identity.or(self.renditions.first()).map_or(0, |r| r.bytes)
    }

    /// Returns when every row of it was downloaded: with it, or with a base of it.
    pub fn full_at(&self) -> DateTime<Utc> {
        match self.origin {
            Origin::Full { .. } => self.created_at,
            Origin::Base { full_at, .. } => full_at,
        }
    }

    /// Returns the operations that were applied since the file was last written in order.
    pub fn loose_operations(&self) -> u64 {
        match self.origin {
            Origin::Full { .. } => 0,
            Origin::Base {
                loose_operations, ..
            } => loose_operations,
        }
    }

    /// Returns which way its job went.
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
    pub rows: u64,
}

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    pub encoding: Encoding,
    /// The object's key below the snapshot URL.
    pub key: String,
    pub bytes: u64,
    /// SHA-256 of the object, in hex.
    pub sha256: String,
}

/// What a job downloaded from PowerSync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Download {
    /// Bytes of the stream's lines, after decompression.
    pub bytes: u64,
    pub operations: u64,
    /// How often the stream was opened.
    pub connections: u32,
    /// Milliseconds in which the job only waited for the service.
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

impl StepTiming {
    /// Returns the time that `step` took if it began at `started` and ends now.
    pub fn since(step: &str, started: Instant) -> Self {
        Self {
            step: step.to_owned(),
            millis: started.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        }
    }
}

/// What a snapshot was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Every row was downloaded.
    Full { because: FullReason },
    /// It continues an earlier snapshot of the same store.
    Base {
        job_id: JobId,
        /// When every row was downloaded last.
        full_at: DateTime<Utc>,
        /// Operations that were applied since the file was last written in order, without holes.
        loose_operations: u64,
    },
}

impl Default for Origin {
    /// Returns that of older manifests, which do not say.
    fn default() -> Self {
        let because = FullReason::default();
        Self::Full { because }
    }
}

/// Why every row of a store was downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FullReason {
    /// Bases are disabled (`sync.reuse`), or the program that made the snapshot did not know them.
    #[default]
    Off,
    /// The store had no live snapshot.
    First,
    /// A person or a program asked for it.
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
    /// So much has changed that a full download costs less (`worker.base_cost`).
    Changed,
    /// The base and the changes did not add up to the checkpoint.
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

/// Which way a job went: nothing, the changes, or everything was downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The live snapshot is still right: nothing was downloaded.
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

    /// Returns why every row was downloaded.
    pub fn why(self) -> Option<&'static str> {
        match self {
            Self::Full(reason) => Some(reason.name()),
            Self::Unchanged | Self::Base => None,
        }
    }
}
