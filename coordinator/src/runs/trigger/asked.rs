//! Remembers which stores clients ask for, to the minute, without a write for each request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::Utc;
use seedbed_protocol::StoreId;
use tracing::debug;

use crate::catalog::Catalog;

/// How often one store is written at most.
const PRECISION: Duration = Duration::from_secs(60);

/// How long requests are collected for one write.
const COLLECT: Duration = Duration::from_millis(500);

/// Stores in one write.
const BATCH: usize = 100;

/// Stores that are remembered at a time.
const MOST: usize = 100_000;

/// The stores that clients asked for lately. A kill loses half a second of them.
pub struct Asked(Arc<Inner>);

struct Inner {
    catalog: Catalog,
    lately: Mutex<Lately>,
}

#[derive(Default)]
struct Lately {
    written: HashMap<StoreId, Instant>,
    waiting: Vec<StoreId>,
}

impl Asked {
    /// Records in `catalog`.
    pub fn new(catalog: Catalog) -> Self {
        let lately = Mutex::default();
        Self(Arc::new(Inner { catalog, lately }))
    }

    /// Notes that a client asks for `store_id` now. Returns at once; has to be called on a runtime.
    pub fn note(&self, store_id: &StoreId) {
        let mut lately = self.0.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let written = lately.written.get(store_id);
        if written.is_some_and(|written| written.elapsed() < PRECISION) {
            return;
        }
        if lately.written.len() >= MOST {
            lately.written.clear();
        }
        lately.written.insert(store_id.clone(), Instant::now());
        lately.waiting.push(store_id.clone());
        if lately.waiting.len() == 1 {
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move { inner.write().await });
        }
    }
}

impl Inner {
    async fn write(&self) {
        tokio::time::sleep(COLLECT).await;
        let stores = {
            let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut lately.waiting)
        };
        for stores in stores.chunks(BATCH) {
            if let Err(error) = self.catalog.asked_for(stores, Utc::now()).await {
                // It only decides about an order.
                debug!("which stores clients asked for is not recorded: {error}");
                return;
            }
        }
    }
}
