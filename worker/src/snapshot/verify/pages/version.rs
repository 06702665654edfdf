//! The pages of a file as they are, or as they were in its base.

use std::{borrow::Cow, collections::HashSet, fs::File, os::unix::fs::FileExt};

use super::page::{Cell, Page, u32_at};
use crate::snapshot::{
    before::{Before, start_of},
    stop::Stop,
    verify::error::VerifyError,
};

/// SQLite locks this byte of a file, whose page is never used.
const LOCKED_BYTE: u64 = 0x4000_0000;

/// Where the header of a database has the size of its pages, the bytes of each that are reserved, the number of pages, the
/// first of the list of free ones, how many these are, the largest root page if pages move by themselves, and the encoding.
const SIZE_AT: usize = 16;
const RESERVED_AT: usize = 20;
const COUNT_AT: usize = 28;
const FREE_AT: usize = 32;
const FREE_COUNT_AT: usize = 36;
const VACUUM_AT: usize = 52;
const ENCODING_AT: usize = 56;

const HEADER_BYTES: usize = 100;

/// The encoding of texts that every client uses.
const UTF_8: u32 = 1;

/// One version of a file.
pub(in super::super) struct Version<'f> {
    file: &'f File,
    page_bytes: usize,
    /// How many pages it has.
    pub(in super::super) count: u32,
    /// The pages that were other ones in this version.
    before: Option<&'f Before>,
    /// Asked before each page.
    stop: &'f Stop,
}

impl<'f> Version<'f> {
    /// Returns the file as it is; `None` if it is none that Seedbed makes, but perhaps sound.
    pub(in super::super) fn of(
        file: &'f File,
        stop: &'f Stop,
    ) -> Result<Option<Self>, VerifyError> {
        let mut header = [0; HEADER_BYTES];
        let bytes = file.metadata().map_err(VerifyError::Read)?.len();
        if bytes < header.len() as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)
            .map_err(VerifyError::Read)?;
        let page_bytes = usize::from(header[SIZE_AT]) << 8 | usize::from(header[SIZE_AT + 1]);
        let number = |at| u32_at(&header, at).unwrap_or(0);
        let count = number(COUNT_AT);
        let is_plain = page_bytes.is_power_of_two()
            && page_bytes >= 512
            && header[RESERVED_AT] == 0
            && number(VACUUM_AT) == 0
            && number(ENCODING_AT) == UTF_8
            && u64::from(count) * page_bytes as u64 == bytes;
        Ok(is_plain.then_some(Self {
            file,
            page_bytes,
            count,
            before: None,
            stop,
        }))
    }

    /// Returns what the file was; `None` if it was not made of that by changing some of its pages.
    pub(in super::super) fn as_it_was(&self, before: &'f Before) -> Option<Self> {
        let fits = before.page_bytes() == self.page_bytes && before.count() <= self.count;
        fits.then_some(Self {
            file: self.file,
            page_bytes: self.page_bytes,
            count: before.count(),
            before: Some(before),
            stop: self.stop,
        })
    }

    /// Returns a page.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or the job was abandoned.
    pub(in super::super) fn read(&self, number: u32) -> Result<Cow<'f, [u8]>, VerifyError> {
        if self.stop.is_set() {
            return Err(VerifyError::Abandoned);
        }
        if number == 0 || number > self.count {
            return Err(wrong(number, "there is no such page"));
        }
        if let Some(image) = self.before.and_then(|before| before.image(number)) {
            return Ok(Cow::Borrowed(image));
        }
        let mut page = vec![0; self.page_bytes];
        self.file
            .read_exact_at(&mut page, start_of(number, self.page_bytes))
            .map_err(VerifyError::Read)?;
        Ok(Cow::Owned(page))
    }

    /// Returns the pages that this version does not have in the same form as it was `before`.
    pub(in super::super) fn changed(&self, before: &Before) -> HashSet<u32> {
        let new = before.count() + 1..=self.count;
        before.written().chain(new).collect()
    }

    /// Returns the page that is never used.
    pub(in super::super) fn locked(&self) -> u32 {
        u32::try_from(LOCKED_BYTE / self.page_bytes as u64 + 1).unwrap_or(u32::MAX)
    }

    /// Returns the number of pages that hold anything or are free.
    pub(in super::super) fn usable(&self) -> u64 {
        u64::from(self.count) - u64::from(self.locked() <= self.count)
    }

    /// Returns the first page of the list of free pages, and how many are free.
    pub(super) fn free(&self) -> Result<(u32, u32), VerifyError> {
        let header = self.read(1)?;
        let first = u32_at(&header, FREE_AT).unwrap_or(0);
        Ok((first, u32_at(&header, FREE_COUNT_AT).unwrap_or(0)))
    }

    /// Returns the whole payload of a cell, and calls `overflow` with each page that has a part of it.
    pub(in super::super) fn payload<'c>(
        &self,
        cell: &Cell<'c>,
        mut overflow: impl FnMut(u32) -> Result<(), VerifyError>,
    ) -> Result<Cow<'c, [u8]>, VerifyError> {
        let Some(first) = cell.overflow else {
            return Ok(Cow::Borrowed(cell.local));
        };
        // No more than the file has, whatever the cell says.
        let most = self.count as usize * self.page_bytes;
        if cell.bytes > most {
            return Err(wrong(first, "a row that is too long"));
        }
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
    pub(in super::super) fn with_page<T>(
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
pub(in super::super) fn wrong(number: u32, what: &str) -> VerifyError {
    VerifyError::Integrity(format!("page {number}: {what}"))
}
