//! A database's file, to which pages are appended while SQLite does not own it.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

/// SQLite locks this byte of a file, whose page is never used.
const LOCKED_BYTE: u64 = 0x4000_0000;

const HEADER_BYTES: usize = 100;

/// Where the header has the size of pages, the bytes of each that are reserved, the counter of changes, the number of pages, the
/// first page of the list of free ones, how many these are, the largest root page if pages move by themselves, and the counter
/// of changes for which the number of pages is valid.
const SIZE_AT: usize = 16;
const RESERVED_AT: usize = 20;
const CHANGES_AT: usize = 24;
const COUNT_AT: usize = 28;
const FREE_AT: usize = 32;
const FREE_COUNT_AT: usize = 36;
const VACUUM_AT: usize = 52;
const VALID_FOR_AT: usize = 92;

/// How many bytes of new pages are written at once.
const WRITE_BYTES: usize = 512 << 10;

/// The file, while SQLite does not own it.
pub(in super::super) struct PageFile {
    file: File,
    page_bytes: usize,
    /// How many pages there are.
    count: u32,
    /// New pages that are not written yet, the last ones of the file.
    waiting: Vec<u8>,
    /// Pages that belong to no tree any more, and were a tree's that is written here.
    free: BTreeSet<u32>,
}

impl PageFile {
    /// Opens a database that SQLite owns; `None` if its pages have reserved bytes, or move by themselves.
    pub(in super::super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let header = header(&file)?;
        let page_bytes = match u16::from_be_bytes([header[SIZE_AT], header[SIZE_AT + 1]]) {
            1 => 1 << 16,
            size => usize::from(size),
        };
        let is_plain = header[RESERVED_AT] == 0 && number(&header, VACUUM_AT) == 0;
        Ok(is_plain.then(|| Self {
            file,
            page_bytes,
            count: number(&header, COUNT_AT),
            waiting: Vec::new(),
            free: BTreeSet::new(),
        }))
    }

    pub(in super::super) fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// Takes the file from SQLite, which has committed.
    pub(in super::super) fn take_back(&mut self) -> io::Result<()> {
        self.count = number(&header(&self.file)?, COUNT_AT);
        Ok(())
    }

    /// Hands the file to SQLite, which notices that it has changed when its next transaction begins.
    pub(in super::super) fn publish(&mut self) -> io::Result<()> {
        self.write_waiting()?;
        let mut header = header(&self.file)?;
        let changes = number(&header, CHANGES_AT).wrapping_add(1);
        set(&mut header, CHANGES_AT, changes);
        set(&mut header, VALID_FOR_AT, changes);
        set(&mut header, COUNT_AT, self.count);
        self.file.write_all_at(&header, 0)
    }

    /// Cuts off the pages at the end that belong to no tree any more, and leaves the others to SQLite, without what was in them.
    pub(in super::super) fn release_free(&mut self) -> io::Result<()> {
        if self.free.is_empty() {
            return Ok(());
        }
        self.write_waiting()?;
        while self.free.last() == Some(&self.count) || self.count == locked(self.page_bytes) {
            self.free.remove(&self.count);
            self.count -= 1;
        }
        self.file
            .set_len(start_of(self.count + 1, self.page_bytes))?;
        let mut header = header(&self.file)?;
        let free: Vec<u32> = std::mem::take(&mut self.free).into_iter().collect();
        let empty = vec![0; self.page_bytes];
        // A page of the list has the next one, and the numbers of free pages; SQLite leaves the last six places unused.
        for list in free.chunks(self.page_bytes / 4 - 7) {
            let (trunk, leaves) = (list[0], &list[1..]);
            let mut page = empty.clone();
            set(&mut page, 0, number(&header, FREE_AT));
            set(&mut page, 4, leaves.len() as u32);
            for (place, leaf) in leaves.iter().enumerate() {
                set(&mut page, 8 + 4 * place, *leaf);
                self.put(*leaf, &empty)?;
            }
            self.put(trunk, &page)?;
            set(&mut header, FREE_AT, trunk);
        }
        let count = number(&header, FREE_COUNT_AT) + free.len() as u32;
        set(&mut header, FREE_COUNT_AT, count);
        self.file.write_all_at(&header, 0)
    }

    /// Writes a new page, and returns its number.
    pub(super) fn append(&mut self, page: &[u8]) -> io::Result<u32> {
        let number = match self.free.pop_first() {
            Some(number) => number,
            None => number_after(self.count, self.page_bytes),
        };
        self.write(number, page)?;
        Ok(number)
    }

    /// Writes what of a payload is not in the page of its cell, and returns the first page of it.
    pub(super) fn append_overflow(&mut self, rest: &[u8]) -> io::Result<u32> {
        let parts = rest.chunks(self.page_bytes - 4);
        let mut last = self.count;
        let numbers = parts.clone().map(|_| {
            self.free.pop_first().unwrap_or_else(|| {
                last = number_after(last, self.page_bytes);
                last
            })
        });
        let numbers: Vec<u32> = numbers.collect();
        let mut page = vec![0; self.page_bytes];
        for (place, part) in parts.enumerate() {
            let next = numbers.get(place + 1);
            set(&mut page, 0, next.copied().unwrap_or(0));
            page[4..4 + part.len()].copy_from_slice(part);
            page[4 + part.len()..].fill(0);
            self.write(numbers[place], &page)?;
        }
        Ok(numbers[0])
    }

    /// Writes a page that is there, or the next one.
    fn write(&mut self, number: u32, page: &[u8]) -> io::Result<()> {
        if number <= self.count {
            return self.put(number, page);
        }
        if self.waiting.len() >= WRITE_BYTES {
            self.write_waiting()?;
        }
        // Empty, if the page that is locked is between.
        let skipped = (number - self.count - 1) as usize * self.page_bytes;
        self.waiting.resize(self.waiting.len() + skipped, 0);
        self.waiting.extend_from_slice(page);
        self.count = number;
        Ok(())
    }

    /// Writes a page that is there.
    pub(super) fn put(&mut self, number: u32, page: &[u8]) -> io::Result<()> {
        match self.place(number) {
            Place::Waiting(at) => self.waiting[at..at + page.len()].copy_from_slice(page),
            Place::Written(at) => self.file.write_all_at(page, at)?,
        }
        Ok(())
    }

    /// Reads a page.
    pub(super) fn read(&self, number: u32, page: &mut [u8]) -> io::Result<()> {
        match self.place(number) {
            Place::Waiting(at) => page.copy_from_slice(&self.waiting[at..at + page.len()]),
            Place::Written(at) => self.file.read_exact_at(page, at)?,
        }
        Ok(())
    }

    /// Takes a page that belongs to no tree any more.
    pub(super) fn free(&mut self, number: u32) {
        self.free.insert(number);
    }

    /// Takes the pages of what is not in the page of a cell, from the first one on.
    pub(super) fn free_overflow(&mut self, first: u32) -> io::Result<()> {
        let mut page = vec![0; self.page_bytes];
        let mut next = first;
        while next != 0 {
            self.read(next, &mut page)?;
            self.free(next);
            next = number(&page, 0);
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        let first = self.first_waiting();
        self.file
            .write_all_at(&self.waiting, start_of(first, self.page_bytes))?;
        self.waiting.clear();
        Ok(())
    }

    fn first_waiting(&self) -> u32 {
        self.count + 1 - (self.waiting.len() / self.page_bytes) as u32
    }

    fn place(&self, number: u32) -> Place {
        match number.checked_sub(self.first_waiting()) {
            Some(after) => Place::Waiting(after as usize * self.page_bytes),
            None => Place::Written(start_of(number, self.page_bytes)),
        }
    }
}

/// Where a page is.
enum Place {
    /// At this byte of what is not written yet.
    Waiting(usize),
    /// At this byte of the file.
    Written(u64),
}

/// Returns the number of the page that is never used.
fn locked(page_bytes: usize) -> u32 {
    (LOCKED_BYTE / page_bytes as u64) as u32 + 1
}

/// Returns the number of the next page that can be used.
fn number_after(number: u32, page_bytes: usize) -> u32 {
    match number + 1 == locked(page_bytes) {
        true => number + 2,
        false => number + 1,
    }
}

fn start_of(number: u32, page_bytes: usize) -> u64 {
    u64::from(number - 1) * page_bytes as u64
}

fn header(file: &File) -> io::Result<[u8; HEADER_BYTES]> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, 0)?;
    Ok(header)
}

pub(super) fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn set(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
}
