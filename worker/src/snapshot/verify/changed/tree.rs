//! Finds which b-tree each page belongs to, without reading leaves that have not changed.

use std::collections::HashSet;

use crate::snapshot::verify::{
    error::VerifyError,
    pages::{Owners, Page, Value, Version, values, wrong},
};

/// Walks trees of one version.
pub(super) struct Walk<'w> {
    pub(super) version: &'w Version<'w>,
    /// The pages that are read and checked, whatever they are.
    pub(super) changed: &'w HashSet<u32>,
    pub(super) owners: &'w Owners,
    /// Whether the keys of the tree are in the order of their values.
    pub(super) is_ordered: bool,
}

/// The keys between which those of a page have to be: the first excluded, the last included.
type Bounds = (Option<Key>, Option<Key>);

#[derive(Clone, PartialEq)]
enum Key {
    Row(i64),
    Entry(Vec<u8>),
}

impl Walk<'_> {
    /// Records every page of the tree number `tree` below `root`. In the changed pages, and below changed inner ones,
    /// checks the order of the keys, if they are simply ordered.
    ///
    /// # Errors
    /// What is wrong with the tree.
    pub(super) fn tree(
        &mut self,
        tree: usize,
        root: u32,
        is_ordered: bool,
    ) -> Result<(), VerifyError> {
        self.is_ordered = is_ordered;
        let (mut depth, mut page) = (0, root);
        let is_table = self
            .version
            .with_page(root, |page| Ok(page.kind.is_table))?;
        while let Some(below) = self
            .version
            .with_page(page, |page| Ok(page.children().next()))?
        {
            depth += 1;
            page = below;
            if depth > 64 {
                return Err(wrong(root, "a tree that is too deep"));
            }
        }
        self.page(tree, root, (is_table, depth), (None, None), true)
    }

    fn page(
        &mut self,
        tree: usize,
        number: u32,
        (is_table, depth): (bool, u32),
        bounds: Bounds,
        is_below_changed: bool,
    ) -> Result<(), VerifyError> {
        self.owners.claim_for(number, tree)?;
        let has_changed = self.changed.contains(&number);
        if depth == 0 && !has_changed && !is_below_changed {
            return Ok(());
        }
        let version = self.version;
        let bytes = version.read(number)?;
        let page = Page::parse(number, &bytes).map_err(VerifyError::Integrity)?;
        if page.kind.is_table != is_table || page.kind.is_leaf != (depth == 0) {
            return Err(wrong(number, "a page of another kind"));
        }
        let mut keys = Vec::new();
        if self.is_ordered && (has_changed || is_below_changed) {
            keys = self.keys(number, &page, bounds.clone())?;
        }
        for (place, child) in page.children().enumerate() {
            let bounds = match has_changed && self.is_ordered {
                true => {
                    let low = match place {
                        0 => bounds.0.clone(),
                        _ => Some(keys[place - 1].clone()),
                    };
                    (low, keys.get(place).cloned().or_else(|| bounds.1.clone()))
                }
                false => (None, None),
            };
            self.page(tree, child, (is_table, depth - 1), bounds, has_changed)?;
        }
        Ok(())
    }

    /// Returns the keys of a page, which are in order and within these bounds.
    fn keys(
        &self,
        number: u32,
        page: &Page<'_>,
        (low, high): Bounds,
    ) -> Result<Vec<Key>, VerifyError> {
        let mut keys = Vec::with_capacity(page.cells.len());
        for cell in &page.cells {
            keys.push(match page.kind.is_table {
                true => Key::Row(cell.row),
                false => Key::Entry(self.version.payload(cell, |_| Ok(()))?.into_owned()),
            });
        }
        let mut previous = low.as_ref();
        for key in &keys {
            if !previous.is_none_or(|previous| previous < key) {
                return Err(wrong(number, "keys out of order"));
            }
            previous = Some(key);
        }
        // A row with the key of an inner page is to its left, and an entry is not below it.
        let is_within = match (previous, &high) {
            (Some(last), Some(high)) => last < high || (page.kind.is_table && last == high),
            _ => true,
        };
        if !is_within {
            return Err(wrong(number, "keys beyond those above it"));
        }
        Ok(keys)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Row(a), Self::Row(b)) => a.partial_cmp(b),
            (Self::Entry(a), Self::Entry(b)) => {
                let (a, b) = (values(a)?, values(b)?);
                let pairs = a.iter().zip(&b);
                let order = pairs.map(|(a, b): (&Value<'_>, &Value<'_>)| a.order(*b));
                let differs = order.into_iter().find(|order| order.is_ne());
                differs.or_else(|| a.len().partial_cmp(&b.len()))
            }
            _ => None,
        }
    }
}
