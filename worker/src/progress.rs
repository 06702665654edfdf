//! Counters that a progress bar reads while jobs run.

use std::sync::atomic::{AtomicU64, Ordering};

/// What all jobs of a worker have done so far. Only ever grows.
#[derive(Debug, Default)]
pub struct Progress {
    operations: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Operations that were downloaded; nearly always one a row.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Bytes of stream that were downloaded, after decompression.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, operations: u64, bytes: u64) {
        self.operations.fetch_add(operations, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
