//! What a sync asks for, and what became of a checkpoint.

use std::ops::BitOrAssign;

use seedbed_protocol::message::StreamSubscription;
use serde_json::{Map, Value};

/// What a sync asks for, and its limits.
pub struct SyncOptions {
    /// Sync parameters.
    pub parameters: Map<String, Value>,
    /// Whether to sync the streams that the service subscribes every client to.
    pub default_streams: bool,
    /// Explicit subscriptions.
    pub subscriptions: Vec<StreamSubscription>,
    /// How long the subscriptions stay valid, in seconds.
    pub subscription_ttl: u64,
    /// SQLite's page cache, in KiB.
    pub cache_kib: u32,
    /// The memory of what the engine writes itself, in KiB; `None` leaves every operation to the core extension.
    pub load_memory_kib: Option<u32>,
}

/// Whether the core extension has applied a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// All rows are in their tables.
    Yes,
    /// The core extension refused it, for this reason, and has dropped the buckets that do not match.
    No(String),
}

/// How the checkpoints of a database were written, as far as the core extension did not do it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// The first one was loaded in bulk.
    pub loaded: bool,
    /// One was added to what was there.
    pub added: bool,
    /// For one of those, indexes were dropped and built again.
    pub built_again: bool,
}

impl BitOrAssign for Written {
    fn bitor_assign(&mut self, other: Self) {
        self.loaded |= other.loaded;
        self.added |= other.added;
        self.built_again |= other.built_again;
    }
}
