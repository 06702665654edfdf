//! The manifest itself: what a snapshot holds, where its files are, and how it was made.

use std::{ops::AddAssign, time::Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    checkpoint::Checkpoint,
    encoding::Encoding,
    form::{Form, RenditionKind},
    json_only,
    notes::Notes,
    sealed::WrappedKey,
    way::{Origin, Way},
};
use crate::{
    digest::Hashed,
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
    /// The SQLite file in each of its encodings: every rendition whose form is `file`, but the sealed ones.
    pub renditions: Vec<Rendition>,
    /// Bytes and operations that were downloaded for it.
    pub download: Download,
    /// How long each step took, in order.
    pub steps: Vec<StepTiming>,
    /// The trace of the job, as 32 hex digits.
    pub trace_id: Option<String>,
    /// Its renditions in other forms. Older readers know of none, and would take them for the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "json_only")]
    pub forms: Vec<Rendition>,
    /// What a person should know of it.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
    /// Its sealed renditions. Older readers know of none, and would hand them out as databases.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "json_only")]
    pub sealed: Vec<Rendition>,
    /// The key of its sealed renditions. Only in the manifest in object storage: it travels in no message.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "json_only")]
    pub sealed_key: Option<WrappedKey>,
}

impl Manifest {
    /// Returns the rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Returns its renditions in every form, the plainest first and the sealed ones last.
    pub fn all_renditions(&self) -> impl Iterator<Item = &Rendition> {
        let plain = self.renditions.iter().chain(&self.forms);
        plain.chain(&self.sealed)
    }

    /// Returns the rendition of this kind.
    pub fn rendition(&self, kind: RenditionKind) -> Option<&Rendition> {
        self.all_renditions()
            .find(|rendition| rendition.kind() == kind)
    }

    /// Returns the bytes of the uncompressed SQLite file, or of the first file if there is no such rendition.
    pub fn bytes(&self) -> u64 {
        let identity = self
            .renditions
            .iter()
            .find(|r| r.encoding == Encoding::Identity);
        let first = identity.or(self.all_renditions().next());
        first.map_or(0, |r| r.bytes)
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

/// One stored object of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// What it holds; older manifests do not say, and know only the file.
    #[serde(default, skip_serializing_if = "Form::is_file", with = "json_only")]
    pub form: Form,
    pub encoding: Encoding,
    /// The object's key below the snapshot URL.
    pub key: String,
    pub bytes: u64,
    /// SHA-256 of the object, in hex.
    pub sha256: String,
    /// The size and the digest of what the object holds, uncompressed; `None` in older manifests.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "json_only")]
    pub unpacked: Option<Hashed>,
    /// The version of the [`Finishing`](super::Finishing) that it needs before it can be used; `None` if it needs none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "json_only")]
    pub finish: Option<u32>,
    /// Of a stream: what a client has to ask for to be given it, see [`selection`](super::selection()).
    #[serde(default, skip_serializing_if = "Option::is_none", with = "json_only")]
    pub selection: Option<String>,
}

impl Rendition {
    /// Returns its form in its encoding.
    pub fn kind(&self) -> RenditionKind {
        let &Self { form, encoding, .. } = self;
        RenditionKind { form, encoding }
    }
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
    /// `compare`, `fetch`, `sync`, `scrub`, `vacuum`, `verify`, `compact`, `stream`, `seal`, `forms` or `upload`.
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
