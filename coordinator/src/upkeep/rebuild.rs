//! Rebuilds a catalog from the manifests next to the snapshots. After a kill, the next call continues.

use std::{cmp::Ordering, collections::HashSet};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use seedbed_protocol::{
    manifest::{Dated, DisagreeingClocks, Manifest},
    objects::StorageError,
    snapshots::{SnapshotName, SnapshotPart, SnapshotRepository},
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
    /// Manifests that cannot be read, that are of another snapshot, or that name files which are not there.
    pub damaged: u64,
}

/// A manifest that was found.
struct Found {
    key: String,
    name: SnapshotName,
    /// By the clock of the object storage.
    written_at: DateTime<Utc>,
}

/// Reads every manifest of `snapshots` into `catalog`. The newest snapshot of each store becomes the live one, see
/// [`Dated::order`]; the object storage says when each was written, since the clocks of coordinators may be wrong.
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
            Some((name, SnapshotPart::Manifest)) => manifests.push(Found {
                name,
                key: object.key,
                written_at: object.last_modified,
            }),
            Some((_, SnapshotPart::Rendition(_))) => drop(files.insert(object.key)),
            None => {}
        }
    }
    drop(objects);
    let mut rebuilt = Rebuilt::default();
    manifests.sort_by(|a, b| a.key.cmp(&b.key));
    for of_store in manifests.chunk_by(|a, b| a.name.same_store(&b.name)) {
        rebuild_store(catalog, snapshots, of_store, &files, &mut rebuilt).await?;
    }
    Ok(rebuilt)
}

/// Reads the manifests of one store.
async fn rebuild_store(
    catalog: &Catalog,
    snapshots: &SnapshotRepository,
    found: &[Found],
    files: &HashSet<String>,
    rebuilt: &mut Rebuilt,
) -> Result<(), RebuildError> {
    let (mut manifests, mut written) = (Vec::new(), Vec::new());
    for Found {
        key,
        name,
        written_at,
    } in found
    {
        let manifest = match snapshots.get_manifest(key).await {
            // Keys stay in object storage, where downloads read them.
            Ok(manifest) => Manifest {
                sealed_key: None,
                ..manifest
            },
            Err(error @ StorageError::Content { .. }) => {
                warn!("left out: {error}");
                rebuilt.damaged += 1;
                continue;
            }
            // Removed while the others were read.
            Err(StorageError::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        if !name.is_of(&manifest) {
            warn!("left out {key}: it is the manifest of another snapshot");
            rebuilt.damaged += 1;
            continue;
        }
        let missing = manifest.all_renditions().find(|r| !files.contains(&r.key));
        if let Some(missing) = missing {
            warn!("left out {key}: its file {} is not there", missing.key);
            rebuilt.damaged += 1;
            continue;
        }
        if catalog.restore(&manifest).await? {
            rebuilt.added += 1;
        } else {
            rebuilt.known += 1;
        }
        manifests.push(manifest);
        written.push(*written_at);
    }
    if let Some(newest) = newest(&manifests, &written) {
        catalog.make_newest_live(newest, &manifests).await?;
    }
    Ok(())
}

/// The newest of `manifests`, which the storage wrote at the times in `written`.
fn newest<'a>(manifests: &'a [Manifest], written: &[DateTime<Utc>]) -> Option<&'a Manifest> {
    let dated = manifests.iter().zip(written);
    let dated = dated.map(|(manifest, &written_at)| Dated {
        manifest,
        written_at,
    });
    let newest = dated.reduce(|newest, next| {
        let order = next.order(&newest);
        if order.clocks_disagree {
            warn!("{}", DisagreeingClocks(next.manifest, newest.manifest));
        }
        match order.ordering {
            Ordering::Greater => next,
            _ => newest,
        }
    });
    newest.map(|newest| newest.manifest)
}
