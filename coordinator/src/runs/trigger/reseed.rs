//! Seeds stores again at once when a job has found that the sync config changed: their snapshots would make devices download
//! every row.
//!
//! In: the newest generation that events tell of. Out: a run over the stores whose live snapshot is of another one. A kill
//! loses nothing: the next event of any store tells it again. Several servers may do so at once: a store has one job in
//! flight.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    catalog::{Catalog, RunKind, Sweep},
    runs::{
        control::Runs,
        error::RunError,
        list::{StoreFilter, StoreList},
    },
};

/// The pause after a list that could not be made.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// Starts a run when the sync config has changed.
pub struct Reseeder {
    catalog: Catalog,
    runs: Arc<Runs>,
    stores: Arc<StoreList>,
    generation: watch::Receiver<Option<String>>,
}

impl Reseeder {
    /// Seeds stores of `stores` by runs that `runs` starts, whenever `generation` changes.
    pub fn new(
        catalog: Catalog,
        runs: Arc<Runs>,
        stores: Arc<StoreList>,
        generation: watch::Receiver<Option<String>>,
    ) -> Self {
        Self {
            catalog,
            runs,
            stores,
            generation,
        }
    }

    /// Starts runs until `stop` is cancelled.
    pub async fn run(mut self, stop: &CancellationToken) {
        let mut again = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.generation.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(RETRY_PAUSE), if again => {}
            }
            let generation = self.generation.borrow_and_update().clone();
            let Some(generation) = generation else {
                continue;
            };
            // A list that is being read when this stops is abandoned: nothing of it was written.
            let seeded = tokio::select! {
                () = stop.cancelled() => return,
                seeded = self.seed(&generation) => seeded,
            };
            again = seeded.is_err();
            if let Err(error) = seeded {
                warn!("stores with snapshots of an older sync config are seeded later: {error}");
            }
        }
    }

    async fn seed(&self, generation: &str) -> Result<(), RunError> {
        let stale = self.catalog.stale_stores(generation).await?;
        if stale.is_empty() {
            return Ok(());
        }
        let filter = StoreFilter {
            stores: stale.into_iter().collect(),
            skip_unknown: true,
            ..StoreFilter::default()
        };
        let sweep = Sweep::some(RunKind::Config);
        let listed = self.runs.start(&self.stores, &filter, sweep).await?;
        if listed.jobs > 0 {
            warn!(
                stores = listed.jobs,
                "seeding the stores whose snapshots are of an older sync config"
            );
        }
        Ok(())
    }
}
