//! Builds the inner pages of a b-tree above its leaves.

use std::io;

use super::{
    file::PageFile,
    page::{Kind, PageBuilder},
};

/// The pages of one level, from left to right, and what stands between each and the next.
#[derive(Default)]
pub(super) struct Level {
    pages: Vec<u32>,
    /// What stands after each page, as in the cell of an inner page; nothing after the last one.
    dividers: Vec<u8>,
    /// Where the divider after each page ends.
    ends: Vec<usize>,
}

impl Level {
    pub(super) fn push(&mut self, page: u32, divider: &[u8]) {
        self.pages.push(page);
        self.dividers.extend_from_slice(divider);
        self.ends.push(self.dividers.len());
    }

    fn divider(&self, page: usize) -> &[u8] {
        let start = page.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.dividers[start..self.ends[page]]
    }

    /// Writes the inner pages above, the last one of them to `root`.
    pub(super) fn build(mut self, file: &mut PageFile, kind: Kind, root: u32) -> io::Result<()> {
        if let [leaf] = self.pages[..] {
            // An inner page has at least one cell.
            let mut page = vec![0; file.page_bytes()];
            file.read(leaf, &mut page)?;
            file.free(leaf);
            return file.put(root, &page);
        }
        let mut page = PageBuilder::new(kind, file.page_bytes());
        loop {
            let mut above = Self::default();
            let count = self.pages.len();
            let mut next = 0;
            while next < count {
                page.reset();
                let mut right = next;
                while right + 1 < count && page.fits(4 + self.divider(right).len()) {
                    page.push(&[&self.pages[right].to_be_bytes(), self.divider(right)]);
                    right += 1;
                }
                if right + 2 == count {
                    // One page alone would be left, for an inner page without a cell.
                    page.pop();
                    right -= 1;
                }
                let bytes = page.finish(Some(self.pages[right]));
                if next == 0 && right + 1 == count {
                    return file.put(root, bytes);
                }
                above.push(file.append(bytes)?, self.divider(right));
                next = right + 1;
            }
            self = above;
        }
    }
}
