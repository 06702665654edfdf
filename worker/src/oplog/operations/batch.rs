//! A decoded data line. Its texts are not copied: an operation knows where they stand in the line.

use std::ops::Range;

use bytes::Bytes;

/// Why a line is left to the core extension.
pub type Reason = &'static str;

/// A decoded data line.
#[derive(Debug)]
pub struct Batch {
    pub(super) line: Bytes,
    pub(super) bucket: Text,
    /// The bucket's operations, in order.
    pub operations: Vec<Operation>,
}

/// A text of a line: the part of the line's bytes that it is, or a copy where JSON's escapes had to be undone.
#[derive(Debug)]
pub enum Text {
    /// A range of the line's bytes.
    Part(Range<usize>),
    /// The text itself.
    Copy(String),
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// The operation's id, which is positive.
    pub op_id: i64,
    /// Its part of the bucket's checksum.
    pub checksum: u32,
    /// What it does.
    pub change: Change,
}

/// What an operation does.
#[derive(Debug)]
pub enum Change {
    /// Writes a row.
    Put {
        row: RowKey,
        /// The row as JSON, not parsed.
        data: Text,
    },
    /// Removes a row.
    Remove { row: RowKey },
    /// Nothing: its effect has moved to a later operation.
    Move,
    /// Empties the bucket.
    Clear,
}

/// The key of a row within a bucket.
#[derive(Debug)]
pub struct RowKey {
    /// The row's type, which names its table.
    pub kind: Text,
    pub id: Text,
    /// Tells apart several rows of the source that are one row for the client.
    pub subkey: Option<Text>,
}

impl Batch {
    /// Returns the bucket's name.
    pub(crate) fn bucket(&self) -> &str {
        self.str(&self.bucket)
    }

    /// Returns one of this batch's texts.
    pub(crate) fn str<'a>(&'a self, text: &'a Text) -> &'a str {
        match text {
            Text::Copy(text) => text,
            Text::Part(part) => std::str::from_utf8(&self.line[part.clone()])
                .expect("it was decoded from this part of the line"),
        }
    }

    /// Writes the key by which a bucket's operations supersede each other, as the core extension writes it.
    pub(crate) fn write_key(&self, row: &RowKey, key: &mut String) {
        key.clear();
        for part in [self.str(&row.kind), "/", self.str(&row.id), "/"] {
            key.push_str(part);
        }
        key.push_str(row.subkey.as_ref().map_or("null", |text| self.str(text)));
    }
}
