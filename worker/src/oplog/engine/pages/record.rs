//! Writes a record: the values of a row or of an index's entry.
//!
//! (<https://www.sqlite.org/fileformat2.html#record_format>)

use super::format::write_varint;

/// A value of a record.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Value<'a> {
    Integer(i64),
    /// A text in UTF-8.
    Text(&'a [u8]),
}

/// Replaces `to` by the record of a few values.
pub(in super::super) fn record(to: &mut Vec<u8>, values: &[Value<'_>]) {
    to.clear();
    // The size of the header, which is below 128 bytes.
    to.push(0);
    for value in values {
        match value {
            Value::Integer(number) => to.push(integer_kind(*number).0),
            Value::Text(text) => write_varint(to, 13 + 2 * text.len() as u64),
        }
    }
    to[0] = to.len() as u8;
    for value in values {
        match value {
            Value::Integer(number) => {
                let bytes = number.to_be_bytes();
                to.extend_from_slice(&bytes[bytes.len() - integer_kind(*number).1..]);
            }
            Value::Text(text) => to.extend_from_slice(text),
        }
    }
}

/// Returns the serial type of an integer, and its bytes.
fn integer_kind(number: i64) -> (u8, usize) {
    let bits = match number {
        0 => return (8, 0),
        1 => return (9, 0),
        number if number < 0 => 65 - number.leading_ones(),
        number => 65 - number.leading_zeros(),
    };
    match bits {
        ..=8 => (1, 1),
        9..=16 => (2, 2),
        17..=24 => (3, 3),
        25..=32 => (4, 4),
        33..=48 => (5, 6),
        _ => (6, 8),
    }
}
