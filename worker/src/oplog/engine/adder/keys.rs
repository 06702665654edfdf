//! Finds the row of `ps_oplog` that has a key, within a budget of memory.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// The size of an entry: a hash, a row id, and the table's own byte for it.
const ENTRY_BYTES: usize = 17;

/// Rows of `ps_oplog` by the hash of their bucket and key. Two keys may have one hash, so the caller has to compare the
/// key of a row that it takes.
pub(super) struct Keys {
    rows: HashMap<u64, i64>,
    hasher: RandomState,
    most_bytes: usize,
}

impl Keys {
    pub(super) fn within(most_bytes: usize) -> Self {
        Self {
            rows: HashMap::new(),
            hasher: RandomState::new(),
            most_bytes,
        }
    }

    /// Returns the hash by which a row is found.
    pub(super) fn hash(&self, bucket: i64, key: &str) -> u64 {
        self.hasher.hash_one((bucket, key))
    }

    /// Remembers the row of a key whose previous row, if any, was taken. Returns `false` when there is no room for
    /// it, or another key has its hash.
    pub(super) fn insert(&mut self, hash: u64, row: i64) -> bool {
        if self.rows.len() == self.rows.capacity() && self.bytes_to_grow() > self.most_bytes {
            return false;
        }
        self.rows.insert(hash, row).is_none()
    }

    /// Takes out the row that has this key, or another key with its hash.
    pub(super) fn take(&mut self, hash: u64) -> Option<i64> {
        self.rows.remove(&hash)
    }

    /// Returns the size of the table while it doubles: the old entries and room for twice as many.
    fn bytes_to_grow(&self) -> usize {
        // A table is filled up to 7/8.
        let entries = self.rows.capacity().div_ceil(7) * 8;
        3 * entries.next_power_of_two() * ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_once_by_its_bucket_and_key() {
        let mut keys = Keys::within(1 << 20);
        let (a1, a2) = (keys.hash(1, "a"), keys.hash(2, "a"));
        assert!(keys.insert(a1, 10) && keys.insert(a2, 20));
        assert_eq!(keys.take(a2), Some(20));
        assert_eq!(keys.take(a2), None);
        assert_eq!(keys.take(a1), Some(10));
    }

    #[test]
    fn it_refuses_to_outgrow_its_budget() {
        let budget = 64 << 10;
        let mut keys = Keys::within(budget);
        let taken = (0..100_000).take_while(|row| {
            let hash = keys.hash(1, &row.to_string());
            keys.insert(hash, *row)
        });
        let taken = taken.count();
        let bytes = keys.rows.capacity() * ENTRY_BYTES;
        assert!(
            taken > 1_000 && bytes < budget,
            "{taken} keys, {bytes} bytes"
        );
        assert!(!Keys::within(0).insert(7, 1));
    }
}
