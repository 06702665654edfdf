//! The pages of a file as they are, and as they were in its base.

use std::{borrow::Cow, collections::HashSet, fs::File, os::unix::fs::FileExt};

use super::page::{Cell, Page, u32_at};
use crate::snapshot::{
    before::{Before, start_of},
    verify::error::VerifyError,
};

/// SQLite locks this byte of a file, whose page is never used.
const LOCKED_BYTE: u64 = 0x4000_0000;

/// Where the header of a database has the first page of the list of free ones, and how many they are.
const FREE_AT: usize = 32;
const FREE_COUNT_AT: usize = 36;

/// One version of the file.
pub(super) struct Version<'f> {
    pub(super) file: &'f File,
    pub(super) before: &'f Before,
    pub(super) is_old: bool,
    /// How many pages it has.
    pub(super) count: u32,
}

impl<'f> Version<'f> {
    pub(super) fn read(&self, number: u32) -> Result<Cow<'f, [u8]>, VerifyError> {
        if number == 0 || number > self.count {
            return Err(wrong(number, "there is no such page"));
        }
        if self.is_old
            && let Some(image) = self.before.image(number)
        {
            return Ok(Cow::Borrowed(image));
        }
        let mut page = vec![0; self.before.page_bytes()];
        let start = start_of(number, page.len());
        self.file
            .read_exact_at(&mut page, start)
            .map_err(VerifyError::Read)?;
        Ok(Cow::Owned(page))
    }

    /// Returns the pages that the other version does not have in the same form.
    pub(super) fn changed(&self) -> HashSet<u32> {
        let new = self.before.count() + 1..=self.count;
        self.before.written().chain(new).collect()
    }

    /// Returns the number of pages that hold anything or are free.
    pub(super) fn usable(&self) -> u64 {
        let locked = LOCKED_BYTE / self.before.page_bytes() as u64 + 1;
        let count = u64::from(self.count);
        count - u64::from(locked <= count)
    }

    /// Returns the first page of the list of free pages, and how many are free.
    pub(super) fn free(&self) -> Result<(u32, u32), VerifyError> {
        let header = self.read(1)?;
        let first = u32_at(&header, FREE_AT).unwrap_or(0);
        Ok((first, u32_at(&header, FREE_COUNT_AT).unwrap_or(0)))
    }

    /// Returns the whole payload of a cell, and calls `overflow` with each page that has a part of it.
    pub(super) fn payload<'c>(
        &self,
        cell: &Cell<'c>,
        mut overflow: impl FnMut(u32) -> Result<(), VerifyError>,
    ) -> Result<Cow<'c, [u8]>, VerifyError> {
        let Some(first) = cell.overflow else {
            return Ok(Cow::Borrowed(cell.local));
        };
        let mut payload = cell.local.to_vec();
        let mut next = first;
        while payload.len() < cell.bytes {
            overflow(next)?;
            let page = self.read(next)?;
            let part = (page.len() - 4).min(cell.bytes - payload.len());
            payload.extend_from_slice(&page[4..4 + part]);
            next = u32_at(&page, 0).unwrap_or(0);
        }
        match next {
            0 => Ok(Cow::Owned(payload)),
            _ => Err(wrong(first, "a row that does not end")),
        }
    }

    /// Reads a page of a b-tree, and calls `visit` with it.
    pub(super) fn with_page<T>(
        &self,
        number: u32,
        visit: impl FnOnce(&Page<'_>) -> Result<T, VerifyError>,
    ) -> Result<T, VerifyError> {
        let bytes = self.read(number)?;
        let page = Page::parse(number, &bytes).map_err(VerifyError::Integrity)?;
        visit(&page)
    }
}

/// Returns the error of a page.
pub(super) fn wrong(number: u32, what: &str) -> VerifyError {
    VerifyError::Integrity(format!("page {number}: {what}"))
}
