//! Why an attempt at a job failed, and whether another one could help.

use std::time::Duration;

use rusqlite::ErrorCode;
use seedbed_protocol::{codec::CodecError, message::FailureKind, snapshots::SnapshotStoreError};

use crate::{
    oplog::log::DatabaseError, powersync::client::StreamError, powersync::token::TokenError,
    seed::download::SyncError, seed::workdir::WorkDirectoryError, snapshot::finish::SnapshotError,
    snapshot::verify::file::VerifyError,
};

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// No directory to work in.
    #[error(transparent)]
    WorkDirectory(#[from] WorkDirectoryError),
    /// The store did not sync.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The synced database did not become a clean file.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The file is not what it must be.
    #[error("the snapshot does not verify: {0}")]
    Verify(#[from] VerifyError),
    /// The file could not be stored.
    #[error(transparent)]
    Upload(#[from] SnapshotStoreError),
    /// The snapshot to start from could not be had.
    #[error(transparent)]
    Base(SnapshotStoreError),
    /// The job took too long.
    #[error("the job's deadline has passed; raise worker.job_deadline or add workers")]
    Deadline,
    /// This try took too long.
    #[error(
        "the job took longer than {}; raise worker.job_timeout if the store is that large",
        humantime::format_duration(*.0)
    )]
    Timeout(Duration),
    /// It came back again and again without a word of who took it.
    #[error(
        "{0} workers took the job and none came to an end; was one of them killed for its memory? Look at the \
         logs around its start, then `seedbed retry`"
    )]
    Poison(u32),
    /// The job itself cannot be read.
    #[error(transparent)]
    Unreadable(#[from] CodecError),
    /// A bug in the worker.
    #[error("the job panicked: {0}")]
    Panic(String),
}

impl SeedError {
    /// Whether another try could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::WorkDirectory(error) => error.is_transient(),
            Self::Sync(error) => error.is_transient(),
            Self::Snapshot(error) => match error {
                SnapshotError::Database(error) => is_transient(error),
                SnapshotError::NoSpace { .. }
                | SnapshotError::Space { .. }
                | SnapshotError::Rename { .. } => true,
                SnapshotError::LocalChanges(_) => false,
            },
            // What was synced wrong may sync right; a schema that lacks a table stays so.
            Self::Verify(error) => !matches!(error, VerifyError::Untyped { .. }),
            Self::Upload(error) | Self::Base(error) => error.is_transient(),
            Self::Deadline
            | Self::Timeout(_)
            | Self::Poison(_)
            | Self::Unreadable(_)
            | Self::Panic(_) => false,
        }
    }

    /// Whether the service had no stream left for the job, which says nothing about the job.
    pub fn is_overload(&self) -> bool {
        matches!(self, Self::Sync(SyncError::Stream(error)) if error.is_overload())
    }

    /// [`Self::is_transient`] as messages say it.
    pub fn kind(&self) -> FailureKind {
        if self.is_transient() {
            FailureKind::Transient
        } else {
            FailureKind::Permanent
        }
    }

    /// How long the service asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Sync(SyncError::Stream(error)) => error.retry_after(),
            _ => None,
        }
    }

    /// What it is, in one word of few, for `error.type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::WorkDirectory(_) => "work_directory",
            Self::Sync(error) => error.name(),
            Self::Snapshot(SnapshotError::Database(_)) => "sqlite",
            Self::Snapshot(SnapshotError::NoSpace { .. } | SnapshotError::Space { .. }) => {
                "no_space"
            }
            Self::Snapshot(SnapshotError::LocalChanges(_)) => "local_changes",
            Self::Snapshot(SnapshotError::Rename { .. }) => "file",
            Self::Verify(_) => "verify",
            Self::Upload(error) | Self::Base(error) => error.name(),
            Self::Deadline => "deadline",
            Self::Timeout(_) => "timeout",
            Self::Poison(_) => "poison",
            Self::Unreadable(_) => "unreadable",
            Self::Panic(_) => "panic",
        }
    }

    /// The step that failed.
    pub fn step(&self) -> &'static str {
        match self {
            Self::WorkDirectory(_) | Self::Poison(_) | Self::Unreadable(_) => "take",
            Self::Deadline | Self::Timeout(_) | Self::Panic(_) => "seed",
            Self::Sync(SyncError::Token(_)) => "token",
            Self::Sync(_) => "sync",
            Self::Snapshot(SnapshotError::LocalChanges(_)) => "scrub",
            Self::Snapshot(_) => "vacuum",
            Self::Verify(_) => "verify",
            Self::Upload(_) => "upload",
            Self::Base(_) => "fetch",
        }
    }
}

/// A full disk may have room on another worker or later; the rest of SQLite's errors come from data that
/// a new download brings again only if it is really so, which a few attempts find out.
pub(crate) fn is_transient(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Row { .. } => false,
        // A row that a raw table's constraints refuse.
        DatabaseError::Sqlite(error) => !matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
        ),
        _ => true,
    }
}

/// Why a worker cannot start: each names the setting that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `[token]`
    #[error(transparent)]
    Token(#[from] TokenError),
    /// `[powersync]`
    #[error(transparent)]
    PowerSync(#[from] StreamError),
    /// `[schema]`
    #[error(transparent)]
    Schema(#[from] crate::oplog::schema::tables::SchemaError),
    /// `worker.directory`
    #[error(transparent)]
    WorkDirectory(#[from] WorkDirectoryError),
    /// The core extension cannot be loaded.
    #[error("the PowerSync core extension cannot be loaded: {0}")]
    Core(DatabaseError),
}
