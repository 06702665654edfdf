//! Verifies a job's file: as a whole, or where it differs from the base that it continues.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use seedbed_protocol::{digest::Hashed, manifest::Checkpoint, snapshots::UnreadableRowsPolicy};

use crate::{
    oplog::Schema,
    seed::{error::SeedError, steps::blocking},
    snapshot::{
        FinishError, Stop,
        before::{BasePages, Before},
        verify::{Expected, FileFacts, SnapshotFile, VerifyError},
    },
};

/// Checks `file` against the `checkpoint`; with what its base was `before`, only where it can differ from that. Then also
/// returns its hash.
///
/// # Errors
/// [`SeedError::Verify`]
pub(super) async fn verify(
    file: &Path,
    before: Option<Before>,
    schema: &Schema,
    checkpoint: &Checkpoint,
    unreadable_rows: UnreadableRowsPolicy,
) -> Result<(FileFacts, Option<Hashed>), SeedError> {
    let open = SnapshotFile::open(file)?;
    let _abandon = open.abandon_on_drop();
    let (path, schema, checkpoint) = (file.to_owned(), schema.clone(), checkpoint.clone());
    let verify = move || {
        let expected = Expected {
            checkpoint: Some(&checkpoint),
            raw_tables: schema.raw_tables(),
        };
        let (facts, hashed) = match before {
            Some(before) => {
                let (facts, hashed) = open.verify_changed(&path, &before, &expected)?;
                (facts, Some(hashed))
            }
            None => (open.verify(&expected)?, None),
        };
        if unreadable_rows == UnreadableRowsPolicy::Refuse {
            facts.refuse_unreadable()?;
        }
        Ok::<_, VerifyError>((facts, hashed))
    };
    blocking(verify).await
}

/// Hashes `file`, and brings it to the disk, if it `will_move` to where it is stored: both take as long as checking it.
///
/// # Errors
/// [`SeedError::Verify`]
pub(super) async fn hash(file: &Path, will_move: bool) -> Result<Option<Hashed>, SeedError> {
    if !will_move {
        return Ok(None);
    }
    let path = file.to_owned();
    let hashing = move || {
        let hash = || {
            let mut file = File::open(&path)?;
            let hashed = Hashed::of(&mut file)?;
            file.sync_data()?;
            Ok(hashed)
        };
        hash().map_err(VerifyError::Read)
    };
    blocking(hashing).await.map(Some)
}

/// Reads the pages of a base.
///
/// # Errors
/// [`SeedError::Finish`]
pub(super) async fn pages(file: PathBuf) -> Result<BasePages, SeedError> {
    let path = file.clone();
    let failed = move |source| FinishError::Before { path, source };
    let stop = Stop::default();
    let _abandon = stop.on_drop();
    blocking(move || BasePages::read(&file, &stop).map_err(failed)).await
}
