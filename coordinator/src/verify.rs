//! `seedbed verify`: checks one snapshot file, or the live snapshot of one store.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use seedbed_protocol::{
    StoreId,
    message::{Checkpoint, Encoding, Rendition, TableRows},
    snapshots::SnapshotStore,
};
use seedbed_worker::{
    schema::{Schema, SchemaError},
    verify::{Expected, Snapshot, VerifyError},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::catalog::{Catalog, CatalogError};

/// Why a snapshot is not one to hand out.
#[derive(Debug, thiserror::Error)]
pub enum VerifyCommandError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
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
    /// The schema, whose raw tables a snapshot may have, cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's word.
        source: io::Error,
    },
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

/// Checks snapshots of one schema.
#[derive(Debug, Clone)]
pub struct Verifier {
    schema: Arc<Schema>,
}

impl Verifier {
    /// For snapshots of the schema in `schema_file`, which may have raw tables; without one, of any schema
    /// that has none.
    ///
    /// # Errors
    /// [`VerifyCommandError::Schema`].
    pub fn new(schema_file: Option<&Path>) -> Result<Self, VerifyCommandError> {
        let schema = Arc::new(Schema::load(schema_file)?);
        Ok(Self { schema })
    }

    /// Checks that `file` is a snapshot that a client can open.
    ///
    /// # Errors
    /// [`VerifyCommandError::Bad`] names the first thing that is wrong.
    pub async fn verify_path(&self, file: &Path) -> Result<Verified, VerifyCommandError> {
        self.verify(file.to_owned(), None).await
    }

    /// Checks each file of the live snapshot of `store`: that it is what was uploaded, and that a client can
    /// open it.
    ///
    /// # Errors
    /// [`VerifyCommandError`] names the first thing that is wrong.
    pub async fn verify_store(
        &self,
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
            let file = snapshots.local_path(&rendition.key);
            check_unchanged(&file, rendition).await?;
            verified.push(match rendition.encoding {
                Encoding::Identity => {
                    let checkpoint = manifest.checkpoint.clone();
                    self.verify(file, Some(checkpoint)).await?
                }
                _ => Verified {
                    file,
                    tables: Vec::new(),
                },
            });
        }
        Ok(verified)
    }

    async fn verify(
        &self,
        file: PathBuf,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Verified, VerifyCommandError> {
        let (schema, path) = (self.schema.clone(), file.clone());
        let verified = blocking(&file, move || {
            let expected = Expected {
                checkpoint: checkpoint.as_ref(),
                raw_tables: schema.raw_tables(),
            };
            Snapshot::open(&path)?.verify(&expected)
        });
        match verified.await? {
            Ok(verified) => Ok(Verified {
                file,
                tables: verified.tables,
            }),
            Err(source) => Err(VerifyCommandError::Bad { file, source }),
        }
    }
}

/// Reads the file where it is, since a copy could be larger than what is free elsewhere.
async fn check_unchanged(file: &Path, rendition: &Rendition) -> Result<(), VerifyCommandError> {
    let path = file.to_owned();
    let hashed = blocking(file, move || {
        let mut hash = Sha256::new();
        let bytes = io::copy(&mut File::open(path)?, &mut hash)?;
        io::Result::Ok((bytes, format!("{:x}", hash.finalize())))
    });
    let (bytes, sha256) = hashed
        .await?
        .map_err(|source| VerifyCommandError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
    let describe = |bytes: u64, sha256: &str| format!("{bytes} bytes and the SHA-256 {sha256}");
    if (bytes, &sha256) != (rendition.bytes, &rendition.sha256) {
        return Err(VerifyCommandError::Changed {
            file: file.to_owned(),
            found: describe(bytes, &sha256),
            expected: describe(rendition.bytes, &rendition.sha256),
        });
    }
    Ok(())
}

/// Runs what blocks for long.
async fn blocking<T: Send + 'static>(
    file: &Path,
    check: impl FnOnce() -> T + Send + 'static,
) -> Result<T, VerifyCommandError> {
    let ended = tokio::task::spawn_blocking(check).await;
    ended.map_err(|error| VerifyCommandError::Ended {
        file: file.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_not_what_was_uploaded_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("snapshot.sqlite");
        std::fs::write(&file, "abc").unwrap();
        let mut rendition = Rendition {
            encoding: Encoding::Identity,
            key: "snapshot.sqlite".to_owned(),
            bytes: 3,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
        };
        check_unchanged(&file, &rendition).await.unwrap();
        rendition.bytes = 4;
        let error = check_unchanged(&file, &rendition).await.unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("snapshot.sqlite has 3 bytes") && error.contains("says 4 bytes"),
            "{error}"
        );
        std::fs::remove_file(&file).unwrap();
        let error = check_unchanged(&file, &rendition).await.unwrap_err();
        assert!(error.to_string().contains("cannot read"), "{error}");
    }
}
