//! A set of rows.

/// Rows by their ids, which are positive and dense.
#[derive(Default)]
pub(super) struct Rows {
    bits: Vec<u64>,
    first: Option<i64>,
}

impl Rows {
    pub(super) fn insert(&mut self, row: i64) {
        let (word, bit) = place(row);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= bit;
        self.first = Some(self.first.map_or(row, |first| first.min(row)));
    }

    pub(super) fn contains(&self, row: i64) -> bool {
        let (word, bit) = place(row);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Returns the lowest one; `None` if there is none.
    pub(super) fn first(&self) -> Option<i64> {
        self.first
    }
}

fn place(row: i64) -> (usize, u64) {
    (row as usize / 64, 1 << (row % 64))
}
