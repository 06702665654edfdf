//! Seeds stores on demand, because a client asked for a snapshot that is not there.
//!
//! Requests of a moment make one run. A store is seeded on demand at most once in `download.on_demand_pause`. Requests
//! are kept in memory: after a kill, clients ask again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use seedbed_protocol::StoreId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    catalog::{Catalog, CatalogError, RunKind, Sweep},
    runs::{
        control::Runs,
        list::{StoreFilter, StoreList},
    },
};

/// How long requests are collected before the list of stores is read for all of them.
const COLLECT: Duration = Duration::from_secs(1);

/// When a client should ask again for its snapshot.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// From a request until its job is in the catalog: as long as it takes to read a long list of stores.
const LISTING: Duration = Duration::from_secs(60);

/// Stores that are remembered at a time.
const MAX_REQUESTS: usize = 10_000;

/// The answer to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The store is or will be seeded.
    Seeding {
        /// When there may be a snapshot.
        ask_again: Duration,
    },
    /// It was tried a short time ago, and is not tried again yet.
    TooSoon {
        /// When a request will make it tried again.
        wait: Duration,
    },
    /// Too many other stores were asked for.
    TooMany,
}

/// Collects requests, and starts runs for them.
pub struct Demand {
    catalog: Catalog,
    runs: Arc<Runs>,
    stores: Arc<StoreList>,
    /// How long a store is not seeded on demand again.
    pause: Duration,
    requests: Mutex<Requests>,
    requested: Notify,
}

#[derive(Default)]
struct Requests {
    /// Stores that no run was started for yet.
    pending: BTreeSet<StoreId>,
    /// When each store was asked for.
    asked: HashMap<StoreId, Instant>,
}

impl Demand {
    /// Seeds stores of `stores` by runs that `runs` starts, each store at most once in `pause`.
    pub fn new(catalog: Catalog, runs: Arc<Runs>, stores: Arc<StoreList>, pause: Duration) -> Self {
        Self {
            catalog,
            runs,
            stores,
            pause,
            requests: Mutex::default(),
            requested: Notify::new(),
        }
    }

    /// Requests that `store_id` is seeded. Does nothing if it is being seeded, or was within the pause.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn request(&self, store_id: &StoreId) -> Result<Answer, CatalogError> {
        let seeding = Answer::Seeding {
            ask_again: ASK_AGAIN,
        };
        if self.catalog.is_forgotten(store_id).await? {
            return Ok(Answer::TooSoon { wait: self.pause });
        }
        if let Some(job) = self.catalog.newest_attempt(store_id).await? {
            if job.in_flight {
                return Ok(seeding);
            }
            // By the clock that wrote it, which is not this coordinator's.
            let now = self.catalog.now().await?;
            let since = (now - job.listed_at).to_std().unwrap_or_default();
            if since < self.pause {
                let wait = self.pause - since;
                return Ok(Answer::TooSoon { wait });
            }
        }
        let mut requests = self.requests();
        if let Some(asked) = requests.asked.get(store_id) {
            let since = asked.elapsed();
            if since < LISTING && requests.pending.contains(store_id) {
                return Ok(seeding);
            }
            // It was looked for, and is not in the list of stores.
            if since < self.pause {
                let wait = self.pause - since;
                return Ok(Answer::TooSoon { wait });
            }
        }
        if requests.asked.len() >= MAX_REQUESTS {
            requests
                .asked
                .retain(|_, asked| asked.elapsed() < self.pause);
        }
        if requests.asked.len() >= MAX_REQUESTS {
            return Ok(Answer::TooMany);
        }
        requests.asked.insert(store_id.clone(), Instant::now());
        requests.pending.insert(store_id.clone());
        self.requested.notify_one();
        Ok(seeding)
    }

    /// Starts runs for what was requested, until `stop` is cancelled.
    pub async fn run(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.requested.notified() => {}
            }
            tokio::time::sleep(COLLECT).await;
            // A list that is being read when this stops is abandoned: nothing of it was written.
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.seed() => {}
            }
        }
    }

    async fn seed(&self) {
        let stores = self.requests().pending.clone();
        let filter = StoreFilter {
            stores: stores.clone(),
            skip_unknown: true,
            ..StoreFilter::default()
        };
        let started = self
            .runs
            .start(&self.stores, &filter, Sweep::some(RunKind::Demand))
            .await;
        let mut requests = self.requests();
        requests.pending.retain(|store| !stores.contains(store));
        match started {
            Ok(listed) => info!(
                stores = listed.jobs,
                "seeding stores that clients asked for"
            ),
            Err(error) => {
                warn!("stores that clients asked for are not seeded: {error}");
                // The stores are not at fault: they may be asked for again at once.
                requests.asked.retain(|store, _| !stores.contains(store));
            }
        }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
