//! Why a snapshot is not verified: because it is bad, or because it could not be looked at.

use std::io;

use seedbed_protocol::{objects::StorageError, snapshots::SealedError};
use seedbed_worker::{
    oplog::SchemaError,
    snapshot::{forms::FormError, sealed::SealError, verify::VerifyError as SnapshotError},
};

use crate::catalog::CatalogError;

/// Why a snapshot must not be handed out.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// There is nothing to verify.
    #[error(
        "the store {0:?} has no live snapshot, and there is no file of this name; seed it first"
    )]
    NoSnapshot(String),
    /// It names nothing.
    #[error(
        "there is no file {0:?}, and no store can have this id; give a snapshot's file, or a store"
    )]
    NoSuch(String),
    /// There is nothing to pick from.
    #[error("no store has a live snapshot yet")]
    NoSnapshots,
    /// The object storage failed.
    #[error(transparent)]
    Snapshots(#[from] StorageError),
    /// The object is not what was uploaded.
    #[error(
        "{file} has {found}, but its manifest says {expected}: it was damaged or replaced after its upload"
    )]
    Changed {
        file: String,
        found: String,
        expected: String,
    },
    /// The manifest beside the object is missing, or is another one.
    #[error(
        "{manifest} {problem}; a catalog that is rebuilt would not have this snapshot: seed the store anew, with --full"
    )]
    Manifest {
        manifest: String,
        problem: &'static str,
    },
    /// It is a directory, a pipe or a device.
    #[error("{0} is no regular file; give a snapshot's file, or a store")]
    NoFile(String),
    /// The file is not a good snapshot.
    #[error("{file}: {source}")]
    Bad { file: String, source: SnapshotError },
    /// The object is not another form of the file.
    #[error("{file}: {source}")]
    BadForm { file: String, source: FormError },
    /// The object is sealed, and its key cannot be had.
    #[error("{file}: {source}")]
    Key { file: String, source: SealedError },
    /// The object is sealed, and cannot be opened with its key.
    #[error("{file}: {source}")]
    Sealed { file: String, source: SealError },
    /// The schema, whose raw tables a snapshot may have, cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The object is not there.
    #[error(
        "{file} is gone, although the catalog has its snapshot: `seedbed gc` notes it as lost, and the next run makes a new one"
    )]
    Gone { file: String },
    /// The file cannot be read.
    #[error("cannot read {file}: {source}")]
    Unreadable { file: String, source: io::Error },
    /// There is no room for a copy to look into.
    #[error("cannot copy {file} to {} for the check: {source}; TMPDIR names another place", std::env::temp_dir().display())]
    Copy { file: String, source: io::Error },
    /// The check itself broke.
    #[error("the check of {file} ended unexpectedly: {reason}")]
    Ended { file: String, reason: String },
}

impl VerifyError {
    /// Returns whether a person has to change the settings before it can succeed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Schema(_) | Self::NoFile(_) | Self::NoSuch(_) => true,
            Self::Copy { source, .. } => !is_full(source),
            Self::Key { source, .. } => source.is_usage(),
            Self::Catalog(error) => error.is_usage(),
            _ => false,
        }
    }

    /// Returns whether nothing was verified, and the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_transient(),
            Self::Snapshots(error) => error.is_transient(),
            Self::Copy { source, .. } => is_full(source),
            Self::Key {
                source: SealedError::Storage(error),
                ..
            } => error.is_transient(),
            _ => false,
        }
    }

    /// Returns whether it says that the snapshot is bad; otherwise it could not be looked at.
    pub fn is_bad(&self) -> bool {
        matches!(
            self,
            Self::Changed { .. }
                | Self::Gone { .. }
                | Self::Manifest { .. }
                | Self::Bad { .. }
                | Self::BadForm { .. }
                | Self::Sealed { .. }
                | Self::NoSnapshot(_)
        ) || matches!(self, Self::Snapshots(error) if !error.is_transient())
    }
}

/// Whether there may be room later; what is missing or read-only stays so.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
