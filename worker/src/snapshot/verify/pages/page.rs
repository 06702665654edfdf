//! Reads one page of a b-tree, and checks all that can be checked of it alone.
//!
//! (<https://www.sqlite.org/fileformat2.html#b_tree_pages>)

/// The bytes of the database's header, before the b-tree of the first page.
const DATABASE_HEADER: usize = 100;

/// A cell takes at least so many bytes, since it becomes a free block when it is deleted.
const SMALLEST_CELL: usize = 4;

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Kind {
    pub(in super::super) is_table: bool,
    pub(in super::super) is_leaf: bool,
}

/// A cell of a page.
#[derive(Debug)]
pub(in super::super) struct Cell<'p> {
    /// The page to its left, of an inner page.
    pub(in super::super) child: Option<u32>,
    /// The row's id, of a table.
    pub(in super::super) row: i64,
    /// The payload's size in bytes; 0 in inner pages of a table.
    pub(in super::super) bytes: usize,
    /// The part of the payload that is in this page.
    pub(in super::super) local: &'p [u8],
    /// The first page with the rest of it.
    pub(in super::super) overflow: Option<u32>,
}

/// A page of a b-tree.
#[derive(Debug)]
pub(in super::super) struct Page<'p> {
    pub(in super::super) kind: Kind,
    pub(in super::super) cells: Vec<Cell<'p>>,
    /// The page to the right of all cells, of an inner page.
    pub(in super::super) right: Option<u32>,
}

impl<'p> Page<'p> {
    /// Reads page `number`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in super::super) fn parse(number: u32, bytes: &'p [u8]) -> Result<Self, String> {
        let wrong = |what: &str| format!("page {number}: {what}");
        let header = if number == 1 { DATABASE_HEADER } else { 0 };
        let kind = match bytes.get(header) {
            Some(0x02) => (false, false),
            Some(0x05) => (true, false),
            Some(0x0a) => (false, true),
            Some(0x0d) => (true, true),
            _ => return Err(wrong("no page of a b-tree")),
        };
        let kind = Kind {
            is_table: kind.0,
            is_leaf: kind.1,
        };
        let pointers = header + if kind.is_leaf { 8 } else { 12 };
        let count = u16_at(bytes, header + 3).ok_or_else(|| wrong("too short"))?;
        let mut used = Vec::with_capacity(count + 4);
        let mut cells = Vec::with_capacity(count);
        for index in 0..count {
            let start = u16_at(bytes, pointers + 2 * index);
            let cell = start.and_then(|start| Some((start, Cell::parse(kind, bytes, start)?)));
            let (start, (cell, length)) = cell.ok_or_else(|| wrong("a cell that is none"))?;
            used.push((start, start + length.max(SMALLEST_CELL)));
            cells.push(cell);
        }
        let content = match u16_at(bytes, header + 5) {
            Some(0) => 1 << 16,
            Some(start) => start,
            None => return Err(wrong("too short")),
        };
        let mut free = u16_at(bytes, header + 1).unwrap_or(0);
        while free != 0 {
            let (Some(next), Some(size)) = (u16_at(bytes, free), u16_at(bytes, free + 2)) else {
                return Err(wrong("a free block outside of it"));
            };
            if size < SMALLEST_CELL || (next != 0 && next < free + size) {
                return Err(wrong("free blocks out of order"));
            }
            used.push((free, free + size));
            free = next;
        }
        // Whatever is neither a cell nor a free block is a fragment, and the header counts their bytes.
        used.sort_unstable();
        let (mut end, mut fragments) = (content, 0);
        for (start, stop) in used {
            if start < end {
                return Err(wrong("cells that overlap"));
            }
            fragments += start - end;
            end = stop;
        }
        if end > bytes.len() || content < pointers + 2 * count {
            return Err(wrong("cells outside of it"));
        }
        fragments += bytes.len() - end;
        if Some(fragments) != bytes.get(header + 7).map(|bytes| usize::from(*bytes)) {
            return Err(wrong("a wrong count of unused bytes"));
        }
        let right = match kind.is_leaf {
            true => None,
            false => u32_at(bytes, header + 8),
        };
        Ok(Self { kind, cells, right })
    }

    /// Returns the pages below it, from left to right.
    pub(in super::super) fn children(&self) -> impl Iterator<Item = u32> {
        let left = self.cells.iter().filter_map(|cell| cell.child);
        left.chain(self.right)
    }
}

impl<'p> Cell<'p> {
    /// Reads the cell that begins at `start`; also returns its bytes in the page.
    fn parse(kind: Kind, page: &'p [u8], start: usize) -> Option<(Self, usize)> {
        let mut at = start;
        let child = match kind.is_leaf {
            true => None,
            false => {
                let child = u32_at(page, at)?;
                at += 4;
                Some(child)
            }
        };
        let mut cell = Self {
            child,
            row: 0,
            bytes: 0,
            local: &[],
            overflow: None,
        };
        if !kind.is_table || kind.is_leaf {
            cell.bytes = usize::try_from(varint(page, &mut at)?).ok()?;
        }
        if kind.is_table {
            cell.row = varint(page, &mut at)?.cast_signed();
        }
        let local = local_bytes(kind, page.len(), cell.bytes);
        cell.local = page.get(at..at.checked_add(local)?)?;
        at += local;
        if local < cell.bytes {
            cell.overflow = Some(u32_at(page, at)?);
            at += 4;
        }
        Some((cell, at - start))
    }
}

/// Returns how much of a payload is in the page itself.
fn local_bytes(kind: Kind, page: usize, payload: usize) -> usize {
    let least = (page - 12) * 32 / 255 - 23;
    let most = match kind.is_table {
        true => page - 35,
        false => (page - 12) * 64 / 255 - 23,
    };
    if payload <= most {
        return payload;
    }
    let filled = least + (payload - least) % (page - 4);
    if filled <= most { filled } else { least }
}

/// Reads SQLite's variable-length integer at `at`, and moves behind it.
pub(in super::super) fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for count in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if count == 8 {
            return Some(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let two = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes(two.try_into().ok()?)))
}

pub(in super::super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}
