//! Reads as much of a stream's lines as the worker itself needs: their kind, the checkpoints, and how many
//! operations a data line brings. Everything else is the core extension's business.

use std::{collections::BTreeMap, fmt};

use bson::{RawBsonRef, RawDocument, spec::ElementType};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};
use serde_json::value::{RawValue, to_raw_value};

use super::checkpoint::{CheckpointDiffLine, CheckpointLine};
use crate::powersync::{Line, LineFormat, StreamError};

/// What a line is.
#[derive(Debug, Clone, PartialEq)]
pub enum LineKind {
    /// A new target: every bucket with its checksum.
    Checkpoint(CheckpointLine),
    /// What changed since the previous target.
    CheckpointDiff(CheckpointDiffLine),
    /// Operations of one bucket.
    Data {
        /// How many.
        operations: u64,
    },
    /// All buckets of the target are here.
    CheckpointComplete,
    /// All buckets of this priority, and of those before it, are here.
    CheckpointPartiallyComplete(u8),
    /// The keepalive: seconds until the token expires.
    TokenExpiresIn(i64),
    /// Whatever later services add.
    Other,
}

impl LineKind {
    /// Looks at `line`.
    ///
    /// # Errors
    /// [`StreamError::Malformed`] when it is of a known kind but not in its form, or nested too deep.
    pub fn of(line: &Line) -> Result<Self, StreamError> {
        #[derive(Deserialize)]
        struct CheckpointDocument {
            checkpoint: CheckpointLine,
        }
        #[derive(Deserialize)]
        struct DiffDocument {
            checkpoint_diff: CheckpointDiffLine,
        }
        #[derive(Deserialize)]
        struct KeepaliveDocument {
            token_expires_in: f64,
        }
        #[derive(Deserialize)]
        struct PartialDocument {
            partial_checkpoint_complete: PartialLine,
        }
        #[derive(Deserialize)]
        struct PartialLine {
            priority: u8,
        }
        check_depth(line)?;
        Ok(match first_key(line).unwrap_or_default() {
            b"data" => Self::Data {
                operations: count_operations(line)?,
            },
            b"checkpoint" => Self::Checkpoint(parse::<CheckpointDocument>(line)?.checkpoint),
            b"checkpoint_diff" => {
                Self::CheckpointDiff(parse::<DiffDocument>(line)?.checkpoint_diff)
            }
            b"checkpoint_complete" => Self::CheckpointComplete,
            b"partial_checkpoint_complete" => Self::CheckpointPartiallyComplete(
                parse::<PartialDocument>(line)?
                    .partial_checkpoint_complete
                    .priority,
            ),
            b"token_expires_in" => {
                Self::TokenExpiresIn(parse::<KeepaliveDocument>(line)?.token_expires_in as i64)
            }
            _ => Self::Other,
        })
    }
}

/// Whether a line brings operations.
pub(crate) fn is_data(line: &Line) -> bool {
    first_key(line) == Some(b"data")
}

/// The name of a document's first field. Every line of the protocol is an object with a single field.
fn first_key(line: &Line) -> Option<&[u8]> {
    match line.format {
        LineFormat::Bson => {
            // Four bytes of length, one of the field's type, then its name up to a zero byte.
            let name = line.bytes.get(5..)?;
            name.split(|byte| *byte == 0).next()
        }
        LineFormat::Ndjson => {
            let text = line.bytes.trim_ascii_start().strip_prefix(b"{")?;
            let name = text.trim_ascii_start().strip_prefix(b"\"")?;
            name.split(|byte| *byte == b'"').next()
        }
    }
}

fn parse<T: DeserializeOwned>(line: &Line) -> Result<T, StreamError> {
    match line.format {
        LineFormat::Bson => bson::deserialize_from_slice(&line.bytes).map_err(malformed),
        LineFormat::Ndjson => serde_json::from_slice(&line.bytes).map_err(malformed),
    }
}

fn malformed(reason: impl fmt::Display) -> StreamError {
    StreamError::Malformed(format!("a line that cannot be read: {reason}"))
}

/// How deep documents of the protocol are nested, with room for what later services add.
const MAX_DEPTH: usize = 32;

/// Deserializers follow a nested document by calling themselves, and the core extension's never asks how deep.
/// JSON's do not need it: they stop at a depth of 128.
fn check_depth(line: &Line) -> Result<(), StreamError> {
    if line.format == LineFormat::Ndjson {
        return Ok(());
    }
    let document = RawDocument::from_bytes(&line.bytes).map_err(malformed)?;
    let mut open = vec![document.iter_elements()];
    while let Some(innermost) = open.last_mut() {
        let Some(element) = innermost.next() else {
            open.pop();
            continue;
        };
        let element = element.map_err(malformed)?;
        match element.element_type() {
            ElementType::EmbeddedDocument | ElementType::Array => {
                match element.value().map_err(malformed)? {
                    RawBsonRef::Document(inner) => open.push(inner.iter_elements()),
                    RawBsonRef::Array(inner) => {
                        let inner = RawDocument::from_bytes(inner.as_bytes());
                        open.push(inner.map_err(malformed)?.iter_elements());
                    }
                    _ => {}
                }
            }
            ElementType::JavaScriptCodeWithScope => return Err(malformed("a program")),
            _ => {}
        }
        if open.len() > MAX_DEPTH {
            return Err(malformed("it is nested too deep"));
        }
    }
    Ok(())
}

/// The length of a data line's `data.data`, without decoding what is in it.
fn count_operations(line: &Line) -> Result<u64, StreamError> {
    match line.format {
        LineFormat::Ndjson => Ok(look_at_rows(line)?.operations),
        LineFormat::Bson => {
            let document = RawDocument::from_bytes(&line.bytes).map_err(malformed)?;
            let data = document.get_document("data").map_err(malformed)?;
            let mut count = 0;
            for operation in data.get_array("data").map_err(malformed)? {
                operation.map_err(malformed)?;
                count += 1;
            }
            Ok(count)
        }
    }
}

/// What there is to know of a JSON data line without keeping anything of it.
#[derive(Default)]
struct Rows {
    operations: u64,
    /// Whether a row is an object instead of a text.
    objects: bool,
}

fn look_at_rows(line: &Line) -> Result<Rows, StreamError> {
    #[derive(Deserialize)]
    struct Document {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        data: Rows,
    }
    let document: Document = serde_json::from_slice(&line.bytes).map_err(malformed)?;
    Ok(document.data.data)
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Operation<'a> {
            #[serde(borrow, default)]
            data: Option<&'a RawValue>,
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Rows;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("operations")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Rows, A::Error> {
                let mut rows = Rows::default();
                while let Some(operation) = items.next_element::<Operation<'de>>()? {
                    rows.operations += 1;
                    rows.objects |= operation.data.is_some_and(is_object);
                }
                Ok(rows)
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

fn is_object(row: &RawValue) -> bool {
    row.get().starts_with('{')
}

/// The core extension wants each row as a text with JSON in it, and asks the service for that (`raw_data`).
/// A service that does not know the option writes the row itself; its JSON becomes the text then.
///
/// # Errors
/// [`StreamError::Malformed`] when a data line is not in its form.
pub fn with_rows_as_text(line: Line) -> Result<Line, StreamError> {
    type Fields<'a> = BTreeMap<&'a str, &'a RawValue>;
    if line.format != LineFormat::Ndjson {
        return Ok(line);
    }
    if !look_at_rows(&line)?.objects {
        return Ok(line);
    }
    let document: BTreeMap<&str, Fields<'_>> =
        serde_json::from_slice(&line.bytes).map_err(malformed)?;
    let mut data = document.get("data").cloned().unwrap_or_default();
    let operations = data.get("data").map_or("[]", |operations| operations.get());
    let operations: Vec<&RawValue> = serde_json::from_str(operations).map_err(malformed)?;
    let mut rewritten = String::from("[");
    for operation in operations {
        if rewritten.len() > 1 {
            rewritten.push(',');
        }
        let mut fields: Fields<'_> = serde_json::from_str(operation.get()).map_err(malformed)?;
        match fields.get("data").filter(|row| is_object(row)) {
            None => rewritten.push_str(operation.get()),
            Some(row) => {
                let text = to_raw_value(row.get()).map_err(malformed)?;
                fields.insert("data", &text);
                rewritten.push_str(&serde_json::to_string(&fields).map_err(malformed)?);
            }
        }
    }
    rewritten.push(']');
    let operations = RawValue::from_string(rewritten).map_err(malformed)?;
    data.insert("data", &operations);
    let bytes = serde_json::to_vec(&BTreeMap::from([("data", data)])).map_err(malformed)?;
    Ok(Line {
        format: line.format,
        bytes: bytes.into(),
    })
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use seedbed_protocol::OpId;

    use super::*;
    use crate::oplog::TargetCheckpoint;

    fn ndjson(text: &str) -> Line {
        Line {
            format: LineFormat::Ndjson,
            bytes: text.as_bytes().to_vec().into(),
        }
    }

    fn bson(document: &bson::Document) -> Line {
        Line {
            format: LineFormat::Bson,
            bytes: document.to_vec().unwrap().into(),
        }
    }

    #[test]
    fn a_checkpoint_reads_the_same_in_both_formats() {
        let text = r#"{"checkpoint":{"last_op_id":"9","buckets":[
            {"bucket":"a","checksum":-1,"count":1,"priority":1,"subscriptions":[{"default":0}]},
            {"bucket":"b","checksum":4294967294,"count":7}],"streams":[{"name":"s","is_default":true,"errors":[]}]}}"#;
        let document = doc! { "checkpoint": { "last_op_id": "9", "buckets": [
        { "bucket": "a", "checksum": -1, "count": 1, "priority": 1 },
        { "bucket": "b", "checksum": 4294967294.0, "count": 7.0 } ], "streams": [{ "name": "s" }] } };
        let from_text = LineKind::of(&ndjson(text)).unwrap();
        assert_eq!(from_text, LineKind::of(&bson(&document)).unwrap());

        let LineKind::Checkpoint(line) = from_text else {
            panic!("it is a checkpoint")
        };
        let mut target = TargetCheckpoint::default();
        target.replace(line);
        let checkpoint = target.checkpoint(|_| OpId(5));
        assert_eq!(checkpoint.last_op_id, OpId(9));
        let sums: Vec<_> = checkpoint
            .buckets
            .iter()
            .map(|b| (b.bucket.as_str(), b.checksum, b.priority, b.operations))
            .collect();
        assert_eq!(sums, [("a", u32::MAX, 1, 1), ("b", u32::MAX - 1, 3, 7)]);
        assert!(target.lacks_stream("t") && !target.lacks_stream("s"));
        assert_eq!(target.broken_stream(), None);
    }

    #[test]
    fn a_stream_that_the_service_could_not_resolve_is_found_with_its_reason() {
        let text = r#"{"checkpoint":{"last_op_id":"1","buckets":[],"streams":[{"name":"a","is_default":true,"errors":[]},
            {"name":"b","is_default":false,"errors":[{"subscription":0,"message":"no such parameter"}]}]}}"#;
        let LineKind::Checkpoint(line) = LineKind::of(&ndjson(text)).unwrap() else {
            panic!()
        };
        let mut target = TargetCheckpoint::default();
        target.replace(line);
        assert_eq!(target.broken_stream(), Some(("b", "no such parameter")));
    }

    #[test]
    fn a_diff_replaces_adds_and_removes_buckets() {
        let mut target = TargetCheckpoint::default();
        let start = r#"{"checkpoint":{"last_op_id":"1","buckets":[{"bucket":"a","checksum":1},{"bucket":"b","checksum":2}]}}"#;
        let diff = r#"{"checkpoint_diff":{"last_op_id":"2","removed_buckets":["a"],"updated_buckets":[{"bucket":"b","checksum":3},{"bucket":"c","checksum":4}]}}"#;
        let LineKind::Checkpoint(line) = LineKind::of(&ndjson(start)).unwrap() else {
            panic!()
        };
        target.replace(line);
        let LineKind::CheckpointDiff(line) = LineKind::of(&ndjson(diff)).unwrap() else {
            panic!()
        };
        target.apply(line);
        let checkpoint = target.checkpoint(|_| OpId(0));
        let sums: Vec<_> = checkpoint
            .buckets
            .iter()
            .map(|b| (b.bucket.as_str(), b.checksum))
            .collect();
        assert_eq!(sums, [("b", 3), ("c", 4)]);
    }

    #[test]
    fn data_lines_are_counted_and_keepalives_read() {
        let data = LineKind::Data { operations: 2 };
        assert_eq!(
            LineKind::of(&ndjson(
                r#"{"data":{"bucket":"a","data":[{"op_id":"1"},{}]}}"#
            ))
            .unwrap(),
            data
        );
        assert_eq!(
            LineKind::of(&bson(&doc! { "data": { "bucket": "a", "data": [{}, {}] } })).unwrap(),
            data
        );
        let keepalive = LineKind::TokenExpiresIn(31);
        assert_eq!(
            LineKind::of(&ndjson(r#"{"token_expires_in":31}"#)).unwrap(),
            keepalive
        );
        assert_eq!(
            LineKind::of(&bson(&doc! { "token_expires_in": 31 })).unwrap(),
            keepalive
        );
    }

    #[test]
    fn rows_that_are_objects_become_texts_to_the_letter() {
        let text = r#"{"data":{"bucket":"a","data":[{"op_id":"1","data":{"id":"x", "n":1.50}},{"op_id":"2","data":null},{"op_id":"3"}],"after":"0"}}"#;
        let line = with_rows_as_text(ndjson(text)).unwrap();
        let line: serde_json::Value = serde_json::from_slice(&line.bytes).unwrap();
        assert_eq!(line["data"]["data"][0]["data"], r#"{"id":"x", "n":1.50}"#);
        assert_eq!(line["data"]["data"][1]["data"], serde_json::Value::Null);
        assert_eq!(line["data"]["bucket"], "a");

        let already = ndjson(r#"{"data":{"bucket":"a","data":[{"op_id":"1","data":"{}"}]}}"#);
        assert_eq!(
            with_rows_as_text(already.clone()).unwrap().bytes,
            already.bytes
        );
    }

    #[test]
    fn unknown_lines_are_somebody_elses_business_and_broken_ones_are_named() {
        assert_eq!(
            LineKind::of(&ndjson(r#"{"news":{}}"#)).unwrap(),
            LineKind::Other
        );
        let error =
            LineKind::of(&ndjson(r#"{"checkpoint":{"last_op_id":"x","buckets":[]}}"#)).unwrap_err();
        assert!(
            error.to_string().contains("\"x\" is not an op id"),
            "{error}"
        );
        let mut cut = doc! { "data": { "data": [{}] } }.to_vec().unwrap();
        cut.truncate(20);
        assert!(
            LineKind::of(&Line {
                format: LineFormat::Bson,
                bytes: cut.into()
            })
            .is_err()
        );
    }
}
