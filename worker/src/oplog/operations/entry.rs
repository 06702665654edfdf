//! The fields of an operation, in either format, and the operation that they make.

use std::borrow::Cow;

use serde::Deserialize;

use super::batch::{Change, Operation, Reason, RowKey, Text};
use crate::oplog::checksum::Checksum;

pub(super) const UNREADABLE: Reason = "a data line in an unknown form";

/// The fields of an operation as they stand in the line.
#[derive(Default, Deserialize)]
pub(super) struct Entry<'a> {
    pub(super) checksum: Option<Checksum>,
    #[serde(borrow)]
    pub(super) op_id: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub(super) op: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub(super) object_id: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub(super) object_type: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub(super) subkey: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Borrowed<'a>>,
}

impl Entry<'_> {
    /// Whether a text that would be written has a zero byte, where some of SQL's functions stop.
    fn has_zero_byte(&self) -> bool {
        let zero = |text: &Option<Borrowed<'_>>| {
            let text = text.as_ref();
            text.is_some_and(|text| text.0.as_bytes().contains(&0))
        };
        let in_key = || zero(&self.object_type) || zero(&self.object_id) || zero(&self.subkey);
        match self.op.as_ref().map(|op| &*op.0) {
            Some("PUT") => zero(&self.data) || in_key(),
            Some("REMOVE") => in_key(),
            _ => false,
        }
    }
}

/// A text that is borrowed if possible; serde always copies a `Cow` without this attribute.
#[derive(Deserialize)]
pub(super) struct Borrowed<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A line that is being decoded.
#[derive(Clone, Copy)]
pub(super) struct Origin<'l>(pub(super) &'l [u8]);

impl Origin<'_> {
    /// Returns where a text that was borrowed from the line stands in it.
    pub(super) fn text(self, text: Cow<'_, str>) -> Text {
        let text = match text {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => return Text::Copy(text),
        };
        let start = text.as_ptr().addr().wrapping_sub(self.0.as_ptr().addr());
        match start.checked_add(text.len()) {
            Some(end) if end <= self.0.len() => Text::Part(start..end),
            // Not from this line.
            _ => Text::Copy(text.to_owned()),
        }
    }

    pub(super) fn operation(self, entry: Entry<'_>) -> Result<Operation, Reason> {
        let has_zero_byte = entry.has_zero_byte();
        let (Some(Checksum(checksum)), Some(op_id), Some(op)) =
            (entry.checksum, entry.op_id, entry.op)
        else {
            return Err(UNREADABLE);
        };
        let op_id: i64 = op_id.0.parse().map_err(|_| UNREADABLE)?;
        if op_id <= 0 {
            return Err("an op id that is not positive");
        }
        let row = match (entry.object_type, entry.object_id) {
            (Some(kind), Some(id)) => Some(RowKey {
                kind: self.text(kind.0),
                id: self.text(id.0),
                subkey: entry.subkey.map(|subkey| self.text(subkey.0)),
            }),
            _ => None,
        };
        let change = match (&*op.0, row, entry.data) {
            ("PUT", Some(row), Some(data)) => Change::Put {
                row,
                data: self.text(data.0),
            },
            ("PUT", Some(_), None) => return Err("a PUT without data"),
            ("REMOVE", Some(row), _) => Change::Remove { row },
            ("PUT" | "REMOVE", None, _) => return Err("an operation without a row"),
            ("MOVE", ..) => Change::Move,
            ("CLEAR", ..) => Change::Clear,
            _ => return Err(UNREADABLE),
        };
        if has_zero_byte {
            return Err("a text with a zero byte");
        }
        Ok(Operation {
            op_id,
            checksum,
            change,
        })
    }
}

/// Sets a field that may come only once.
pub(super) fn set<T>(field: &mut Option<T>, value: T) -> Result<(), Reason> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(UNREADABLE),
    }
}
