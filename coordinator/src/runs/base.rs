//! Decides what each job of a run starts from: nothing (a full download), or the live snapshot of its store, its base.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use chrono::{DateTime, Utc};
use seedbed_protocol::{
    RunId, StoreId,
    manifest::FullReason,
    message::{BaseSnapshot, Start},
};

use crate::{
    catalog::{Catalog, CatalogError, PendingJob},
    settings::SyncConfig,
};

/// What the jobs of these stores start from. A store without an entry has no live snapshot.
pub(super) async fn starts(
    catalog: &Catalog,
    sync: &SyncConfig,
    run_id: RunId,
    page: &[PendingJob],
) -> Result<HashMap<StoreId, Start>, CatalogError> {
    let because = if !sync.reuse {
        Some(FullReason::Off)
    } else if catalog.is_full_run(run_id).await? {
        Some(FullReason::Asked)
    } else {
        None
    };
    if let Some(because) = because {
        let stores = page.iter().map(|job| job.scope.store_id.clone());
        return Ok(stores.map(|store| (store, Start::Full(because))).collect());
    }
    let bases = catalog.bases(page).await?.into_iter();
    let start = |(store, base): (StoreId, BaseSnapshot)| {
        let start = match sync.full_every {
            Some(every) if is_due(&store, base.full_at, every) => Start::Full(FullReason::Due),
            _ => Start::Base(Box::new(base)),
        };
        (store, start)
    };
    Ok(bases.map(start).collect())
}

/// Whether the last full download of a store, at `full_at`, was so long ago that the next one is due. Stores that were
/// seeded in one night are spread: each has its own moment in the last quarter of `every`.
fn is_due(store: &StoreId, full_at: DateTime<Utc>, every: Duration) -> bool {
    let mut hasher = DefaultHasher::new();
    store.as_str().hash(&mut hasher);
    let share = 0.75 + 0.25 * (hasher.finish() as f64 / u64::MAX as f64);
    let age = (Utc::now() - full_at).to_std().unwrap_or_default();
    age >= every.mul_f64(share)
}
