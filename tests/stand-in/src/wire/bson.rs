//! Lines as BSON documents, one after the other.

use crate::{
    data::row::Scratch,
    wire::line::{DataLine, Subkey, wire_op},
};
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
