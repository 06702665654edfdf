//! Writes the b-tree of an index, in its order.

use std::{io, mem};

use super::{
    file::PageFile,
    format::{local_bytes, write_varint},
    levels::Levels,
    page::{Kind, PageBuilder},
};

/// The tree of an index whose entries are being appended.
pub(in super::super) struct Index {
    root: u32,
    leaf: PageBuilder,
    /// The last leaf that is full, and the entry between it and `leaf`: entries of a tree stand in inner pages as well.
    full: Option<(PageBuilder, Vec<u8>)>,
    levels: Levels,
    cell: Vec<u8>,
}

impl Index {
    /// Begins to fill an index that is empty.
    pub(in super::super) fn new(root: u32, page_bytes: usize) -> Self {
        Self {
            root,
            leaf: PageBuilder::new(Kind::LeafOfIndex, page_bytes),
            full: None,
            levels: Levels::new(Kind::InnerOfIndex, page_bytes),
            cell: Vec::new(),
        }
    }

    /// Appends an entry, which comes after all before.
    pub(in super::super) fn append(
        &mut self,
        file: &mut PageFile,
        record: &[u8],
    ) -> io::Result<()> {
        let local = local_bytes(false, self.leaf.size(), record.len());
        let (local, rest) = record.split_at(local);
        self.cell.clear();
        write_varint(&mut self.cell, record.len() as u64);
        self.cell.extend_from_slice(local);
        if !rest.is_empty() {
            let overflow = file.append_overflow(rest)?;
            self.cell.extend_from_slice(&overflow.to_be_bytes());
        }
        if self.leaf.fits(self.cell.len()) {
            self.leaf.push(&[&self.cell]);
            return Ok(());
        }
        let mut empty = match self.full.take() {
            Some((mut full, divider)) => {
                let page = file.append(full.finish(None))?;
                self.levels.push(file, page, &divider)?;
                full
            }
            None => PageBuilder::new(Kind::LeafOfIndex, self.leaf.size()),
        };
        empty.reset();
        let full = mem::replace(&mut self.leaf, empty);
        self.full = Some((full, self.cell.clone()));
        Ok(())
    }

    /// Completes the tree.
    pub(in super::super) fn finish(mut self, file: &mut PageFile) -> io::Result<()> {
        let Some((mut full, mut divider)) = self.full.take() else {
            return file.put(self.root, self.leaf.finish(None));
        };
        if self.leaf.is_empty() {
            // No leaf is empty: the entry goes there, and the one before it in its place.
            self.leaf.push(&[&divider]);
            divider = full.pop();
        }
        for (mut leaf, divider) in [(full, divider), (self.leaf, Vec::new())] {
            let page = file.append(leaf.finish(None))?;
            self.levels.push(file, page, &divider)?;
        }
        self.levels.finish(file, self.root)
    }
}
