//! The stream's lines in both formats.
//!
//! Data lines are nearly all of the traffic, so they are written straight into a buffer; the few other lines go
//! through [`serde_json::Value`].

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

mod json {
    use super::{DataLine, Scratch, Subkey, wire_op};
    use serde::Serialize;
    use std::io::Write;

    /// Appends anything as compact JSON.
    pub(super) fn value(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
        serde_json::to_writer(out, value)
            .expect("text and numbers are always JSON, and a Vec takes all of it");
    }

    pub(super) fn data_line(line: &DataLine<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(640 * (line.ops.len() + 1));
        let mut scratch = Scratch::default();
        let mut subkey = Subkey::default();
        out.extend_from_slice(b"{\"data\":{\"bucket\":");
        value(&mut out, line.bucket);
        write(
            &mut out,
            format_args!(
                ",\"after\":\"{}\",\"has_more\":{},\"data\":[",
                line.after, line.has_more
            ),
        );
        for (position, op) in line.ops.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            let op = wire_op(op, &mut scratch);
            write(
                &mut out,
                format_args!("{{\"op_id\":\"{}\",\"op\":\"{}\"", op.op_id, op.kind),
            );
            let Some((row, put)) = op.row else {
                write(&mut out, format_args!(",\"checksum\":{}}}", op.checksum));
                continue;
            };
            out.extend_from_slice(b",\"object_type\":");
            value(&mut out, row.table);
            out.extend_from_slice(b",\"object_id\":");
            value(&mut out, row.id);
            let subkey = subkey.of(line.deployment, &row);
            write(
                &mut out,
                format_args!(
                    ",\"checksum\":{},\"subkey\":\"{subkey}\",\"data\":",
                    op.checksum
                ),
            );
            match (put, line.raw_data) {
                (true, true) => value(&mut out, row.json),
                (true, false) => out.extend_from_slice(row.json.as_bytes()),
                (false, _) => out.extend_from_slice(b"null"),
            }
            out.push(b'}');
        }
        write(
            &mut out,
            format_args!("],\"next_after\":\"{}\"}}}}\n", line.next_after),
        );
        out
    }

    fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
        out.write_fmt(text).expect("a Vec takes everything");
    }
}

mod bson {
    use super::{DataLine, Scratch, Subkey, wire_op};
    use serde_json::Value;

    const DOUBLE: u8 = 0x01;
    const STRING: u8 = 0x02;
    const DOCUMENT: u8 = 0x03;
    const ARRAY: u8 = 0x04;
    const BOOLEAN: u8 = 0x08;
    const NULL: u8 = 0x0a;
    const INT32: u8 = 0x10;

    /// Appends a document whose elements `fill` writes.
    pub(super) fn document(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        fill(out);
        out.push(0);
        let length = (out.len() - start) as u32;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Appends the elements of an object or array.
    pub(super) fn fields(out: &mut Vec<u8>, value: &Value) {
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, value)| element(out, name, value)),
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| element(out, &index.to_string(), value));
            }
            _ => {}
        }
    }

    fn element(out: &mut Vec<u8>, name: &str, value: &Value) {
        match value {
            Value::Null => key(out, NULL, name),
            Value::Bool(value) => boolean(out, name, *value),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => integer_or_double(out, name, integer),
                None => double(out, name, number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => string(out, name, text),
            Value::Array(_) => nested(out, ARRAY, name, |out| fields(out, value)),
            Value::Object(_) => nested(out, DOCUMENT, name, |out| fields(out, value)),
        }
    }

    pub(super) fn data_line(line: &DataLine<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(640 * (line.ops.len() + 1));
        let mut scratch = Scratch::default();
        let mut subkey = Subkey::default();
        document(&mut out, |out| {
            nested(out, DOCUMENT, "data", |out| {
                string(out, "bucket", line.bucket);
                string(out, "after", &line.after.to_string());
                boolean(out, "has_more", line.has_more);
                nested(out, ARRAY, "data", |out| {
                    for (position, op) in line.ops.iter().enumerate() {
                        let op = wire_op(op, &mut scratch);
                        nested(out, DOCUMENT, &position.to_string(), |out| {
                            string(out, "op_id", &op.op_id.to_string());
                            string(out, "op", op.kind);
                            let Some((row, put)) = op.row else {
                                integer_or_double(out, "checksum", op.checksum);
                                return;
                            };
                            string(out, "object_type", row.table);
                            string(out, "object_id", row.id);
                            integer_or_double(out, "checksum", op.checksum);
                            string(out, "subkey", subkey.of(line.deployment, &row));
                            if put {
                                string(out, "data", row.json);
                            } else {
                                key(out, NULL, "data");
                            }
                        });
                    }
                });
                string(out, "next_after", &line.next_after.to_string());
            });
        });
        out
    }

    fn key(out: &mut Vec<u8>, kind: u8, name: &str) {
        out.push(kind);
        out.extend_from_slice(name.as_bytes());
        out.push(0);
    }

    fn nested(out: &mut Vec<u8>, kind: u8, name: &str, fill: impl FnOnce(&mut Vec<u8>)) {
        key(out, kind, name);
        document(out, fill);
    }

    fn string(out: &mut Vec<u8>, name: &str, text: &str) {
        key(out, STRING, name);
        out.extend_from_slice(&(text.len() as u32 + 1).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
        out.push(0);
    }

    fn boolean(out: &mut Vec<u8>, name: &str, value: bool) {
        key(out, BOOLEAN, name);
        out.push(u8::from(value));
    }

    fn double(out: &mut Vec<u8>, name: &str, value: f64) {
        key(out, DOUBLE, name);
        out.extend_from_slice(&value.to_le_bytes());
    }

    /// Whole numbers are int32 where they fit and doubles otherwise, as JavaScript's BSON library writes them.
    fn integer_or_double(out: &mut Vec<u8>, name: &str, value: i64) {
        match i32::try_from(value) {
            Ok(value) => {
                key(out, INT32, name);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Err(_) => double(out, name, value as f64),
        }
    }
}
