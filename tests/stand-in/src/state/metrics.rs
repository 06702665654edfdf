//! What a test can count, wait for and look at.

use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How many requests [`RequestLog`] keeps.
const REMEMBERED: usize = 1000;

/// Numbers since the service started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests to `/sync/stream`, successful or not.
    pub requests: u64,
    /// Answers with a body of lines that are open at this moment.
    pub open_streams: u64,
    /// Answers with a body of lines that have been started.
    pub streams: u64,
    /// Operations in data lines that were handed to the connection.
    pub operations: u64,
    /// Bytes of bodies that were handed to the connection, after compression.
    pub bytes: u64,
}

/// The counters of the whole service and of each store.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// All stores together.
    pub total: Counters,
    /// By the JWT claim `store_id`; requests without one count under the empty text.
    pub stores: HashMap<String, Counters>,
}

impl Metrics {
    /// The counters of one store; zeros if it was never asked for.
    pub fn store(&self, store: &str) -> Counters {
        self.stores.get(store).copied().unwrap_or_default()
    }
}

/// Counts for one store, and closes the stream it stands for when dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    metrics: Arc<watch::Sender<Metrics>>,
    store: String,
}

impl Meter {
    /// Counts a stream that opens, unless `limit` streams are open already.
    pub(crate) fn open(
        metrics: &Arc<watch::Sender<Metrics>>,
        store: &str,
        limit: u64,
    ) -> Option<Self> {
        let opened = metrics.send_if_modified(|metrics| {
            let free = metrics.total.open_streams < limit;
            if free {
                count(metrics, store, |counters| {
                    counters.open_streams += 1;
                    counters.streams += 1;
                });
            }
            free
        });
        opened.then(|| Self {
            metrics: Arc::clone(metrics),
            store: store.to_owned(),
        })
    }

    /// Counts what was sent.
    pub(crate) fn sent(&self, operations: u64, bytes: u64) {
        self.metrics.send_modify(|metrics| {
            count(metrics, &self.store, |counters| {
                counters.operations += operations;
                counters.bytes += bytes;
            });
        });
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.metrics.send_modify(|metrics| {
            count(metrics, &self.store, |counters| {
                counters.open_streams -= 1;
            });
        });
    }
}

/// Changes the total and the store's counters alike.
pub(crate) fn count(metrics: &mut Metrics, store: &str, change: impl Fn(&mut Counters)) {
    change(&mut metrics.total);
    if let Some(counters) = metrics.stores.get_mut(store) {
        change(counters);
    } else {
        change(metrics.stores.entry(store.to_owned()).or_default());
    }
}

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRecord {
    /// The body as JSON, or null if it was none.
    pub body: Value,
    /// The header of the JWT, unverified; null without a token.
    pub jwt_header: Value,
    /// The claims of the JWT, unverified; null without a token.
    pub claims: Value,
    /// The `Accept` header.
    pub accept: Option<String>,
    /// The `Accept-Encoding` header.
    pub accept_encoding: Option<String>,
}

/// The last requests.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(Mutex<VecDeque<RequestRecord>>);

impl RequestLog {
    pub(crate) fn push(&self, request: RequestRecord) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == REMEMBERED {
            log.pop_front();
        }
        log.push_back(request);
    }

    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}
