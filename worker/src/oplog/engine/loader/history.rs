//! Estimates how many of a history's operations are superseded, while they come.

use std::{collections::HashMap, hash::BuildHasher};

use foldhash::quality::RandomState;

/// So many keys are looked at; of more, a part that was not chosen.
const MOST_KEYS: usize = 4096;

/// A sample of the keys of a history.
pub(super) struct History {
    hasher: RandomState,
    /// Keys with a lower hash are in the sample.
    below: u64,
    /// The keys in the sample by their hashes, and how many operations of each were written.
    keys: HashMap<u64, u64>,
    /// The sum of these.
    operations: u64,
    /// So few operations are not worth a look.
    few: u64,
}

impl History {
    pub(super) fn new(few: u64) -> Self {
        Self {
            hasher: RandomState::default(),
            below: u64::MAX,
            keys: HashMap::new(),
            operations: 0,
            few,
        }
    }

    /// Counts a PUT that was written.
    pub(super) fn put(&mut self, bucket: u32, key: &str) {
        let hash = self.hasher.hash_one((bucket, key));
        if hash >= self.below {
            return;
        }
        *self.keys.entry(hash).or_default() += 1;
        self.operations += 1;
        if self.keys.len() > MOST_KEYS {
            self.below /= 2;
            self.keys.retain(|hash, _| *hash < self.below);
            self.operations = self.keys.values().sum();
        }
    }

    /// Returns whether more than half of what was written is superseded.
    pub(super) fn is_mostly_superseded(&self) -> bool {
        self.operations > self.few.max(2 * self.keys.len() as u64)
    }

    /// Notes that what is superseded is not there any more.
    pub(super) fn was_shortened(&mut self) {
        self.keys
            .values_mut()
            .for_each(|operations| *operations = 1);
        self.operations = self.keys.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_mostly_superseded_when_its_keys_have_come_twice() {
        for keys in [1, 60, 3_000, 100_000] {
            let mut history = History::new(1_000);
            let mut puts = 0;
            while !history.is_mostly_superseded() {
                history.put(1, &format!("products/{}", puts % keys));
                puts += 1;
            }
            let expected = 1_000.max(2 * keys) as f64;
            let share = puts as f64 / expected;
            assert!(
                (0.9..1.1).contains(&share),
                "{keys} keys: {puts} operations"
            );
            history.was_shortened();
            assert!(!history.is_mostly_superseded());
        }
    }
}
