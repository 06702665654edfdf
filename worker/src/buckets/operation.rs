//! Operations in lines of the cache, which are those of the service.

use bson::{RawBsonRef, RawDocument};
use seedbed_protocol::digest::sha256_hex;
use serde::Serialize;

use crate::{
    oplog::{Batch, Change, Operation, ReadLine},
    powersync::{Line, LineFormat},
};

/// An operation as it stands in a line.
pub(super) struct Written {
    pub(super) op_id: i64,
    pub(super) json: Vec<u8>,
}

impl Written {
    /// Writes one of the operations of `batch`.
    pub(super) fn of(batch: &Batch, operation: &Operation) -> Self {
        #[derive(Serialize)]
        struct Fields<'a> {
            op_id: String,
            op: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            object_type: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            object_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            subkey: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a str>,
            checksum: u32,
        }
        let (op, row, data) = match &operation.change {
            Change::Put { row, data } => ("PUT", Some(row), Some(batch.str(data))),
            Change::Remove { row } => ("REMOVE", Some(row), None),
            Change::Move => ("MOVE", None, None),
            Change::Clear => ("CLEAR", None, None),
        };
        let fields = Fields {
            op_id: operation.op_id.to_string(),
            op,
            object_type: row.map(|row| batch.str(&row.kind)),
            object_id: row.map(|row| batch.str(&row.id)),
            subkey: row.and_then(|row| Some(batch.str(row.subkey.as_ref()?))),
            data,
            checksum: operation.checksum,
        };
        let json = serde_json::to_vec(&fields).expect("texts and numbers are JSON");
        Self {
            op_id: operation.op_id,
            json,
        }
    }

    /// Returns the SHA-256 of all its fields, in hex.
    pub(super) fn digest(&self) -> String {
        sha256_hex(&self.json)
    }
}

/// Returns a data line with these operations of `bucket`, which follow the operation `after`.
pub(super) fn data_line(bucket: &str, after: i64, operations: &[Written]) -> Line {
    let name = serde_json::to_string(bucket).expect("a text is JSON");
    let mut line =
        format!(r#"{{"data":{{"bucket":{name},"after":"{after}","has_more":true,"data":["#)
            .into_bytes();
    for (place, operation) in operations.iter().enumerate() {
        if place > 0 {
            line.push(b',');
        }
        line.extend_from_slice(&operation.json);
    }
    let last = operations.last().map_or(after, |operation| operation.op_id);
    line.extend_from_slice(format!(r#"],"next_after":"{last}"}}}}"#).as_bytes());
    Line {
        format: LineFormat::Ndjson,
        bytes: line.into(),
    }
}

/// Which operations a data line has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) operations: u64,
}

impl Run {
    /// Returns the run of a data line, with as little of it read as can be; `None` if it cannot be read. Without
    /// operations, its ids are 0.
    pub(super) fn of(line: &Line) -> Option<Self> {
        match line.format {
            LineFormat::Bson => Self::of_bson(&line.bytes),
            LineFormat::Ndjson => {
                let batch = ReadLine::read(line.clone(), true).ok()?.batch?.ok()?;
                let id = |operation: Option<&Operation>| operation.map_or(0, |o| o.op_id);
                Some(Self {
                    first: id(batch.operations.first()),
                    last: id(batch.operations.last()),
                    operations: batch.operations.len() as u64,
                })
            }
        }
    }

    fn of_bson(bytes: &[u8]) -> Option<Self> {
        let document = RawDocument::from_bytes(bytes).ok()?;
        let entries = document.get_document("data").ok()?.get_array("data").ok()?;
        let (mut first, mut last, mut operations) = (None, None, 0);
        for entry in entries {
            last = Some(entry.ok()?);
            first = first.or(last);
            operations += 1;
        }
        let id = |entry: Option<RawBsonRef<'_>>| match entry {
            Some(entry) => entry.as_document()?.get_str("op_id").ok()?.parse().ok(),
            None => Some(0),
        };
        Some(Self {
            first: id(first)?,
            last: id(last)?,
            operations,
        })
    }
}

/// Returns the bucket of a data line, without reading its operations; `None` for any other line, and for a data line in
/// another order.
pub(super) fn bucket_of(line: &Line) -> Option<String> {
    match line.format {
        LineFormat::Bson => {
            let document = RawDocument::from_bytes(&line.bytes).ok()?;
            let data = document.get_document("data").ok()?;
            data.get_str("bucket").ok().map(str::to_owned)
        }
        LineFormat::Ndjson => {
            let name = line.bytes.strip_prefix(br#"{"data":{"bucket":"#)?;
            let mut name = serde_json::Deserializer::from_slice(name).into_iter::<String>();
            name.next()?.ok()
        }
    }
}
