//! What all connections of one service share.

use crate::auth::Keys;
use crate::data::database::Database;
use crate::state::faults::Faults;
use crate::state::metrics::{Metrics, RequestLog};
use crate::state::replay::Replays;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The service's state.
pub(crate) struct Service {
    database: RwLock<Database>,
    /// Ticks whenever the database has changed.
    pub(crate) changes: watch::Sender<()>,
    pub(crate) keys: Keys,
    pub(crate) faults: Faults,
    pub(crate) replays: Replays,
    pub(crate) metrics: Arc<watch::Sender<Metrics>>,
    pub(crate) requests: RequestLog,
    pub(crate) settings: Settings,
    /// Whether a sync config is in force.
    pub(crate) ready: AtomicBool,
    /// Ends all streams and the listener.
    pub(crate) shutdown: CancellationToken,
}

/// Limits and intervals.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) keepalive: Duration,
    pub(crate) latency: Duration,
    /// How long each operation takes to be sent.
    pub(crate) operation_time: Duration,
    pub(crate) max_streams: u64,
    pub(crate) max_buckets: usize,
    pub(crate) too_many_buckets_status: u16,
}

impl Service {
    pub(crate) fn new(database: Database, keys: Keys, settings: Settings, ready: bool) -> Self {
        Self {
            database: RwLock::new(database),
            changes: watch::Sender::new(()),
            keys,
            faults: Faults::new(),
            replays: Replays::default(),
            metrics: Arc::new(watch::Sender::new(Metrics::default())),
            requests: RequestLog::default(),
            settings,
            ready: AtomicBool::new(ready),
            shutdown: CancellationToken::new(),
        }
    }

    /// Looks at the database.
    pub(crate) fn database(&self) -> RwLockReadGuard<'_, Database> {
        // A panic while a test writes rows is that test's failure; connections only ever read whole states.
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the database and tells all streams: everything done here becomes visible at once.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Database) -> R) -> R {
        let result = change(
            &mut self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.changes.send_replace(());
        result
    }
}
