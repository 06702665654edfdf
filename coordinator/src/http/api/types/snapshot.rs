//! Snapshots, as the API answers them.

use chrono::{DateTime, Utc};
use seedbed_protocol::{encoding::Encoding, manifest::Manifest};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    catalog::{SnapshotRecord, SnapshotState},
    http::download::Encodings,
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
    /// How it was made: base (continues an earlier snapshot) or full (every row was downloaded).
    way: &'static str,
    /// Why every row was downloaded.
    why: Option<&'static str>,
    rows: u64,
    bytes: u64,
    /// PowerSync's newest op in it.
    checkpoint: String,
    /// How many buckets it has.
    buckets: usize,
    core_version: String,
    schema_fingerprint: String,
    powersync_endpoint: String,
    tables: Vec<Table>,
    renditions: Vec<Rendition>,
    steps: Vec<Step>,
    download: Download,
    trace_id: Option<String>,
}

/// The rows of a table.
#[derive(Debug, Serialize, ToSchema)]
struct Table {
    table: String,
    rows: u64,
}

/// One file of a snapshot.
#[derive(Debug, Serialize, ToSchema)]
struct Rendition {
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
            manifest,
        } = record;
        let way = manifest.way();
        let (rows, bytes) = (manifest.rows(), manifest.bytes());
        let Manifest {
            tables,
            renditions,
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
            way: way.name(),
            why: way.why(),
            rows,
            bytes,
            checkpoint: manifest.checkpoint.last_op_id.to_string(),
            buckets: manifest.checkpoint.buckets.len(),
            core_version: manifest.core_version,
            schema_fingerprint: manifest.schema_fingerprint,
            powersync_endpoint: manifest.powersync_endpoint,
            tables: tables
                .into_iter()
                .map(|t| Table {
                    table: t.table,
                    rows: t.rows,
                })
                .collect(),
            renditions: renditions
                .into_iter()
                .map(|r| Rendition {
                    encoding: r.encoding,
                    bytes: r.bytes,
                    sha256: r.sha256,
                    key: r.key,
                })
                .collect(),
            steps: steps
                .into_iter()
                .map(|s| Step {
                    step: s.step,
                    millis: s.millis,
                })
                .collect(),
            download: Download {
                bytes: download.bytes,
                operations: download.operations,
                connections: download.connections,
            },
            trace_id: manifest.trace_id,
        }
    }
}
