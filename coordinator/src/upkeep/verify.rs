//! Verifies snapshots: that a file can be opened by a client, and that an object is still what was uploaded. Only reads;
//! copies are in the directory for temporary files, and a kill leaves them there.

mod error;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use seedbed_protocol::{
    StoreId,
    digest::Hashed,
    manifest::{Checkpoint, Encoding, Form, Manifest, Rendition, TableRows},
    objects::unwrap_to,
    snapshots::{SnapshotRepository, UnreadableRowsPolicy, manifest_key},
};
use seedbed_worker::{
    oplog::Schema,
    snapshot::{
        forms::FormCheck,
        verify::{Expected, SnapshotFile},
    },
};
use serde::Serialize;
use tempfile::TempDir;

pub use self::error::VerifyError;
use crate::catalog::Catalog;

/// A file that can be handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifiedFile {
    /// Its path, or its URL in object storage.
    pub file: String,
    /// Rows of each table.
    pub tables: Vec<TableRows>,
    /// Rows that no client can read: store, table and id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

impl VerifiedFile {
    /// Returns the number of rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// Checks snapshots of one schema.
#[derive(Debug, Clone)]
pub struct Verifier {
    schema: Arc<Schema>,
    unreadable_rows: UnreadableRowsPolicy,
}

impl Verifier {
    /// Returns a verifier for snapshots of the schema in `schema_file`, which may have raw tables; without one, of any
    /// schema that has none. `unreadable_rows` says whether rows that no client can read make a snapshot bad.
    ///
    /// # Errors
    /// [`VerifyError::Schema`].
    pub fn new(
        schema_file: Option<&Path>,
        unreadable_rows: UnreadableRowsPolicy,
    ) -> Result<Self, VerifyError> {
        let schema = Arc::new(Schema::load(schema_file)?);
        Ok(Self {
            schema,
            unreadable_rows,
        })
    }

    /// Checks that `file` is a snapshot that a client can open.
    ///
    /// # Errors
    /// [`VerifyError::Bad`] names the first thing that is wrong.
    pub async fn verify_path(&self, file: &Path) -> Result<VerifiedFile, VerifyError> {
        self.verify(file, file.display().to_string(), None).await
    }

    /// Checks each file of the live snapshot of `store`: that it is what was uploaded, and that a client can
    /// open it.
    ///
    /// # Errors
    /// [`VerifyError`] names the first thing that is wrong.
    pub async fn verify_store(
        &self,
        store: &str,
        catalog: &Catalog,
        snapshots: &SnapshotRepository,
    ) -> Result<Vec<VerifiedFile>, VerifyError> {
        let no_snapshot = || VerifyError::NoSnapshot(store.to_owned());
        let store_id = StoreId::new(store).map_err(|_| no_snapshot())?;
        let Some(live) = catalog.live_snapshot(&store_id).await? else {
            catalog.check_store(&store_id).await?;
            return Err(no_snapshot());
        };
        self.verify_snapshot(&live.manifest, snapshots).await
    }

    /// Checks each file of a snapshot, as [`Self::verify_store`] does.
    ///
    /// # Errors
    /// [`VerifyError`] names the first thing that is wrong.
    pub async fn verify_snapshot(
        &self,
        manifest: &Manifest,
        snapshots: &SnapshotRepository,
    ) -> Result<Vec<VerifiedFile>, VerifyError> {
        let mut verified = Vec::new();
        let whole = whole_checkpoint(manifest, snapshots).await?;
        let mut first = None;
        for rendition in &manifest.renditions {
            let object = Unpacked::of(rendition, snapshots).await?;
            let location = object.location.clone();
            let checking = self.verify(&object.path, location, Some(whole.clone()));
            let mut file = checking.await?;
            for rows in &mut file.unreadable {
                *rows = format!("store {:?}, {rows}", manifest.store_id.as_str());
            }
            verified.push(file);
            first.get_or_insert(object);
        }
        if let (Some(file), Some(tables)) =
            (first, verified.first().map(|file| file.tables.clone()))
        {
            for rendition in &manifest.forms {
                let object = Unpacked::of(rendition, snapshots).await?;
                self.verify_form(rendition.form, &object, &file.path)
                    .await?;
                verified.push(VerifiedFile {
                    file: object.location,
                    tables: tables.clone(),
                    unreadable: Vec::new(),
                });
            }
        }
        Ok(verified)
    }

    /// Does with a form what a device does, and compares the result with the verified `file`.
    async fn verify_form(
        &self,
        form: Form,
        object: &Unpacked,
        file: &Path,
    ) -> Result<(), VerifyError> {
        let scratch = object.copies.path().join("finished.sqlite");
        let (schema, file, path) = (self.schema.clone(), file.to_owned(), object.path.clone());
        let check = move || FormCheck::open(form, &path, &file, &scratch, &schema)?.run();
        let checked = blocking(&object.location, check).await?;
        checked.map_err(|source| VerifyError::BadForm {
            file: object.location.clone(),
            source,
        })
    }

    async fn verify(
        &self,
        file: &Path,
        location: String,
        checkpoint: Option<Checkpoint>,
    ) -> Result<VerifiedFile, VerifyError> {
        let (schema, path) = (self.schema.clone(), file.to_owned());
        let refuse = self.unreadable_rows == UnreadableRowsPolicy::Refuse;
        let verified = blocking(&location, move || {
            let expected = Expected {
                checkpoint: checkpoint.as_ref(),
                raw_tables: schema.raw_tables(),
            };
            let facts = SnapshotFile::open(&path)?.verify(&expected)?;
            if refuse {
                facts.refuse_unreadable()?;
            }
            Ok(facts)
        });
        match verified.await? {
            Ok(verified) => Ok(VerifiedFile {
                file: location,
                unreadable: verified
                    .unreadable
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                tables: verified.tables,
            }),
            Err(source) => Err(VerifyError::Bad {
                file: location,
                source,
            }),
        }
    }
}

/// What an object holds, as it was uploaded.
struct Unpacked {
    path: PathBuf,
    /// Where the object is.
    location: String,
    /// Room for copies, which are removed when this is dropped.
    copies: TempDir,
}

impl Unpacked {
    /// Reads the object where it is, if it is in a directory, since a copy could be larger than what is free elsewhere;
    /// otherwise, and when it is compressed, makes copies in the directory for temporary files.
    async fn of(
        rendition: &Rendition,
        snapshots: &SnapshotRepository,
    ) -> Result<Self, VerifyError> {
        let location = snapshots.location(&rendition.key);
        let copies = tempfile::tempdir().map_err(|source| VerifyError::Copy {
            file: location.clone(),
            source,
        })?;
        let uploaded = Hashed {
            bytes: rendition.bytes,
            sha256: rendition.sha256.clone(),
        };
        let path = match snapshots.local_path(&rendition.key) {
            Some(path) => {
                check_unchanged(&uploaded, &location, hash(&path, &location).await?)?;
                path
            }
            None => {
                let copy = copies.path().join("object");
                let fetched = snapshots.fetch(&rendition.key, &copy).await?;
                check_unchanged(&uploaded, &location, fetched)?;
                copy
            }
        };
        let mut unpacked = Self {
            path,
            location,
            copies,
        };
        if rendition.encoding != Encoding::Identity {
            let file = unpacked.copies.path().join("unpacked");
            let unwrapped = unwrap_to(rendition.encoding, &unpacked.path, &file).await;
            unwrapped.map_err(|source| unpacked.not_copied(source))?;
            if let Some(content) = &rendition.unpacked {
                let location = format!("{}, unpacked,", unpacked.location);
                check_unchanged(content, &location, hash(&file, &location).await?)?;
            }
            unpacked.path = file;
        }
        Ok(unpacked)
    }

    fn not_copied(&self, source: io::Error) -> VerifyError {
        VerifyError::Copy {
            file: self.location.clone(),
            source,
        }
    }
}

/// The checkpoint of a snapshot with all its buckets, which the catalog leaves out if they are very many.
async fn whole_checkpoint(
    manifest: &Manifest,
    snapshots: &SnapshotRepository,
) -> Result<Checkpoint, VerifyError> {
    match manifest_key(&manifest.renditions) {
        Some(key) if !manifest.checkpoint.is_whole() => {
            Ok(snapshots.get_manifest(&key).await?.checkpoint)
        }
        _ => Ok(manifest.checkpoint.clone()),
    }
}

async fn hash(file: &Path, location: &str) -> Result<Hashed, VerifyError> {
    let path = file.to_owned();
    let hashed = blocking(location, move || Hashed::of(File::open(path)?));
    hashed.await?.map_err(|source| VerifyError::Unreadable {
        file: location.to_owned(),
        source,
    })
}

fn check_unchanged(expected: &Hashed, location: &str, found: Hashed) -> Result<(), VerifyError> {
    let describe =
        |Hashed { bytes, sha256 }: &Hashed| format!("{bytes} bytes and the SHA-256 {sha256}");
    if found != *expected {
        return Err(VerifyError::Changed {
            file: location.to_owned(),
            found: describe(&found),
            expected: describe(expected),
        });
    }
    Ok(())
}

/// Runs what blocks for long.
async fn blocking<T: Send + 'static>(
    location: &str,
    check: impl FnOnce() -> T + Send + 'static,
) -> Result<T, VerifyError> {
    let ended = tokio::task::spawn_blocking(check).await;
    ended.map_err(|error| VerifyError::Ended {
        file: location.to_owned(),
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
        let mut uploaded = Hashed {
            bytes: 3,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
        };
        let found = hash(&file, "snapshot.sqlite").await.unwrap();
        check_unchanged(&uploaded, "snapshot.sqlite", found.clone()).unwrap();
        uploaded.bytes = 4;
        let error = check_unchanged(&uploaded, "snapshot.sqlite", found).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("snapshot.sqlite has 3 bytes") && error.contains("says 4 bytes"),
            "{error}"
        );
        std::fs::remove_file(&file).unwrap();
        let error = hash(&file, "snapshot.sqlite").await.unwrap_err();
        assert!(error.to_string().contains("cannot read"), "{error}");
    }
}
