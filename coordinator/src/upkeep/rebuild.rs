//! Rebuilds a catalog from the manifests next to the snapshots. After a kill, the next call continues.

use std::collections::HashSet;

use futures::StreamExt;
use seedbed_protocol::{
    objects::StorageError,
    snapshots::{SnapshotPart, SnapshotRepository},
};
use serde::Serialize;
use tracing::warn;

use crate::catalog::{Catalog, CatalogError};

/// Why the catalog was not rebuilt to its end. What was taken in stays; calling again continues.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The object storage failed.
    #[error(transparent)]
    Snapshots(#[from] StorageError),
}

impl RebuildError {
    /// Returns whether a person has to change the settings before it can succeed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_usage(),
            Self::Snapshots(error) => !error.is_transient(),
        }
    }

    /// Returns whether the same call may succeed later, and continue, without any change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_transient(),
            Self::Snapshots(error) => error.is_transient(),
        }
    }
}

/// Counts of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Rebuilt {
    /// Snapshots that the catalog did not know.
    pub added: u64,
    /// Snapshots that it knew.
    pub known: u64,
    /// Manifests that cannot be read, or that name files which are not there.
    pub damaged: u64,
}

/// Reads every manifest of `snapshots` into `catalog`. The newest snapshot of each store becomes the live one.
///
/// # Errors
/// [`RebuildError`].
pub async fn rebuild(
    catalog: &Catalog,
    snapshots: &SnapshotRepository,
) -> Result<Rebuilt, RebuildError> {
    let (mut manifests, mut files) = (Vec::new(), HashSet::new());
    let mut objects = snapshots.list();
    while let Some(object) = objects.next().await {
        let object = object?;
        match object.snapshot {
            Some((_, SnapshotPart::Manifest)) => manifests.push(object.key),
            Some((_, SnapshotPart::File(_))) => drop(files.insert(object.key)),
            None => {}
        }
    }
    drop(objects);
    let mut rebuilt = Rebuilt::default();
    for key in manifests {
        let manifest = match snapshots.get_manifest(&key).await {
            Ok(manifest) => manifest,
            Err(error @ StorageError::Content { .. }) => {
                warn!("left out: {error}");
                rebuilt.damaged += 1;
                continue;
            }
            // Removed while the others were read.
            Err(StorageError::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let missing = manifest.renditions.iter().find(|r| !files.contains(&r.key));
        if let Some(missing) = missing {
            warn!("left out {key}: its file {} is not there", missing.key);
            rebuilt.damaged += 1;
        } else if catalog.restore(&manifest).await? {
            rebuilt.added += 1;
        } else {
            rebuilt.known += 1;
        }
    }
    Ok(rebuilt)
}
