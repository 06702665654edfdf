//! PowerSync's checkpoint: how far each bucket has come, and the checksum that proves it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::ids::OpId;

/// PowerSync's consistent point: how far each bucket has come and what it must sum to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The service's newest op at this point.
    pub last_op_id: OpId,
    /// Every bucket of the scope, sorted by name; at least one, since a scope without buckets is not seeded. None, where
    /// they are too many for a message or for the catalog: the manifest in object storage has all of them.
    pub buckets: Vec<BucketCheckpoint>,
}

impl Checkpoint {
    /// Returns whether it has all its buckets, rather than leaving them to the manifest in object storage.
    pub fn is_whole(&self) -> bool {
        !self.buckets.is_empty()
    }

    /// Leaves out the buckets. Returns whether there were any.
    pub fn leave_out_buckets(&mut self) -> bool {
        !std::mem::take(&mut self.buckets).is_empty()
    }

    /// Returns how many operations the service says there are, see [`BucketCheckpoint::operations`].
    pub fn operations(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.operations).sum()
    }

    /// Returns its generation: the sync config that named its buckets, which is the number before the `#`; the newest if
    /// there are several. `None` without buckets.
    pub fn generation(&self) -> Option<&str> {
        let number = |bucket: &BucketCheckpoint| {
            let (number, _) = bucket.bucket.split_once('#')?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then_some(number.len())
        };
        let numbers = self
            .buckets
            .iter()
            .filter_map(|bucket| Some(&bucket.bucket[..number(bucket)?]));
        numbers.max_by_key(|number| (number.len(), *number))
    }

    /// Returns whether both have the same buckets with the same checksums. Op ids do not count: the service may have
    /// compacted its operations.
    pub fn same_rows(&self, other: &Self) -> bool {
        let checksums = |checkpoint: &Self| -> HashMap<String, u32> {
            let buckets = checkpoint.buckets.iter();
            buckets.map(|b| (b.bucket.clone(), b.checksum)).collect()
        };
        self.buckets.len() == other.buckets.len() && checksums(self) == checksums(other)
    }

    /// Estimates how many operations of this checkpoint are not in `base`.
    pub fn changed_since(&self, base: &Self) -> u64 {
        let known = base.buckets.iter().map(|b| (b.bucket.as_str(), b));
        let known: HashMap<&str, &BucketCheckpoint> = known.collect();
        let changed = |bucket: &BucketCheckpoint| match known.get(bucket.bucket.as_str()) {
            None => bucket.operations,
            Some(base) if base.checksum == bucket.checksum => 0,
            Some(base) => bucket.operations.abs_diff(base.operations).max(1),
        };
        self.buckets.iter().map(changed).sum()
    }
}

/// One bucket within a [`Checkpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketCheckpoint {
    /// Its name, such as `1#store_products["7"]`.
    pub bucket: String,
    /// The last op that was downloaded for it; 0 for a bucket without rows.
    pub last_op: OpId,
    /// The sum of its ops' checksums modulo 2^32.
    pub checksum: u32,
    /// 0 (synced first) to 3.
    pub priority: u8,
    /// How many operations the service says it has: good for an estimate, too unreliable to compare.
    #[serde(default)]
    pub operations: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(buckets: &[(&str, u32, u64)]) -> Checkpoint {
        let bucket = |&(bucket, checksum, operations): &(&str, u32, u64)| BucketCheckpoint {
            bucket: bucket.to_owned(),
            last_op: OpId(0),
            checksum,
            priority: 3,
            operations,
        };
        Checkpoint {
            last_op_id: OpId(0),
            buckets: buckets.iter().map(bucket).collect(),
        }
    }

    #[test]
    fn the_same_buckets_with_the_same_checksums_are_the_same_rows() {
        let base = checkpoint(&[("a", 1, 10), ("b", 2, 20)]);
        assert!(base.same_rows(&checkpoint(&[("b", 2, 7), ("a", 1, 10)])));
        assert!(!base.same_rows(&checkpoint(&[("a", 1, 10), ("b", 3, 20)])));
        assert!(!base.same_rows(&checkpoint(&[("a", 1, 10)])));
        assert!(!base.same_rows(&checkpoint(&[("a", 1, 10), ("c", 2, 20)])));
    }

    #[test]
    fn the_generation_is_the_newest_number_before_a_buckets_name() {
        let generation = |names: &[&str]| {
            let buckets: Vec<_> = names.iter().map(|name| (*name, 0, 0)).collect();
            checkpoint(&buckets).generation().map(ToOwned::to_owned)
        };
        assert_eq!(
            generation(&["9#a[]", "10#b|0[\"3#\"]"]).as_deref(),
            Some("10")
        );
        assert_eq!(generation(&["a[]", "#b", "x1#c"]), None);
        assert_eq!(generation(&[]), None);
    }

    #[test]
    fn what_has_changed_is_estimated_by_bucket() {
        let base = checkpoint(&[("a", 1, 10), ("b", 2, 20), ("gone", 5, 50)]);
        let changed = |buckets: &[_]| checkpoint(buckets).changed_since(&base);
        assert_eq!(changed(&[("a", 1, 10), ("b", 2, 20)]), 0);
        assert_eq!(changed(&[("a", 9, 13), ("b", 2, 20)]), 3);
        // The service has compacted since: something has changed all the same.
        assert_eq!(changed(&[("a", 9, 10), ("b", 2, 20)]), 1);
        assert_eq!(changed(&[("2#a", 1, 10), ("2#b", 2, 20)]), 30);
    }
}
