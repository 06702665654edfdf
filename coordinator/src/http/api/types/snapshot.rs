//! Snapshots, as the API answers them.

use chrono::{DateTime, Utc};
use seedbed_protocol::manifest::{self, Encoding, Form, Manifest};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    catalog::{SnapshotRecord, SnapshotState},
    http::download::{Encodings, Forms},
};

/// One snapshot.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Snapshot {
    job_id: String,
    attempt: u64,
    run_id: String,
    state: SnapshotState,
    created_at: DateTime<Utc>,
    /// When PowerSync last had exactly this, as far as is known.
    verified_at: DateTime<Utc>,
    /// When a person took it back; null if nobody has.
    withdrawn_at: Option<DateTime<Utc>>,
    /// How it was made: base (continues an earlier snapshot) or full (every row was downloaded).
    way: &'static str,
    /// Why every row was downloaded.
    why: Option<&'static str>,
    rows: u64,
    bytes: u64,
    /// PowerSync's newest op in it.
    checkpoint: String,
    /// How many buckets it has; null if they are so many that only the manifest in object storage lists them.
    buckets: Option<usize>,
    core_version: String,
    schema_fingerprint: String,
    powersync_endpoint: String,
    tables: Vec<Table>,
    renditions: Vec<Rendition>,
    steps: Vec<Step>,
    download: Download,
    trace_id: Option<String>,
    /// What a person should know of it: rows that no client can read, subscriptions that select nothing.
    notes: Vec<String>,
}

/// The rows of a table.
#[derive(Debug, Serialize, ToSchema)]
struct Table {
    table: String,
    rows: u64,
}

/// One stored object of a snapshot.
#[derive(Debug, Serialize, ToSchema)]
struct Rendition {
    #[schema(value_type = Forms)]
    form: Form,
    #[schema(value_type = Encodings)]
    encoding: Encoding,
    bytes: u64,
    sha256: String,
    key: String,
}

/// How long a step of the job took.
#[derive(Debug, Serialize, ToSchema)]
struct Step {
    step: String,
    millis: u64,
}

/// What was downloaded from PowerSync.
#[derive(Debug, Serialize, ToSchema)]
struct Download {
    bytes: u64,
    operations: u64,
    connections: u32,
}

impl From<SnapshotRecord> for Snapshot {
    fn from(record: SnapshotRecord) -> Self {
        let SnapshotRecord {
            state,
            verified_at,
            withdrawn_at,
            manifest,
        } = record;
        let way = manifest.way();
        let (rows, bytes) = (manifest.rows(), manifest.bytes());
        let Manifest {
            tables,
            renditions,
            forms,
            sealed,
            steps,
            download,
            ..
        } = manifest;
        Self {
            job_id: manifest.job_id.to_string(),
            attempt: manifest.attempt.get().into(),
            run_id: manifest.run_id.to_string(),
            state,
            created_at: manifest.created_at,
            verified_at,
            withdrawn_at,
            way: way.name(),
            why: way.why(),
            rows,
            bytes,
            checkpoint: manifest.checkpoint.last_op_id.to_string(),
            buckets: Some(manifest.checkpoint.buckets.len()).filter(|&buckets| buckets > 0),
            core_version: manifest.core_version,
            schema_fingerprint: manifest.schema_fingerprint,
            powersync_endpoint: manifest.powersync_endpoint,
            tables: tables.into_iter().map(Table::from).collect(),
            renditions: renditions
                .into_iter()
                .chain(forms)
                .chain(sealed)
                .map(Rendition::from)
                .collect(),
            steps: steps.into_iter().map(Step::from).collect(),
            download: download.into(),
            trace_id: manifest.trace_id,
            notes: manifest.notes.0,
        }
    }
}

impl From<manifest::TableRows> for Table {
    fn from(rows: manifest::TableRows) -> Self {
        Self {
            table: rows.table,
            rows: rows.rows,
        }
    }
}

impl From<manifest::Rendition> for Rendition {
    fn from(rendition: manifest::Rendition) -> Self {
        Self {
            form: rendition.form,
            encoding: rendition.encoding,
            bytes: rendition.bytes,
            sha256: rendition.sha256,
            key: rendition.key,
        }
    }
}

impl From<manifest::StepTiming> for Step {
    fn from(timing: manifest::StepTiming) -> Self {
        Self {
            step: timing.step,
            millis: timing.millis,
        }
    }
}

impl From<manifest::Download> for Download {
    fn from(download: manifest::Download) -> Self {
        Self {
            bytes: download.bytes,
            operations: download.operations,
            connections: download.connections,
        }
    }
}
