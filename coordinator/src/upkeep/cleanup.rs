//! Finishes what people have decided and a kill or an outage has left: withdrawn snapshots leave `latest/`, and the objects of
//! forgotten stores go, also those that late jobs upload.

use std::time::Duration;

use seedbed_protocol::snapshots::{Removed, SnapshotRepository};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{error::GcError, withdraw::take_back_latest};
use crate::catalog::{Catalog, ForgottenStore};

/// Between two looks of a server.
const PAUSE: Duration = Duration::from_secs(5);

/// Finishes such things until `stop` is cancelled. Errors are left to the next round.
pub async fn keep_clean(
    catalog: &Catalog,
    snapshots: &SnapshotRepository,
    stop: &CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        if let Err(error) = take_back_latest(catalog, snapshots).await {
            warn!("withdrawn snapshots leave latest/ later: {error}");
        }
        match remove_forgotten(catalog, snapshots, false).await {
            Ok(Removed { objects: 0, .. }) => {}
            Ok(Removed { objects, .. }) => {
                info!(objects, "removed what was left of forgotten stores");
            }
            Err(error) => warn!("objects of forgotten stores are removed later: {error}"),
        }
    }
}

/// Removes the objects of stores that were forgotten lately, or with `every` of all of them; returns what there was.
///
/// # Errors
/// [`GcError`]; calling again continues where this stopped.
pub(super) async fn remove_forgotten(
    catalog: &Catalog,
    snapshots: &SnapshotRepository,
    every: bool,
) -> Result<Removed, GcError> {
    let mut removed = Removed::default();
    for store in catalog.forgotten_stores(every).await? {
        removed += remove_objects(catalog, snapshots, &store).await?;
    }
    Ok(removed)
}

/// Removes the objects of one forgotten store; returns what there was.
///
/// # Errors
/// When the catalog or the object storage fails.
pub async fn remove_objects(
    catalog: &Catalog,
    snapshots: &SnapshotRepository,
    store: &ForgottenStore,
) -> Result<Removed, GcError> {
    let removed = match (store.is_allowed, store.last_job) {
        (false, _) => snapshots.delete_store(&store.store_id, None).await?,
        (true, Some(last_job)) => {
            let until = Some(last_job);
            snapshots.delete_store(&store.store_id, until).await?
        }
        (true, None) => Removed::default(),
    };
    catalog.objects_are_removed(&store.store_id).await?;
    Ok(removed)
}
