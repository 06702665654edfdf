//! Which tree each page belongs to.

use std::sync::atomic::{AtomicU16, Ordering};

use super::version::{Version, wrong};
use crate::snapshot::verify::error::VerifyError;

/// The owner of a page that is free.
const FREE: u16 = u16::MAX;

/// The owner of a page with a part of a large row.
const OVERFLOW: u16 = u16::MAX - 1;

/// Which tree each page belongs to, by its number. No page belongs to two.
pub(in super::super) struct Owners(Vec<AtomicU16>);

impl Owners {
    pub(in super::super) fn of(count: u32) -> Self {
        Self((0..=count).map(|_| AtomicU16::new(0)).collect())
    }

    fn claim(&self, page: u32, owner: u16) -> Result<(), VerifyError> {
        let Some(place) = self.0.get(page as usize).filter(|_| page > 0) else {
            return Err(wrong(page, "there is no such page"));
        };
        let order = Ordering::Relaxed;
        let claimed = place.compare_exchange(0, owner, order, order);
        claimed.map_err(|_| wrong(page, "it is used twice"))?;
        Ok(())
    }

    /// Records a page of the tree with this number.
    pub(in super::super) fn claim_for(&self, page: u32, tree: usize) -> Result<(), VerifyError> {
        let owner = u16::try_from(tree + 1)
            .ok()
            .filter(|owner| *owner < OVERFLOW);
        let owner = owner.ok_or_else(|| wrong(page, "too many tables"))?;
        self.claim(page, owner)
    }

    /// Records a page with a part of a large row.
    pub(in super::super) fn claim_overflow(&self, page: u32) -> Result<(), VerifyError> {
        self.claim(page, OVERFLOW)
    }

    /// Records every page of the list of free ones.
    pub(in super::super) fn claim_free(&self, version: &Version<'_>) -> Result<(), VerifyError> {
        let (mut trunk, count) = version.free()?;
        let mut found = 0;
        while trunk != 0 {
            self.claim(trunk, FREE)?;
            let page = version.read(trunk)?;
            let numbers = page.as_chunks::<4>().0.iter();
            let mut numbers = numbers.map(|four| u32::from_be_bytes(*four));
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

    fn owner(&self, page: u32) -> u16 {
        self.0[page as usize].load(Ordering::Relaxed)
    }

    /// Returns the tree that a page belongs to; `None` for one that is free, part of a row, or not known.
    pub(in super::super) fn tree(&self, page: u32) -> Option<usize> {
        match self.owner(page) {
            0 | FREE | OVERFLOW => None,
            owner => Some(usize::from(owner) - 1),
        }
    }

    /// Returns whether it is known what a page is for.
    pub(in super::super) fn knows(&self, page: u32) -> bool {
        self.owner(page) != 0
    }

    /// Returns how many pages belong to a tree or are free.
    pub(in super::super) fn known(&self) -> u64 {
        let owners = self.0.iter().map(|owner| owner.load(Ordering::Relaxed));
        owners
            .filter(|owner| *owner != 0 && *owner != OVERFLOW)
            .count() as u64
    }
}
