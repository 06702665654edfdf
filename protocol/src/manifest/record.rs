//! The manifest itself: what a snapshot holds, where its files are, and how it was made.

use std::{ops::AddAssign, time::Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    checkpoint::Checkpoint,
    encoding::Encoding,
    notes::Notes,
    way::{Origin, Way},
};
use crate::ids::{Attempt, JobId, RunId, StoreId};

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
    /// What a person should know of it.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
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
