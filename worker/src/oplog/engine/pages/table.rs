//! Writes the b-tree of a table, in the order of its row ids.

use std::{collections::VecDeque, io};

use super::{
    file::{PageFile, number},
    format::{VARINT_BYTES, local_bytes, varint, write_varint},
    levels::Levels,
    page::{Kind, PageBuilder},
    row_set::RowSet,
};

/// Where a leaf has its count of cells, and where their places begin.
const COUNT_AT: usize = 3;
const PLACES_AT: usize = 8;

/// The tree of a table whose rows are being appended.
pub(in super::super) struct Table {
    root: u32,
    leaf: PageBuilder,
    leaves: Vec<Leaf>,
    last_row: i64,
    head: Vec<u8>,
}

/// A leaf that is written.
#[derive(Clone, Copy)]
struct Leaf {
    page: u32,
    last_row: i64,
}

impl Table {
    /// Begins to fill a table that is empty.
    pub(in super::super) fn new(root: u32, page_bytes: usize) -> Self {
        Self {
            root,
            leaf: PageBuilder::new(Kind::LeafOfTable, page_bytes),
            leaves: Vec::new(),
            last_row: 0,
            head: Vec::with_capacity(2 * VARINT_BYTES),
        }
    }

    /// Appends a row, whose id is higher than all before.
    pub(in super::super) fn append(
        &mut self,
        file: &mut PageFile,
        row: i64,
        record: &[u8],
    ) -> io::Result<()> {
        self.head.clear();
        write_varint(&mut self.head, record.len() as u64);
        write_varint(&mut self.head, row.cast_unsigned());
        let local = local_bytes(true, self.leaf.size(), record.len());
        let (local, rest) = record.split_at(local);
        let overflow = match rest {
            [] => None,
            rest => Some(file.append_overflow(rest)?.to_be_bytes()),
        };
        let overflow = overflow.as_ref().map_or(&[][..], |page| &page[..]);
        if !self
            .leaf
            .fits(self.head.len() + local.len() + overflow.len())
        {
            self.close_leaf(file)?;
        }
        self.leaf.push(&[&self.head, local, overflow]);
        self.last_row = row;
        Ok(())
    }

    /// Removes rows, and closes the gaps.
    pub(in super::super) fn remove(
        &mut self,
        file: &mut PageFile,
        removed: &RowSet,
    ) -> io::Result<()> {
        if !self.leaf.is_empty() {
            self.close_leaf(file)?;
        }
        // Leaves become fewer, so that each is written over one that was read.
        let old = std::mem::take(&mut self.leaves);
        let mut free = VecDeque::new();
        let mut page = vec![0; file.page_bytes()];
        let mut first = 0;
        for leaf in old {
            let rows = first..=leaf.last_row;
            first = leaf.last_row + 1;
            let is_moved = !(self.leaf.is_empty() && free.is_empty());
            if !is_moved && !removed.has_any(rows) {
                self.leaves.push(leaf);
                continue;
            }
            file.read(leaf.page, &mut page)?;
            free.push_back(leaf.page);
            for cell in cells(&page)? {
                if removed.contains(cell.row) {
                    if let Some(overflow) = cell.overflow {
                        file.free_overflow(overflow)?;
                    }
                    continue;
                }
                if !self.leaf.fits(cell.bytes.len()) {
                    self.write_leaf(file, &mut free)?;
                }
                self.leaf.push(&[cell.bytes]);
                self.last_row = cell.row;
            }
        }
        if !self.leaf.is_empty() {
            self.write_leaf(file, &mut free)?;
        }
        free.into_iter().for_each(|page| file.free(page));
        Ok(())
    }

    /// Forgets all rows.
    pub(in super::super) fn discard(&mut self, file: &mut PageFile) -> io::Result<()> {
        if !self.leaf.is_empty() {
            self.close_leaf(file)?;
        }
        let mut page = vec![0; file.page_bytes()];
        for leaf in std::mem::take(&mut self.leaves) {
            file.read(leaf.page, &mut page)?;
            for cell in cells(&page)? {
                if let Some(overflow) = cell.overflow {
                    file.free_overflow(overflow)?;
                }
            }
            file.free(leaf.page);
        }
        Ok(())
    }

    /// Completes the tree.
    pub(in super::super) fn finish(&mut self, file: &mut PageFile) -> io::Result<()> {
        if self.leaves.is_empty() {
            return file.put(self.root, self.leaf.finish(None));
        }
        if !self.leaf.is_empty() {
            self.close_leaf(file)?;
        }
        let mut levels = Levels::new(Kind::InnerOfTable, file.page_bytes());
        for leaf in &self.leaves {
            self.head.clear();
            write_varint(&mut self.head, leaf.last_row.cast_unsigned());
            levels.push(file, leaf.page, &self.head)?;
        }
        levels.finish(file, self.root)
    }

    fn close_leaf(&mut self, file: &mut PageFile) -> io::Result<()> {
        let page = file.append(self.leaf.finish(None))?;
        self.closed(page);
        Ok(())
    }

    /// Writes the leaf over the first of the pages whose rows were read.
    fn write_leaf(&mut self, file: &mut PageFile, read: &mut VecDeque<u32>) -> io::Result<()> {
        let page = read
            .pop_front()
            .ok_or_else(|| io::Error::other("rows do not fit where they were"))?;
        file.put(page, self.leaf.finish(None))?;
        self.closed(page);
        Ok(())
    }

    fn closed(&mut self, page: u32) {
        self.leaves.push(Leaf {
            page,
            last_row: self.last_row,
        });
        self.leaf.reset();
    }
}

/// A cell of a leaf.
struct Cell<'p> {
    row: i64,
    bytes: &'p [u8],
    overflow: Option<u32>,
}

/// Reads the cells of a leaf that was written here.
fn cells(page: &[u8]) -> io::Result<Vec<Cell<'_>>> {
    let two = |at: usize| usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
    let cells = (0..two(COUNT_AT)).map(|cell| Cell::read(page, two(PLACES_AT + 2 * cell)));
    let cells: Option<Vec<_>> = cells.collect();
    cells.ok_or_else(|| io::Error::other("a page is not as it was written"))
}

impl<'p> Cell<'p> {
    fn read(page: &'p [u8], start: usize) -> Option<Self> {
        let mut at = start;
        let payload = usize::try_from(varint(page, &mut at)?).ok()?;
        let row = varint(page, &mut at)?.cast_signed();
        let local = local_bytes(true, page.len(), payload);
        at += local;
        let mut overflow = None;
        if local < payload {
            page.get(at..at + 4)?;
            overflow = Some(number(page, at));
            at += 4;
        }
        Some(Self {
            row,
            bytes: page.get(start..at)?,
            overflow,
        })
    }
}
