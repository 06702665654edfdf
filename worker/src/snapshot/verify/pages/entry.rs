//! An index's entry, written so that comparing the bytes is SQLite's order; and sums over entries.

use super::record::Value;

/// An entry of an index without a collation.
#[derive(Default)]
pub(in super::super) struct Entry {
    pub(in super::super) bytes: Vec<u8>,
    /// Where the last value, the row id, begins in `bytes`.
    key_length: usize,
    pub(in super::super) has_null: bool,
}

impl Entry {
    pub(in super::super) fn clear(&mut self) {
        self.bytes.clear();
        self.has_null = false;
    }

    /// Appends a value; returns `false` for one whose order is not simply that of its bytes.
    pub(in super::super) fn push(&mut self, value: Value<'_>) -> bool {
        self.key_length = self.bytes.len();
        match value {
            Value::Null => {
                self.bytes.push(1);
                self.has_null = true;
            }
            Value::Integer(number) => {
                self.bytes.push(2);
                let unsigned = number.cast_unsigned() ^ (1 << 63);
                self.bytes.extend_from_slice(&unsigned.to_be_bytes());
            }
            Value::Text(text) if !text.contains(&0) => {
                self.bytes.push(3);
                self.bytes.extend_from_slice(text);
                self.bytes.push(0);
            }
            Value::Real(_) | Value::Text(_) | Value::Blob(_) => return false,
        }
        true
    }

    /// Returns all but the row id.
    pub(in super::super) fn key(&self) -> &[u8] {
        &self.bytes[..self.key_length]
    }
}

/// A sum that does not depend on the order of the entries. Two different sets of entries have the same sum with a
/// probability of 2^-64.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Sum {
    entries: u64,
    hashes: u64,
}

impl Sum {
    pub(in super::super) fn add(&mut self, hash: u64) {
        self.entries += 1;
        self.hashes = self.hashes.wrapping_add(hash);
    }
}
