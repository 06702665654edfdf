//! What verification finds wrong with a file.

use std::io;

use super::readable::UnreadableRows;
use crate::snapshot::finish::KEY_FORMAT_MARKER;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The file cannot be read, or is not a PowerSync database.
    #[error("not a readable PowerSync database: {0}")]
    Unreadable(#[from] rusqlite::Error),
    /// The file cannot be read page by page.
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    /// The job was abandoned.
    #[error("the job was abandoned")]
    Abandoned,
    /// A page or an index is damaged.
    #[error("integrity_check: {0}")]
    Integrity(String),
    /// The file would not open alone: its journal mode needs other files.
    #[error("its journal mode is {0:?} instead of \"delete\"")]
    JournalMode(String),
    /// The file identifies a client.
    #[error("ps_kv still has {0:?} of the client that made it")]
    Client(String),
    /// A JavaScript SDK would rewrite its operations' keys, and lose them.
    #[error(
        "ps_kv lacks {KEY_FORMAT_MARKER}, so that a JavaScript SDK would destroy the keys of ps_oplog"
    )]
    KeyFormat,
    /// The file holds changes to upload.
    #[error("ps_crud holds {0} local changes")]
    LocalChanges(u64),
    /// No complete sync is recorded.
    #[error("no complete sync is recorded in ps_sync_state")]
    NeverSynced,
    /// Rows have no table.
    #[error("{rows} rows of type {kind:?} have no table; add it to schema.file")]
    Untyped {
        /// The rows' type.
        kind: String,
        rows: u64,
    },
    /// The checksum of a bucket's operations is wrong.
    #[error(
        "bucket {bucket:?}: the checksum of its operations is {found:#010x} instead of {expected:#010x}"
    )]
    Checksum {
        bucket: String,
        /// The checksum that the service or `ps_buckets` has.
        expected: u32,
        /// The sum over `ps_oplog`.
        found: u32,
    },
    /// A bucket is only in the file, or only in the checkpoint.
    #[error("bucket {bucket:?} is {}", if *.in_file { "in the file but not in the checkpoint" } else { "in the checkpoint but not in the file" })]
    Buckets {
        bucket: String,
        /// Whether the file has it, or else the checkpoint.
        in_file: bool,
    },
    /// Downloaded operations were not applied.
    #[error("bucket {0:?} has operations that were not applied")]
    Unapplied(String),
    /// Rows differ from their newest operations.
    #[error(
        "table {table:?}: {wrong} rows differ from their newest operation, {missing} are missing, {extra} have no operation"
    )]
    Rows {
        table: String,
        /// Rows with other data than their newest operation.
        wrong: u64,
        /// Operations without a row.
        missing: u64,
        /// Rows without an operation.
        extra: u64,
    },
    /// Rows that no client can read, and `snapshots.unreadable_rows` is "refuse".
    #[error("{0}; mend the row at its source, or set snapshots.unreadable_rows = \"warn\"")]
    UnreadableRows(UnreadableRows),
}

impl VerifyError {
    /// Returns whether another attempt could help: data that was synced wrong may sync right, but a schema that lacks
    /// a table stays as it is, and so does a row that cannot be read.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Untyped { .. } | Self::UnreadableRows(_))
    }
}
