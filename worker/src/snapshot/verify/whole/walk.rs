//! Reads every page of a b-tree in the order of its keys.

use crate::snapshot::verify::{
    error::VerifyError,
    pages::{Owners, Page, Version, Visit, wrong},
};

/// No tree is so deep.
const MOST_LEVELS: u32 = 64;

/// A walk over one tree.
pub(super) struct Walk<'w> {
    version: &'w Version<'w>,
    owners: &'w Owners,
    tree: usize,
    is_table: bool,
    /// How deep the first leaf was; all others have to be as deep.
    depth: Option<u32>,
    /// The last row's id, of a table.
    last: Option<i64>,
}

impl<'w> Walk<'w> {
    /// Calls `visit` with the row's id, of a table, and the payload of everything in the tree, in its order.
    ///
    /// # Errors
    /// What is wrong with the tree, or what `visit` returns.
    pub(super) fn tree(
        version: &'w Version<'w>,
        owners: &'w Owners,
        (tree, root): (usize, u32),
        visit: &mut Visit<'_>,
    ) -> Result<(), VerifyError> {
        let mut walk = Self {
            version,
            owners,
            tree,
            is_table: version.with_page(root, |page| Ok(page.kind.is_table))?,
            depth: None,
            last: None,
        };
        walk.page(root, 0, visit)
    }

    fn page(&mut self, number: u32, level: u32, visit: &mut Visit<'_>) -> Result<(), VerifyError> {
        self.owners.claim_for(number, self.tree)?;
        let bytes = self.version.read(number)?;
        let page = Page::parse(number, &bytes).map_err(VerifyError::Integrity)?;
        if page.kind.is_table != self.is_table || level > MOST_LEVELS {
            return Err(wrong(number, "a page of another kind"));
        }
        if page.kind.is_leaf && *self.depth.get_or_insert(level) != level {
            return Err(wrong(number, "leaves that are not on one level"));
        }
        for cell in &page.cells {
            if let Some(child) = cell.child {
                self.page(child, level + 1, visit)?;
            }
            if self.is_table {
                // A row with the key of an inner page is to its left.
                let is_after = match page.kind.is_leaf {
                    true => self.last.is_none_or(|last| last < cell.row),
                    false => self.last.is_none_or(|last| last <= cell.row),
                };
                if !is_after {
                    return Err(wrong(number, "keys out of order"));
                }
                self.last = Some(cell.row);
                if !page.kind.is_leaf {
                    continue;
                }
            }
            let owners = self.owners;
            let payload = self
                .version
                .payload(cell, |number| owners.claim_overflow(number))?;
            visit(cell.row, &payload)?;
        }
        match page.right {
            Some(right) => self.page(right, level + 1, visit),
            None => Ok(()),
        }
    }
}
