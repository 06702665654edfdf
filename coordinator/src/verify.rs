//! `seedbed verify`: checks one snapshot file, or the live snapshot of one store.

use std::path::{Path, PathBuf};

use seedbed_protocol::{
    StoreId,
    message::{Encoding, Rendition, TableRows},
    snapshots::{SnapshotStore, SnapshotStoreError},
};
use seedbed_worker::verify::{VerifyError, verify_file};
use serde::Serialize;

use crate::catalog::{Catalog, CatalogError};

/// Why a snapshot is not one to hand out.
#[derive(Debug, thiserror::Error)]
pub enum VerifyCommandError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The snapshot store failed, or the file is not there.
    #[error(transparent)]
    Snapshots(#[from] SnapshotStoreError),
    /// There is nothing to verify.
    #[error(
        "the store {0:?} has no live snapshot, and there is no file of this name; seed it first"
    )]
    NoSnapshot(String),
    /// The object is not what was uploaded.
    #[error(
        "{} has {found}, but its manifest says {expected}: it was damaged or replaced after its upload",
        file.display()
    )]
    Changed {
        /// The file.
        file: PathBuf,
        /// What it is.
        found: String,
        /// What it was.
        expected: String,
    },
    /// The file is not a good snapshot.
    #[error("{}: {source}", file.display())]
    Bad {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: VerifyError,
    },
    /// A local file cannot be used.
    #[error("cannot make a temporary file: {0}")]
    Temporary(#[from] std::io::Error),
    /// The check itself broke.
    #[error("the check of {} ended unexpectedly: {reason}", file.display())]
    Ended {
        /// The file.
        file: PathBuf,
        /// What is known of it.
        reason: String,
    },
}

/// A file that can be handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The file.
    pub file: PathBuf,
    /// Rows of each table; empty for a compressed file, whose bytes alone are compared.
    pub tables: Vec<TableRows>,
}

impl Verified {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// Checks that `file` is a snapshot that a client can open.
///
/// # Errors
/// [`VerifyCommandError::Bad`] names the first thing that is wrong.
pub async fn verify_path(file: &Path) -> Result<Verified, VerifyCommandError> {
    let checked = file.to_owned();
    let result = tokio::task::spawn_blocking(move || verify_file(&checked)).await;
    let file = file.to_owned();
    match result {
        Ok(Ok(verified)) => Ok(Verified {
            file,
            tables: verified.tables,
        }),
        Ok(Err(source)) => Err(VerifyCommandError::Bad { file, source }),
        Err(error) => Err(VerifyCommandError::Ended {
            file,
            reason: error.to_string(),
        }),
    }
}

/// Checks each file of the live snapshot of `store`: that it is what was uploaded, and that a client can
/// open it.
///
/// # Errors
/// [`VerifyCommandError`] names the first thing that is wrong.
pub async fn verify_store(
    store: &str,
    catalog: &Catalog,
    snapshots: &SnapshotStore,
) -> Result<Vec<Verified>, VerifyCommandError> {
    let no_snapshot = || VerifyCommandError::NoSnapshot(store.to_owned());
    let store_id = StoreId::new(store).map_err(|_| no_snapshot())?;
    let manifest = catalog
        .live_snapshot(&store_id)
        .await?
        .ok_or_else(no_snapshot)?;
    let mut verified = Vec::with_capacity(manifest.renditions.len());
    for rendition in &manifest.renditions {
        verified.push(verify_rendition(rendition, snapshots).await?);
    }
    Ok(verified)
}

/// Works on a copy, so that what is checked is what a client would download.
async fn verify_rendition(
    rendition: &Rendition,
    snapshots: &SnapshotStore,
) -> Result<Verified, VerifyCommandError> {
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join("snapshot.sqlite");
    let found = snapshots.fetch(&rendition.key, &copy).await?;
    let file = snapshots.local_path(&rendition.key);
    let describe = |bytes: u64, sha256: &str| format!("{bytes} bytes and the SHA-256 {sha256}");
    if (found.bytes, &found.sha256) != (rendition.bytes, &rendition.sha256) {
        return Err(VerifyCommandError::Changed {
            file,
            found: describe(found.bytes, &found.sha256),
            expected: describe(rendition.bytes, &rendition.sha256),
        });
    }
    if rendition.encoding != Encoding::Identity {
        return Ok(Verified {
            file,
            tables: Vec::new(),
        });
    }
    match verify_path(&copy).await {
        Ok(verified) => Ok(Verified { file, ..verified }),
        Err(VerifyCommandError::Bad { source, .. }) => {
            Err(VerifyCommandError::Bad { file, source })
        }
        Err(other) => Err(other),
    }
}
