//! The stream's lines in both formats.
//!
//! Data lines are nearly all of the traffic, so they are written straight into a buffer; the few other lines go
//! through [`serde_json::Value`].

mod bson;
mod json;

use super::bucket::{Action, Op};
use super::request::Format;
use super::row::{RowText, Scratch, push_subkey};
use serde_json::Value;

/// One `data` line before it is encoded.
#[derive(Debug)]
pub(crate) struct DataLine<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) after: u64,
    pub(crate) has_more: bool,
    pub(crate) ops: &'a [Op],
    pub(crate) next_after: u64,
    /// The sync config's number, which decides subkeys.
    pub(crate) deployment: u64,
    /// Whether `data` is a text with JSON in it (current clients) or JSON itself (old ones, NDJSON only).
    pub(crate) raw_data: bool,
}

impl Format {
    /// Encodes a line that is not data.
    pub(crate) fn line(self, line: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Bson => bson::document(&mut out, |out| bson::fields(out, line)),
            Self::Ndjson => {
                json::value(&mut out, line);
                out.push(b'\n');
            }
        }
        out
    }

    /// Encodes a data line.
    pub(crate) fn data_line(self, line: &DataLine<'_>) -> Vec<u8> {
        match self {
            Self::Bson => bson::data_line(line),
            Self::Ndjson => json::data_line(line),
        }
    }
}

/// The parts of one operation as they go over the wire.
struct WireOp<'a> {
    op_id: u64,
    kind: &'static str,
    /// Signed for CLEAR, unsigned for everything else, as recorded.
    checksum: i64,
    row: Option<(RowText<'a>, bool)>,
}

fn wire_op<'a>(op: &'a Op, scratch: &'a mut Scratch) -> WireOp<'a> {
    let unsigned = i64::from(op.checksum);
    let (kind, checksum, row) = match &op.action {
        Action::Put(row) => ("PUT", unsigned, Some((row.text(scratch), true))),
        Action::Remove(row) => ("REMOVE", unsigned, Some((row.text(scratch), false))),
        Action::Move => ("MOVE", unsigned, None),
        Action::Clear => ("CLEAR", i64::from(op.checksum.cast_signed()), None),
    };
    WireOp {
        op_id: op.op_id,
        kind,
        checksum,
        row,
    }
}

/// Writes subkeys into one buffer over and over.
#[derive(Default)]
struct Subkey(String);

impl Subkey {
    fn of(&mut self, deployment: u64, row: &RowText<'_>) -> &str {
        self.0.clear();
        push_subkey(&mut self.0, deployment, row.table, row.id);
        &self.0
    }
}
