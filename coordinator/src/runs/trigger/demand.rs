//! Stores that are seeded because a client asked for them: many wishes make one run, and a store is not seeded again
//! soon.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::Utc;
use seedbed_protocol::StoreId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::runs::control::runs as operator;
use crate::{
    catalog::{Catalog, CatalogError},
    runs::{control::runs::Operator, list::StoreFilter},
};

/// How long wishes are collected before the list of stores is read for all of them.
const COLLECT: Duration = Duration::from_secs(1);

/// When a client should look for its snapshot.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// From a wish until its job is in the catalog: as long as it takes to read a long list of stores.
const LISTING: Duration = Duration::from_secs(60);

/// Stores that are remembered at a time.
const MAX_WISHES: usize = 10_000;

/// What to tell who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The store is or will be seeded.
    Seeding {
        /// When there may be a snapshot.
        look_again: Duration,
    },
    /// It was tried not long ago, and is not tried again yet.
    TooSoon {
        /// When it will be tried again if somebody asks.
        wait: Duration,
    },
    /// Too many others have asked.
    TooMany,
}

/// Collects wishes.
pub struct Demand {
    catalog: Catalog,
    operator: Arc<Operator>,
    /// How long a store is not seeded on demand again.
    pause: Duration,
    wishes: Mutex<Wishes>,
    wished: Notify,
}

#[derive(Default)]
struct Wishes {
    waiting: BTreeSet<StoreId>,
    /// When each store was asked for.
    asked: HashMap<StoreId, Instant>,
}

impl Demand {
    /// Has stores seeded by `operator`, each at most once in `pause`.
    pub fn new(catalog: Catalog, operator: Arc<Operator>, pause: Duration) -> Self {
        Self {
            catalog,
            operator,
            pause,
            wishes: Mutex::default(),
            wished: Notify::new(),
        }
    }

    /// Has `store_id` seeded, unless it is being seeded or was a moment ago.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn want(&self, store_id: &StoreId) -> Result<Answer, CatalogError> {
        let seeding = Answer::Seeding {
            look_again: LOOK_AGAIN,
        };
        if let Some(job) = self.catalog.newest_attempt(store_id).await? {
            if job.in_flight {
                return Ok(seeding);
            }
            let since = (Utc::now() - job.listed_at).to_std().unwrap_or_default();
            if since < self.pause {
                let wait = self.pause - since;
                return Ok(Answer::TooSoon { wait });
            }
        }
        let mut wishes = self.wishes();
        if let Some(asked) = wishes.asked.get(store_id) {
            let since = asked.elapsed();
            if since < LISTING && wishes.waiting.contains(store_id) {
                return Ok(seeding);
            }
            // It was looked for, and is not in the list of stores.
            if since < self.pause {
                let wait = self.pause - since;
                return Ok(Answer::TooSoon { wait });
            }
        }
        if wishes.asked.len() >= MAX_WISHES {
            wishes.asked.retain(|_, asked| asked.elapsed() < self.pause);
        }
        if wishes.asked.len() >= MAX_WISHES {
            return Ok(Answer::TooMany);
        }
        wishes.asked.insert(store_id.clone(), Instant::now());
        wishes.waiting.insert(store_id.clone());
        self.wished.notify_one();
        Ok(seeding)
    }

    /// Starts runs for what was wished, until `stop` is cancelled.
    pub async fn keep_seeding(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wished.notified() => {}
            }
            tokio::time::sleep(COLLECT).await;
            // A list that is being read when this stops is given up: nothing of it was written.
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.seed() => {}
            }
        }
    }

    async fn seed(&self) {
        let stores = self.wishes().waiting.clone();
        let filter = StoreFilter {
            stores: stores.clone(),
            skip_unknown: true,
            ..StoreFilter::default()
        };
        let started = self
            .operator
            .start(&filter, operator::options("demand", false))
            .await;
        let mut wishes = self.wishes();
        wishes.waiting.retain(|store| !stores.contains(store));
        match started {
            Ok(listed) => info!(
                stores = listed.jobs,
                "seeding stores that clients asked for"
            ),
            Err(error) => {
                warn!("stores that clients asked for are not seeded: {error}");
                // Not their fault: they may be asked for again at once.
                wishes.asked.retain(|store, _| !stores.contains(store));
            }
        }
    }

    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
