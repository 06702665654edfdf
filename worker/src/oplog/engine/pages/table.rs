//! Writes the b-tree of a table, in the order of its row ids.

use std::io;

use super::{
    file::{PageFile, number},
    format::{VARINT_BYTES, local_bytes, varint, write_varint},
    levels::Level,
    page::{Kind, PageBuilder},
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
        first: i64,
        is_removed: impl Fn(i64) -> bool,
    ) -> io::Result<()> {
        if !self.leaf.is_empty() {
            self.close_leaf(file)?;
        }
        // Leaves become fewer, so that each is written over one that was read.
        let kept = self.leaves.partition_point(|leaf| leaf.last_row < first);
        let old = self.leaves.split_off(kept);
        let mut page = vec![0; file.page_bytes()];
        let mut written = 0;
        for leaf in &old {
            file.read(leaf.page, &mut page)?;
            for cell in cells(&page)? {
                if is_removed(cell.row) {
                    if let Some(overflow) = cell.overflow {
                        file.free_overflow(overflow)?;
                    }
                    continue;
                }
                if !self.leaf.fits(cell.bytes.len()) {
                    self.write_leaf(file, old[written])?;
                    written += 1;
                }
                self.leaf.push(&[cell.bytes]);
                self.last_row = cell.row;
            }
        }
        if !self.leaf.is_empty() {
            self.write_leaf(file, old[written])?;
            written += 1;
        }
        // The first of them is used next.
        old[written..]
            .iter()
            .rev()
            .for_each(|leaf| file.free(leaf.page));
        Ok(())
    }

    /// Forgets all rows.
    pub(in super::super) fn discard(&mut self, file: &mut PageFile) -> io::Result<()> {
        self.remove(file, i64::MIN, |_| true)
    }

    /// Completes the tree.
    pub(in super::super) fn finish(&mut self, file: &mut PageFile) -> io::Result<()> {
        if self.leaves.is_empty() {
            return file.put(self.root, self.leaf.finish(None));
        }
        if !self.leaf.is_empty() {
            self.close_leaf(file)?;
        }
        let mut level = Level::default();
        for leaf in &self.leaves {
            self.head.clear();
            write_varint(&mut self.head, leaf.last_row.cast_unsigned());
            level.push(leaf.page, &self.head);
        }
        level.build(file, Kind::InnerOfTable, self.root)
    }

    fn close_leaf(&mut self, file: &mut PageFile) -> io::Result<()> {
        let page = file.append(self.leaf.finish(None))?;
        self.closed(page);
        Ok(())
    }

    fn write_leaf(&mut self, file: &mut PageFile, to: Leaf) -> io::Result<()> {
        file.put(to.page, self.leaf.finish(None))?;
        self.closed(to.page);
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
