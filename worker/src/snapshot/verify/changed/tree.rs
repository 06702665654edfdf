//! Finds which b-tree each page belongs to, without reading leaves that have not changed.

use std::collections::HashSet;

use super::{
    page::Page,
    record::{self, Value},
    version::{Version, wrong},
};
use crate::snapshot::verify::error::VerifyError;

/// The owner of a page that is free.
const FREE: u16 = u16::MAX;

/// The owner of a page with a part of a large row.
const OVERFLOW: u16 = u16::MAX - 1;

/// Which tree each page belongs to, by its number. No page belongs to two.
pub(super) struct Owners(Vec<u16>);

impl Owners {
    pub(super) fn of(count: u32) -> Self {
        Self(vec![0; count as usize + 1])
    }

    fn claim(&mut self, page: u32, owner: u16) -> Result<(), VerifyError> {
        match self.0.get_mut(page as usize) {
            Some(free) if *free == 0 && page > 0 => {
                *free = owner;
                Ok(())
            }
            Some(_) => Err(wrong(page, "it is used twice")),
            None => Err(wrong(page, "there is no such page")),
        }
    }

    /// Records a page with a part of a large row.
    pub(super) fn claim_overflow(&mut self, page: u32) -> Result<(), VerifyError> {
        self.claim(page, OVERFLOW)
    }

    /// Records every page of the list of free ones.
    pub(super) fn claim_free(&mut self, version: &Version<'_>) -> Result<(), VerifyError> {
        let (mut trunk, count) = version.free()?;
        let mut found = 0;
        while trunk != 0 {
            self.claim(trunk, FREE)?;
            let page = version.read(trunk)?;
            let mut numbers = page
                .as_chunks::<4>()
                .0
                .iter()
                .map(|four| u32::from_be_bytes(*four));
            let next = numbers.next().unwrap_or(0);
            let leaves = numbers.next().unwrap_or(0);
            if leaves as usize > page.len() / 4 - 2 {
                return Err(wrong(trunk, "a list of free pages that is too long"));
            }
            for leaf in numbers.take(leaves as usize) {
                self.claim(leaf, FREE)?;
            }
            found += 1 + leaves;
            trunk = next;
        }
        if found != count {
            return Err(wrong(1, "a wrong count of free pages"));
        }
        Ok(())
    }

    /// Returns the tree that a page belongs to; `None` for one that is free, part of a row, or not known.
    pub(super) fn tree(&self, page: u32) -> Option<usize> {
        match self.0[page as usize] {
            0 | FREE | OVERFLOW => None,
            owner => Some(usize::from(owner) - 1),
        }
    }

    /// Returns whether it is known what a page is for.
    pub(super) fn knows(&self, page: u32) -> bool {
        self.0[page as usize] != 0
    }

    /// Returns how many pages belong to a tree or are free.
    pub(super) fn known(&self) -> u64 {
        let used = self.0.iter();
        used.filter(|owner| **owner != 0 && **owner != OVERFLOW)
            .count() as u64
    }
}

/// Walks trees of one version.
pub(super) struct Walk<'w> {
    pub(super) version: &'w Version<'w>,
    /// The pages that are read and checked, whatever they are.
    pub(super) changed: &'w HashSet<u32>,
    pub(super) owners: &'w mut Owners,
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
        let owner = u16::try_from(tree + 1)
            .ok()
            .filter(|owner| *owner < OVERFLOW);
        let owner = owner.ok_or_else(|| wrong(root, "too many tables"))?;
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
        self.page(owner, root, (is_table, depth), (None, None), true)
    }

    fn page(
        &mut self,
        owner: u16,
        number: u32,
        (is_table, depth): (bool, u32),
        bounds: Bounds,
        is_below_changed: bool,
    ) -> Result<(), VerifyError> {
        self.owners.claim(number, owner)?;
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
            self.page(owner, child, (is_table, depth - 1), bounds, has_changed)?;
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
                let (a, b) = (record::values(a)?, record::values(b)?);
                let pairs = a.iter().zip(&b);
                let order = pairs.map(|(a, b): (&Value<'_>, &Value<'_>)| a.order(*b));
                let differs = order.into_iter().find(|order| order.is_ne());
                differs.or_else(|| a.len().partial_cmp(&b.len()))
            }
            _ => None,
        }
    }
}
