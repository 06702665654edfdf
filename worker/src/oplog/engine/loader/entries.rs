//! The entries by which operations are sorted: in the order of their bytes is in the order of an index.
//!
//! No text has a zero byte, so that one can end it.

use std::io;

use crate::oplog::engine::sorter::Sorter;

const END: &[u8] = &[0];

/// The bytes after the key of an entry.
const KEY_TAIL: usize = 8 + 1 + 4;
const ROW_TAIL: usize = 8 + 8;

/// What has a key of a bucket, in the order in which it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyed {
    /// The operation in this row of `ps_oplog`, and its checksum.
    Put { row: i64, checksum: u32 },
    /// A REMOVE that came after the operation in this row.
    Remove { after: i64 },
}

/// An entry of operations by bucket and key.
pub(super) struct KeyEntry<'e> {
    pub(super) bucket: u32,
    pub(super) key: &'e [u8],
    pub(super) keyed: Keyed,
}

impl<'e> KeyEntry<'e> {
    pub(super) fn push(&self, to: &mut Sorter) -> io::Result<()> {
        let (row, is_removed, checksum) = match self.keyed {
            Keyed::Put { row, checksum } => (row, 0, checksum),
            Keyed::Remove { after } => (after, 1, 0),
        };
        let (row, checksum) = (row.to_be_bytes(), checksum.to_be_bytes());
        let bucket = self.bucket.to_be_bytes();
        to.push(&[&bucket, self.key, END, &row, &[is_removed], &checksum])
    }

    pub(super) fn read(entry: &'e [u8]) -> Self {
        let (key, tail) = entry.split_at(entry.len() - KEY_TAIL);
        let row = number(tail);
        let keyed = match tail[8] {
            0 => Keyed::Put {
                row,
                checksum: u32::from_be_bytes([tail[9], tail[10], tail[11], tail[12]]),
            },
            _ => Keyed::Remove { after: row },
        };
        Self {
            bucket: u32::from_be_bytes([key[0], key[1], key[2], key[3]]),
            key: &key[4..key.len() - END.len()],
            keyed,
        }
    }
}

/// An entry of operations by the row that they write.
pub(super) struct RowEntry<'e> {
    pub(super) kind: &'e [u8],
    pub(super) id: &'e [u8],
    pub(super) row: i64,
    pub(super) op_id: i64,
}

impl<'e> RowEntry<'e> {
    pub(super) fn push(&self, to: &mut Sorter) -> io::Result<()> {
        let (row, op_id) = (self.row.to_be_bytes(), self.op_id.to_be_bytes());
        to.push(&[self.kind, END, self.id, END, &row, &op_id])
    }

    pub(super) fn read(entry: &'e [u8]) -> Self {
        let (texts, tail) = entry.split_at(entry.len() - ROW_TAIL);
        let kind = texts.iter().position(|byte| *byte == 0).unwrap_or(0);
        Self {
            kind: &texts[..kind],
            id: &texts[kind + 1..texts.len() - END.len()],
            row: number(tail),
            op_id: number(&tail[8..]),
        }
    }
}

/// An entry of operations by bucket and id.
pub(super) struct OperationEntry {
    pub(super) bucket: u32,
    pub(super) op_id: i64,
    pub(super) row: i64,
}

impl OperationEntry {
    pub(super) fn push(&self, to: &mut Sorter) -> io::Result<()> {
        let (op_id, row) = (self.op_id.to_be_bytes(), self.row.to_be_bytes());
        to.push(&[&self.bucket.to_be_bytes(), &op_id, &row])
    }

    pub(super) fn read(entry: &[u8]) -> Self {
        Self {
            bucket: u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]]),
            op_id: number(&entry[4..]),
            row: number(&entry[12..]),
        }
    }
}

fn number(bytes: &[u8]) -> i64 {
    let first = bytes.first_chunk().expect("an entry has all of its parts");
    i64::from_be_bytes(*first)
}
