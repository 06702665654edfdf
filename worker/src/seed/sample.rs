//! Which jobs are checked once more: one in so many, and the first of each generation.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// So many generations are remembered; a worker sees few.
const MOST_GENERATIONS: usize = 1000;

/// Picks jobs.
#[derive(Debug)]
pub(super) struct Sample {
    /// One job in so many; 0 for none but the first of a generation.
    every: u32,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Jobs since the last that was picked.
    since: u32,
    generations: HashSet<Option<String>>,
}

impl Sample {
    pub(super) fn new(every: u32) -> Self {
        let seen = Mutex::default();
        Self { every, seen }
    }

    /// Returns whether a job with a snapshot of this generation is picked.
    pub(super) fn picks(&self, generation: Option<&str>) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.since += 1;
        let generation = generation.map(ToOwned::to_owned);
        if seen.generations.len() >= MOST_GENERATIONS {
            seen.generations.clear();
        }
        let is_first = seen.generations.insert(generation);
        let picks = is_first || (self.every > 0 && seen.since >= self.every);
        if picks {
            seen.since = 0;
        }
        picks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_and_the_first_of_each_generation_are_picked() {
        let sample = Sample::new(3);
        let picked = ["1", "1", "1", "1", "2", "1", "1", "2"];
        let picked = picked.map(|generation| sample.picks(Some(generation)));
        assert_eq!(picked, [true, false, false, true, true, false, false, true]);
        let sample = Sample::new(0);
        let picked = [Some("1"), Some("1"), None, None, Some("2")];
        let picked = picked.map(|generation| sample.picks(generation));
        assert_eq!(picked, [true, false, true, false, true]);
    }
}
