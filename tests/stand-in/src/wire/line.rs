//! One line of the stream before it is encoded, and what both formats need to write one.

use crate::data::{
    bucket::{Action, Op},
    row::{RowText, Scratch, push_subkey},
};

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

/// The parts of one operation as they go over the wire.
pub(super) struct WireOp<'a> {
    pub(super) op_id: u64,
    pub(super) kind: &'static str,
    /// Signed for CLEAR, unsigned for everything else, as recorded.
    pub(super) checksum: i64,
    pub(super) row: Option<(RowText<'a>, bool)>,
}

pub(super) fn wire_op<'a>(op: &'a Op, scratch: &'a mut Scratch) -> WireOp<'a> {
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
pub(super) struct Subkey(String);

impl Subkey {
    pub(super) fn of(&mut self, deployment: u64, row: &RowText<'_>) -> &str {
        self.0.clear();
        push_subkey(&mut self.0, deployment, row.table, row.id);
        &self.0
    }
}
