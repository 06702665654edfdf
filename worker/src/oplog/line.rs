//! Reads a line once, as far as the worker needs it: its kind, the checkpoints, and the operations of a data line.
//! Everything else is left to the core extension.

use bson::RawDocument;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    checkpoint::{CheckpointDiffLine, CheckpointLine},
    depth::check_document,
    operations::{self, Batch, Reason},
    rows::{Rows, malformed, with_rows_as_text},
};
use crate::powersync::{Line, LineFormat, StreamError};

/// A line that was read.
#[derive(Debug)]
pub struct ReadLine {
    /// The line as the core extension takes it.
    pub line: Line,
    /// What it is.
    pub kind: LineKind,
    /// Its operations, or why the core extension has to take them; `None` if it was not to be decoded, or is not a data
    /// line.
    pub batch: Option<Result<Batch, Reason>>,
}

impl ReadLine {
    /// Reads `line`. With `decode`, also decodes the operations of a data line.
    ///
    /// # Errors
    /// [`StreamError::Malformed`] when it is of a known kind but not in its form, or nested too deep.
    pub fn read(line: Line, decode: bool) -> Result<Self, StreamError> {
        if first_key(&line) != Some(b"data") {
            let kind = LineKind::of(&line)?;
            return Ok(Self {
                line,
                kind,
                batch: None,
            });
        }
        let mut batch = decode.then(|| operations::decode(&line));
        if let Some(Ok(decoded)) = &batch {
            let operations = decoded.operations.len() as u64;
            let kind = LineKind::Data { operations };
            return Ok(Self { line, kind, batch });
        }
        let rows = Rows::of(&line)?;
        let line = if rows.has_objects {
            let line = with_rows_as_text(&line)?;
            batch = decode.then(|| operations::decode(&line));
            line
        } else {
            line
        };
        let operations = rows.operations;
        let kind = LineKind::Data { operations };
        Ok(Self { line, kind, batch })
    }
}

/// The kind of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum LineKind {
    /// A new target: every bucket with its checksum.
    Checkpoint(CheckpointLine),
    /// What has changed since the previous target.
    CheckpointDiff(CheckpointDiffLine),
    /// Operations of one bucket.
    Data {
        /// How many operations there are.
        operations: u64,
    },
    /// All buckets of the target have arrived.
    CheckpointComplete,
    /// All buckets up to this priority number have arrived.
    CheckpointPartiallyComplete(u8),
    /// The keepalive: seconds until the token expires.
    TokenExpiresIn(i64),
    /// A kind that only later services know.
    Other,
}

impl LineKind {
    /// Reads a line that is not a data line.
    fn of(line: &Line) -> Result<Self, StreamError> {
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
        if line.format == LineFormat::Bson {
            let document = RawDocument::from_bytes(&line.bytes).map_err(malformed)?;
            check_document(document, 1).map_err(malformed)?;
        }
        Ok(match first_key(line).unwrap_or_default() {
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

/// Returns the name of a line's first field. Every line of the protocol is an object with a single field.
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

    fn kind(line: Line) -> Result<LineKind, StreamError> {
        ReadLine::read(line, false).map(|read| read.kind)
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
        { "bucket": "a", "checksum": -1, "count": 1, "priority": 1, "subscriptions": [{ "default": 0 }] },
        { "bucket": "b", "checksum": 4294967294.0, "count": 7.0 } ], "streams": [{ "name": "s" }] } };
        let from_text = kind(ndjson(text)).unwrap();
        assert_eq!(from_text, kind(bson(&document)).unwrap());

        let LineKind::Checkpoint(line) = from_text else {
            panic!("it is a checkpoint")
        };
        let target = TargetCheckpoint::from(line);
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
        let LineKind::Checkpoint(line) = kind(ndjson(text)).unwrap() else {
            panic!()
        };
        let target = TargetCheckpoint::from(line);
        assert_eq!(target.broken_stream(), Some(("b", "no such parameter")));
    }

    #[test]
    fn a_diff_replaces_adds_and_removes_buckets() {
        let start = r#"{"checkpoint":{"last_op_id":"1","buckets":[{"bucket":"a","checksum":1},{"bucket":"b","checksum":2}]}}"#;
        let diff = r#"{"checkpoint_diff":{"last_op_id":"2","removed_buckets":["a"],"updated_buckets":[{"bucket":"b","checksum":3},{"bucket":"c","checksum":4}]}}"#;
        let LineKind::Checkpoint(line) = kind(ndjson(start)).unwrap() else {
            panic!()
        };
        let mut target = TargetCheckpoint::from(line);
        let LineKind::CheckpointDiff(line) = kind(ndjson(diff)).unwrap() else {
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
            kind(ndjson(
                r#"{"data":{"bucket":"a","data":[{"op_id":"1"},{}]}}"#
            ))
            .unwrap(),
            data
        );
        assert_eq!(
            kind(bson(&doc! { "data": { "bucket": "a", "data": [{}, {}] } })).unwrap(),
            data
        );
        let keepalive = LineKind::TokenExpiresIn(31);
        assert_eq!(
            kind(ndjson(r#"{"token_expires_in":31}"#)).unwrap(),
            keepalive
        );
        assert_eq!(
            kind(bson(&doc! { "token_expires_in": 31 })).unwrap(),
            keepalive
        );
    }

    #[test]
    fn rows_that_are_objects_become_texts_to_the_letter() {
        let text = r#"{"data":{"bucket":"a","data":[{"op_id":"1","data":{"id":"x", "n":1.50}},{"op_id":"2","data":null},{"op_id":"3"}],"after":"0"}}"#;
        let line = ReadLine::read(ndjson(text), false).unwrap().line;
        let line: serde_json::Value = serde_json::from_slice(&line.bytes).unwrap();
        assert_eq!(line["data"]["data"][0]["data"], r#"{"id":"x", "n":1.50}"#);
        assert_eq!(line["data"]["data"][1]["data"], serde_json::Value::Null);
        assert_eq!(line["data"]["bucket"], "a");

        let already = ndjson(r#"{"data":{"bucket":"a","data":[{"op_id":"1","data":"{}"}]}}"#);
        assert_eq!(
            ReadLine::read(already.clone(), true).unwrap().line.bytes,
            already.bytes
        );
    }

    #[test]
    fn unknown_lines_are_left_alone_and_broken_ones_are_named() {
        assert_eq!(kind(ndjson(r#"{"news":{}}"#)).unwrap(), LineKind::Other);
        let error = kind(ndjson(r#"{"checkpoint":{"last_op_id":"x","buckets":[]}}"#)).unwrap_err();
        assert!(
            error.to_string().contains("\"x\" is not an op id"),
            "{error}"
        );
        let mut cut = doc! { "data": { "data": [{}] } }.to_vec().unwrap();
        cut.truncate(20);
        assert!(
            kind(Line {
                format: LineFormat::Bson,
                bytes: cut.into()
            })
            .is_err()
        );
    }
}
