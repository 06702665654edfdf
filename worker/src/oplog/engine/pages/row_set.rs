//! A set of rows.

use std::ops::RangeInclusive;

/// Rows by their ids, which are positive and dense.
#[derive(Default)]
pub(in super::super) struct RowSet {
    bits: Vec<u64>,
    count: u64,
}

impl RowSet {
    pub(in super::super) fn insert(&mut self, row: i64) {
        let (word, bit) = place(row);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.count += u64::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }

    pub(in super::super) fn contains(&self, row: i64) -> bool {
        let (word, bit) = place(row);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    pub(in super::super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns whether a row of this range is in it.
    pub(super) fn has_any(&self, rows: RangeInclusive<i64>) -> bool {
        let words = place(*rows.start()).0..=place(*rows.end()).0;
        let mut words = words.filter(|word| self.bits.get(*word).is_some_and(|bits| *bits != 0));
        // Words at both ends may have rows outside of it.
        words.any(|word| {
            let all = word as i64 * 64..=word as i64 * 64 + 63;
            let mut rows = (*all.start()).max(*rows.start())..=(*all.end()).min(*rows.end());
            rows.any(|row| self.contains(row))
        })
    }
}

fn place(row: i64) -> (usize, u64) {
    (row as usize / 64, 1 << (row % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_any_if_one_of_its_rows_is_there() {
        let mut rows = RowSet::default();
        rows.insert(70);
        rows.insert(200);
        rows.insert(70);
        assert_eq!(rows.count(), 2);
        for (range, is_any) in [
            (1..=69, false),
            (70..=70, true),
            (71..=199, false),
            (1..=1_000, true),
            (201..=1_000, false),
        ] {
            assert_eq!(rows.has_any(range.clone()), is_any, "{range:?}");
        }
    }
}
