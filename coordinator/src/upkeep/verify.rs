//! Verifies snapshots: that a file can be opened by a client, and that an object is still what was uploaded. Only reads;
//! copies are in the directory for temporary files, and a kill leaves them there.

mod error;
mod unpacked;

use std::{path::Path, sync::Arc};

pub use error::VerifyError;
use seedbed_protocol::{
    StoreId,
    manifest::{Checkpoint, Form, Manifest, Rendition, TableRows},
    objects::StorageError,
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
use unpacked::{Unpacked, blocking};

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
        let name = file.display().to_string();
        // To open a pipe would wait for ever.
        if !file.is_file() {
            return Err(VerifyError::NoFile(name));
        }
        self.verify(file, name, None).await
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
        let stored = stored_manifest(manifest, snapshots).await?;
        // With all its buckets, which the catalog leaves out if they are very many.
        let whole = stored.checkpoint;
        let mut first = None;
        let is_file = |rendition: &&Rendition| rendition.form == Form::File;
        for rendition in manifest.all_renditions().filter(is_file) {
            let object = Unpacked::of(manifest, rendition, snapshots).await?;
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
            for rendition in manifest.all_renditions().filter(|r| !is_file(r)) {
                let object = Unpacked::of(manifest, rendition, snapshots).await?;
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

/// The manifest of a snapshot as it is beside its objects, once it is known to be of the same snapshot.
async fn stored_manifest(
    manifest: &Manifest,
    snapshots: &SnapshotRepository,
) -> Result<Manifest, VerifyError> {
    let Some(key) = manifest_key(manifest.all_renditions()) else {
        return Ok(manifest.clone());
    };
    let bad = |problem| VerifyError::Manifest {
        manifest: snapshots.location(&key),
        problem,
    };
    let stored = match snapshots.get_manifest(&key).await {
        Ok(stored) => stored,
        Err(StorageError::NotFound { .. }) => return Err(bad("is not there")),
        Err(StorageError::Content { .. }) => return Err(bad("is no manifest")),
        Err(error) => return Err(error.into()),
    };
    let is_same = stored.store_id == manifest.store_id
        && (stored.job_id, stored.attempt) == (manifest.job_id, manifest.attempt)
        && stored.tables == manifest.tables
        && stored.all_renditions().eq(manifest.all_renditions());
    match is_same {
        true => Ok(stored),
        false => Err(bad("is not what was uploaded")),
    }
}
