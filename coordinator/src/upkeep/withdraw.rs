//! Takes live snapshots back, in the catalog and below `latest/`. A kill in between leaves a note in the catalog, by which servers and
//! the next call go on.

use seedbed_protocol::{objects::StorageError, snapshots::SnapshotRepository};
use tracing::warn;

use crate::catalog::{Catalog, CatalogError, Withdrawal, Withdrawn};

/// Copies that are looked at together.
const PAGE: i64 = 64;

/// Takes live snapshots back. If the object storage fails, their copies below `latest/` are left to servers and the next call.
///
/// # Errors
/// [`CatalogError::UnknownStore`], [`CatalogError::UnknownRun`].
pub async fn withdraw(
    catalog: &Catalog,
    snapshots: &SnapshotRepository,
    which: &Withdrawal,
) -> Result<Withdrawn, CatalogError> {
    if let Withdrawal::Store(store_id) = which {
        catalog.check_store(store_id).await?;
    }
    let withdrawn = catalog.withdraw(which).await?;
    take_back_latest(catalog, snapshots).await?;
    Ok(withdrawn)
}

/// Takes withdrawn snapshots away from `latest/`, as far as the object storage lets it.
pub(super) async fn take_back_latest(
    catalog: &Catalog,
    snapshots: &SnapshotRepository,
) -> Result<(), CatalogError> {
    loop {
        let stale = catalog.stale_latest(PAGE).await?;
        if stale.is_empty() {
            return Ok(());
        }
        for of in &stale {
            let taken: Result<(), StorageError> = snapshots
                .take_back_latest(&of.withdrawn, of.live.as_ref())
                .await;
            if let Err(error) = taken {
                warn!("withdrawn snapshots leave latest/ later: {error}");
                return Ok(());
            }
            catalog.latest_is_right(&of.withdrawn).await?;
        }
    }
}
