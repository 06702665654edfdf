//! PowerSync's checkpoint: how far each bucket has come, and the checksum that proves it.

use serde::{Deserialize, Serialize};

use crate::ids::OpId;

/// PowerSync's consistent point: how far each bucket has come and what it must sum to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The service's newest op at this point.
    pub last_op_id: OpId,
    /// Every bucket of the scope, sorted by name.
    pub buckets: Vec<BucketCheckpoint>,
}

impl Checkpoint {
    /// How many operations the service says there are, see [`BucketCheckpoint::operations`].
    pub fn operations(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.operations).sum()
    }
}

/// One bucket within a [`Checkpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketCheckpoint {
    /// The service's name of it, such as `1#store_products["7"]`.
    pub bucket: String,
    /// The last op that was downloaded for it; 0 for a bucket without rows.
    pub last_op: OpId,
    /// The sum of its ops' checksums modulo 2^32.
    pub checksum: u32,
    /// 0 (synced first) to 3.
    pub priority: u8,
    /// How many operations the service says it has: enough for an estimate, too unreliable to compare.
    #[serde(default)]
    pub operations: u64,
}
