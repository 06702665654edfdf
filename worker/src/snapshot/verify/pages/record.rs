//! Reads a record: the values of a row or of an index's entry.
//!
//! (<https://www.sqlite.org/fileformat2.html#record_format>)

use std::{cmp::Ordering, ops::Range};

use super::page::varint;

/// A value of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) enum Value<'r> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'r [u8]),
    Blob(&'r [u8]),
}

/// Where the values of a record stand in it. Kept from record to record, so that reading one takes no memory.
#[derive(Debug, Default)]
pub(in super::super) struct Places(Vec<(u64, Range<usize>)>);

impl Places {
    /// Finds the values of a record; `None` if it is none.
    pub(in super::super) fn find(&mut self, record: &[u8]) -> Option<()> {
        self.0.clear();
        let mut at = 0;
        let header = usize::try_from(varint(record, &mut at)?).ok()?;
        let mut content = header;
        while at < header {
            let kind = varint(record, &mut at)?;
            let bytes = match kind {
                0 | 8 | 9 => 0,
                1..=4 => kind as usize,
                5 => 6,
                6 | 7 => 8,
                10 | 11 => return None,
                _ => usize::try_from((kind - 12) / 2).ok()?,
            };
            let end = content.checked_add(bytes)?;
            self.0.push((kind, content..end));
            content = end;
        }
        (at == header && content == record.len()).then_some(())
    }

    /// Returns how many values there are.
    pub(in super::super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns a value of the record; NULL if the column is younger than it.
    pub(in super::super) fn value<'r>(&self, record: &'r [u8], column: usize) -> Value<'r> {
        let Some((kind, place)) = self.0.get(column) else {
            return Value::Null;
        };
        let bytes = &record[place.clone()];
        match kind {
            0 => Value::Null,
            1..=6 => Value::Integer(integer(bytes)),
            7 => Value::Real(bytes.try_into().map(f64::from_be_bytes).unwrap_or(f64::NAN)),
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            _ if kind % 2 == 0 => Value::Blob(bytes),
            _ => Value::Text(bytes),
        }
    }
}

/// Reads the values of a record; `None` if it is none.
pub(in super::super) fn values(record: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut places = Places::default();
    places.find(record)?;
    let values = (0..places.count()).map(|column| places.value(record, column));
    Some(values.collect())
}

fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let start = if negative { -1 } else { 0 };
    bytes
        .iter()
        .fold(start, |value, byte| value << 8 | i64::from(*byte))
}

impl<'r> Value<'r> {
    /// Returns a text; `None` for NULL, and for anything else an error: a blob of the same bytes is not the same to a
    /// client, and one flipped bit makes it one.
    pub(in super::super) fn text(self) -> Result<Option<&'r [u8]>, String> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Blob(_) => Err("a blob in place of a text".to_owned()),
            other => Err(format!("{other:?} in place of a text")),
        }
    }

    /// Returns a whole number.
    pub(in super::super) fn integer(self) -> Result<i64, String> {
        match self {
            Self::Integer(number) => Ok(number),
            Self::Text(_) | Self::Blob(_) => Err("a text in place of a whole number".to_owned()),
            other => Err(format!("{other:?} in place of a whole number")),
        }
    }

    /// Compares two values in the order of an index without a collation.
    pub(in super::super) fn order(self, other: Self) -> Ordering {
        let class = |value: &Self| match value {
            Self::Null => 0,
            Self::Integer(_) | Self::Real(_) => 1,
            Self::Text(_) => 2,
            Self::Blob(_) => 3,
        };
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(&b),
            (Self::Text(a), Self::Text(b)) | (Self::Blob(a), Self::Blob(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(&b),
            (Self::Integer(a), Self::Real(b)) => (a as f64).total_cmp(&b),
            (Self::Real(a), Self::Integer(b)) => a.total_cmp(&(b as f64)),
            (a, b) => class(&a).cmp(&class(&b)),
        }
    }

    /// Appends it so that different values are different bytes.
    pub(in super::super) fn write(self, to: &mut Vec<u8>) {
        let (tag, bytes) = match self {
            Self::Null => (0, &[][..]),
            Self::Integer(number) => return written(to, 1, &number.to_be_bytes()),
            Self::Real(number) => return written(to, 2, &number.to_be_bytes()),
            Self::Text(text) => (3, text),
            Self::Blob(blob) => (4, blob),
        };
        written(to, tag, bytes);
    }
}

fn written(to: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    to.push(tag);
    to.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    to.extend_from_slice(bytes);
}
