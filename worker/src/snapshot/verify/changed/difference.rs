//! What two versions of a tree do not have in common: rows of a table, or entries of an index.

use std::collections::{HashMap, HashSet};

use crate::snapshot::verify::{
    error::VerifyError,
    pages::{Owners, Value, Version, values},
};

/// The cells in the changed pages of one version, by their tree: the row's id, if it is a table, and the payload.
pub(super) struct Cells {
    by_tree: HashMap<usize, Vec<(i64, Vec<u8>)>>,
    /// How many other pages hold parts of them.
    pub(super) overflow: u64,
}

impl Cells {
    /// Reads them. Records the other pages that hold parts of them in `owners`.
    pub(super) fn read(
        version: &Version<'_>,
        changed: &HashSet<u32>,
        owners: &Owners,
    ) -> Result<Self, VerifyError> {
        let mut cells = Self {
            by_tree: HashMap::new(),
            overflow: 0,
        };
        for &number in changed.iter().filter(|number| **number <= version.count) {
            let Some(tree) = owners.tree(number) else {
                continue;
            };
            let found = cells.by_tree.entry(tree).or_default();
            version.with_page(number, |page| {
                for cell in &page.cells {
                    let payload = version.payload(cell, |number| {
                        cells.overflow += 1;
                        owners.claim_overflow(number)
                    })?;
                    // The keys of a table's inner pages are copies.
                    if page.kind.is_leaf || !page.kind.is_table {
                        found.push((cell.row, payload.into_owned()));
                    }
                }
                Ok(())
            })?;
        }
        Ok(cells)
    }

    fn of(&mut self, tree: Option<usize>) -> Vec<(i64, Vec<u8>)> {
        let cells = tree.and_then(|tree| self.by_tree.remove(&tree));
        cells.unwrap_or_default()
    }
}

/// Rows that only one version has.
pub(super) struct Rows {
    pub(super) removed: Vec<(i64, Vec<u8>)>,
    pub(super) added: Vec<(i64, Vec<u8>)>,
}

impl Rows {
    /// Compares two versions of a table, which is tree number `old` and `new`.
    pub(super) fn between(
        (old, old_cells): (Option<usize>, &mut Cells),
        (new, new_cells): (usize, &mut Cells),
    ) -> Self {
        let mut removed: HashMap<i64, Vec<u8>> = old_cells.of(old).into_iter().collect();
        let mut added = new_cells.of(Some(new));
        // What is only in another page now has not changed.
        added.retain(|(row, record)| match removed.get(row) {
            Some(before) if before == record => {
                removed.remove(row);
                false
            }
            _ => true,
        });
        let removed = removed.into_iter().collect();
        Self { removed, added }
    }
}

/// Entries of an index, by how often the new version has them more often than the old one.
#[derive(Default)]
pub(super) struct Entries(HashMap<Vec<u8>, i64>);

impl Entries {
    /// Compares two versions of an index.
    pub(super) fn between(
        (old, old_cells): (Option<usize>, &mut Cells),
        (new, new_cells): (usize, &mut Cells),
    ) -> Option<Self> {
        let mut entries = Self::default();
        for (cells, times) in [(old_cells.of(old), -1), (new_cells.of(Some(new)), 1)] {
            for (_, record) in cells {
                entries.add(&values(&record)?, times);
            }
        }
        Some(entries)
    }

    /// Adds an entry so many times.
    pub(super) fn add(&mut self, values: &[Value<'_>], times: i64) {
        let mut bytes = Vec::new();
        for value in values {
            value.write(&mut bytes);
        }
        *self.0.entry(bytes).or_default() += times;
    }

    /// Returns whether both versions have the same entries, after those of all rows were taken out.
    pub(super) fn cancel_out(&self) -> bool {
        self.0.values().all(|times| *times == 0)
    }
}
