//! Fills one page of a b-tree.
//!
//! (<https://www.sqlite.org/fileformat2.html#b_tree_pages>)

/// Which tree a page belongs to, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    InnerOfIndex = 0x02,
    InnerOfTable = 0x05,
    LeafOfIndex = 0x0a,
    LeafOfTable = 0x0d,
}

impl Kind {
    fn header(self) -> usize {
        match self {
            Self::InnerOfIndex | Self::InnerOfTable => 12,
            Self::LeafOfIndex | Self::LeafOfTable => 8,
        }
    }
}

/// A page that is being filled, with cells in their order.
pub(super) struct PageBuilder {
    kind: Kind,
    bytes: Vec<u8>,
    count: usize,
    /// Where the last cell begins: cells are written from the end of the page.
    start: usize,
}

impl PageBuilder {
    pub(super) fn new(kind: Kind, page_bytes: usize) -> Self {
        Self {
            kind,
            bytes: vec![0; page_bytes],
            count: 0,
            start: page_bytes,
        }
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns whether there is room for one more cell of so many bytes.
    pub(super) fn fits(&self, cell: usize) -> bool {
        self.pointer(self.count + 1) + cell <= self.start
    }

    /// Adds a cell that [fits](Self::fits), in its parts.
    pub(super) fn push(&mut self, parts: &[&[u8]]) {
        let end = self.start;
        self.start -= parts.iter().map(|part| part.len()).sum::<usize>();
        let mut at = self.start;
        for part in parts {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        debug_assert_eq!(at, end);
        let pointer = self.pointer(self.count);
        self.bytes[pointer..pointer + 2].copy_from_slice(&(self.start as u16).to_be_bytes());
        self.count += 1;
    }

    /// Takes out the last cell.
    pub(super) fn pop(&mut self) -> Vec<u8> {
        let end = match self.count {
            0 | 1 => self.bytes.len(),
            _ => self.cell(self.count - 2),
        };
        let cell = self.bytes[self.start..end].to_vec();
        self.start = end;
        self.count -= 1;
        cell
    }

    /// Returns the finished page; `right` is the page to the right of all cells, of an inner page.
    pub(super) fn finish(&mut self, right: Option<u32>) -> &[u8] {
        let pointers = self.pointer(self.count);
        // What an earlier page had here.
        self.bytes[pointers..self.start].fill(0);
        self.bytes[0] = self.kind as u8;
        // No free blocks.
        self.bytes[1..3].fill(0);
        self.bytes[3..5].copy_from_slice(&(self.count as u16).to_be_bytes());
        // 0 stands for 65,536.
        self.bytes[5..7].copy_from_slice(&(self.start as u16).to_be_bytes());
        // No fragments.
        self.bytes[7] = 0;
        if let Some(right) = right {
            self.bytes[8..12].copy_from_slice(&right.to_be_bytes());
        }
        &self.bytes
    }

    /// Empties it.
    pub(super) fn reset(&mut self) {
        self.count = 0;
        self.start = self.bytes.len();
    }

    fn pointer(&self, cell: usize) -> usize {
        self.kind.header() + 2 * cell
    }

    fn cell(&self, cell: usize) -> usize {
        let pointer = self.pointer(cell);
        usize::from(u16::from_be_bytes([
            self.bytes[pointer],
            self.bytes[pointer + 1],
        ]))
    }
}
