//! Writes the inner pages of a b-tree above its leaves, while these are written.

use std::io;

use super::{
    file::PageFile,
    page::{Kind, PageBuilder},
};

/// The inner pages that are being filled: two of each level.
pub(super) struct Levels {
    kind: Kind,
    page_bytes: usize,
    levels: Vec<Level>,
}

struct Level {
    open: PageBuilder,
    /// The page before it, which may have to give a cell, since no inner page is without one.
    full: Option<Full>,
    /// The last page below, and what stands between it and the next one.
    last: Option<(u32, Vec<u8>)>,
}

/// A page that is full, the page to the right of its cells, and what stands between it and the next one.
struct Full {
    page: PageBuilder,
    right: u32,
    divider: Vec<u8>,
}

impl Levels {
    pub(super) fn new(kind: Kind, page_bytes: usize) -> Self {
        Self {
            kind,
            page_bytes,
            levels: Vec::new(),
        }
    }

    /// Adds the next leaf, and what stands between it and the one after it, as in the cell of an inner page; nothing after the
    /// last one.
    pub(super) fn push(
        &mut self,
        file: &mut PageFile,
        leaf: u32,
        divider: &[u8],
    ) -> io::Result<()> {
        self.push_at(file, 0, leaf, divider)
    }

    fn push_at(
        &mut self,
        file: &mut PageFile,
        level: usize,
        page: u32,
        divider: &[u8],
    ) -> io::Result<()> {
        if level == self.levels.len() {
            self.levels.push(Level {
                open: PageBuilder::new(self.kind, self.page_bytes),
                full: None,
                last: None,
            });
        }
        let this = &mut self.levels[level];
        let Some((right, before)) = this.last.replace((page, divider.to_owned())) else {
            return Ok(());
        };
        if this.open.fits(size_of_val(&right) + before.len()) {
            this.open.push(&[&right.to_be_bytes(), &before]);
            return self.write_full(file, level);
        }
        let empty = PageBuilder::new(self.kind, self.page_bytes);
        this.full = Some(Full {
            page: std::mem::replace(&mut this.open, empty),
            right,
            divider: before,
        });
        Ok(())
    }

    /// Writes the page before the open one, if there is one.
    fn write_full(&mut self, file: &mut PageFile, level: usize) -> io::Result<()> {
        let Some(mut full) = self.levels[level].full.take() else {
            return Ok(());
        };
        let page = file.append(full.page.finish(Some(full.right)))?;
        self.push_at(file, level + 1, page, &full.divider)
    }

    /// Completes the tree.
    pub(super) fn finish(mut self, file: &mut PageFile, root: u32) -> io::Result<()> {
        let mut level = 0;
        while let Some(this) = self.levels.get_mut(level)
            && let Some((last, _)) = this.last.take()
        {
            if this.open.is_empty() {
                let Some(full) = &mut this.full else {
                    return move_leaf(file, last, root);
                };
                this.open.push(&[&full.right.to_be_bytes(), &full.divider]);
                let cell = full.page.pop();
                let (right, divider) = cell.split_at(size_of_val(&full.right));
                full.right = u32::from_be_bytes([right[0], right[1], right[2], right[3]]);
                full.divider = divider.to_owned();
            }
            self.write_full(file, level)?;
            let is_top = level + 1 == self.levels.len();
            let page = self.levels[level].open.finish(Some(last));
            if is_top {
                return file.put(root, page);
            }
            let page = file.append(page)?;
            level += 1;
            self.push_at(file, level, page, &[])?;
        }
        Ok(())
    }
}

/// Makes the only leaf the root.
fn move_leaf(file: &mut PageFile, leaf: u32, root: u32) -> io::Result<()> {
    let mut page = vec![0; file.page_bytes()];
    file.read(leaf, &mut page)?;
    file.free(leaf);
    file.put(root, &page)
}
