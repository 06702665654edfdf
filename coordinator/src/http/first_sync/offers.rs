//! What is known of each store's snapshot, kept in memory for a moment: after a change of the sync config every device of an
//! app asks at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use seedbed_protocol::StoreId;

use super::decision::{Offer, Why};
use crate::{
    catalog::{Catalog, CatalogError, SnapshotRecord},
    http::download::is_older,
};

/// Stores that are remembered at a time.
const MOST: usize = 10_000;

/// An offer, or why there is none. The service is known all the same, if there is any snapshot.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) offer: Result<Arc<Offer>, Why>,
    pub(super) service: Option<String>,
}

/// The offers of all stores.
pub(super) struct Offers {
    catalog: Catalog,
    /// Snapshots that are older are not handed out.
    oldest: Option<Duration>,
    /// How long what was read is taken for true.
    max_age: Duration,
    known: Mutex<Remembered>,
    /// The sync configs that there were, and since when.
    configs: Mutex<Option<(Instant, Arc<Configs>)>>,
}

/// What is known of stores, and the change after which that was read.
#[derive(Default)]
struct Remembered {
    change: i64,
    stores: HashMap<StoreId, (Instant, Known)>,
}

type Configs = Vec<(String, DateTime<Utc>)>;

impl Offers {
    pub(super) fn new(catalog: Catalog, oldest: Option<Duration>, max_age: Duration) -> Self {
        Self {
            catalog,
            oldest,
            max_age,
            known: Mutex::default(),
            configs: Mutex::default(),
        }
    }

    /// Returns what a device of this store can be given. What was read before the newest `change` does not count.
    pub(super) async fn of(&self, store_id: &StoreId, change: i64) -> Result<Known, CatalogError> {
        {
            let mut remembered = self.known();
            if remembered.change != change {
                remembered.stores.clear();
                remembered.change = change;
            }
            if let Some((read, known)) = remembered.stores.get(store_id)
                && read.elapsed() < self.max_age
            {
                return Ok(known.clone());
            }
        }
        let snapshot = self.catalog.live_snapshot(store_id).await?;
        let known = Known {
            service: snapshot
                .as_ref()
                .map(|snapshot| snapshot.manifest.powersync_endpoint.clone()),
            offer: self.offer(snapshot).await?,
        };
        let mut remembered = self.known();
        if remembered.stores.len() >= MOST {
            remembered.stores.clear();
        }
        if remembered.change == change {
            let entry = (Instant::now(), known.clone());
            remembered.stores.insert(store_id.clone(), entry);
        }
        Ok(known)
    }

    async fn offer(
        &self,
        snapshot: Option<SnapshotRecord>,
    ) -> Result<Result<Arc<Offer>, Why>, CatalogError> {
        let Some(snapshot) = snapshot else {
            return Ok(Err(Why::NoSnapshot));
        };
        if self
            .oldest
            .is_some_and(|most| is_older(snapshot.verified_at, most))
        {
            return Ok(Err(Why::TooOld));
        }
        let (manifest, verified_at) = (snapshot.manifest, snapshot.verified_at);
        let generation = manifest.checkpoint.generation().map(str::to_owned);
        let forms = manifest.forms.into_iter();
        let streams: Vec<_> = forms
            .filter(|rendition| rendition.form.is_stream())
            .collect();
        if streams.is_empty() {
            return Ok(Err(Why::NoStream));
        }
        let configs = self.configs().await?;
        let is_newer =
            |(name, since): &(String, _)| Some(name) != generation.as_ref() && *since > verified_at;
        if generation.is_some() && configs.iter().any(is_newer) {
            return Ok(Err(Why::OldConfig));
        }
        Ok(Ok(Arc::new(Offer {
            streams,
            generation,
            checkpoint: manifest.checkpoint.last_op_id.0,
            verified_at,
        })))
    }

    async fn configs(&self) -> Result<Arc<Configs>, CatalogError> {
        let configs = || self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, known)) = &*configs()
            && read.elapsed() < self.max_age
        {
            return Ok(known.clone());
        }
        let read = Arc::new(self.catalog.generations().await?);
        *configs() = Some((Instant::now(), read.clone()));
        Ok(read)
    }

    fn known(&self) -> MutexGuard<'_, Remembered> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
