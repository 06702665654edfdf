//! Lines as JSON documents, one a line.

use crate::{
    data::row::Scratch,
    wire::line::{DataLine, Subkey, wire_op},
};
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
