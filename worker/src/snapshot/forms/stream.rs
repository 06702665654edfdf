//! Makes the stream form: a snapshot as one checkpoint of PowerSync's own protocol, a line of JSON each.
//!
//! ```text
//! checkpoint, then for each bucket by priority: CLEAR with the folded checksum, PUT, PUT, …
//! checkpoint_complete, token_expires_in: 0
//! ```
//!
//! The last line has an SDK ask for credentials again, and go on at the service itself.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use rusqlite::{Connection, OpenFlags};
use seedbed_protocol::manifest::{BucketCheckpoint, Checkpoint};
use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::error::FormError;
use crate::oplog::load_core_extension;

/// The most operations of a line, as PowerSync's service has it.
const LINE_OPERATIONS: usize = 1_000;

/// A line with so many bytes of operations takes no more of them, as PowerSync's service has it.
const LINE_BYTES: usize = 1 << 20;

/// How much is written at a time, in bytes.
const WRITE_BYTES: usize = 1 << 16;

/// Writes the stream form of the verified `file`, which is at `checkpoint`, to `target`. Blocks. Holds one line at a time.
///
/// # Errors
/// [`FormError`]; then `target` is incomplete.
pub fn write_stream(file: &Path, checkpoint: &Checkpoint, target: &Path) -> Result<(), FormError> {
    load_core_extension();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    let unwritable = |source| FormError::Write {
        path: target.to_owned(),
        source,
    };
    let output = File::create(target).map_err(unwritable)?;
    let mut lines = Lines {
        output: BufWriter::with_capacity(WRITE_BYTES, output),
        target,
    };
    let streams = default_streams(&connection)?;
    lines.write(&checkpoint_line(checkpoint, &streams))?;
    let ids = bucket_ids(&connection)?;
    let mut buckets: Vec<&BucketCheckpoint> = checkpoint.buckets.iter().collect();
    buckets.sort_by_key(|bucket| bucket.priority);
    for bucket in buckets {
        // A bucket without rows has no line.
        if let Some(&(id, superseded)) = ids.get(&bucket.bucket) {
            write_bucket(&connection, &mut lines, &bucket.bucket, id, superseded)?;
        }
    }
    let last_op_id = checkpoint.last_op_id.to_string();
    lines.write(&json!({ "checkpoint_complete": { "last_op_id": last_op_id } }))?;
    lines.write(&json!({ "token_expires_in": 0 }))?;
    lines.output.flush().map_err(unwritable)
}

/// The file of the form.
struct Lines<'a> {
    output: BufWriter<File>,
    target: &'a Path,
}

impl Lines<'_> {
    fn write(&mut self, line: &impl Serialize) -> Result<(), FormError> {
        let written = serde_json::to_writer(&mut self.output, line).map_err(Into::into);
        let written = written.and_then(|()| self.output.write_all(b"\n"));
        written.map_err(|source| FormError::Write {
            path: self.target.to_owned(),
            source,
        })
    }
}

/// Returns the names of the active streams, and whether the service subscribes every client to them.
fn default_streams(connection: &Connection) -> Result<Vec<(String, bool)>, rusqlite::Error> {
    let mut streams = connection.prepare(
        "SELECT stream_name, max(is_default) FROM ps_stream_subscriptions WHERE active
         GROUP BY stream_name ORDER BY min(id)",
    )?;
    let streams = streams.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    streams.collect()
}

fn checkpoint_line(checkpoint: &Checkpoint, streams: &[(String, bool)]) -> serde_json::Value {
    let bucket = |bucket: &BucketCheckpoint| {
        let name = stream_of(&bucket.bucket);
        let of = streams
            .iter()
            .position(|(stream, is_default)| *is_default && stream == name);
        let subscriptions: Vec<_> = of
            .iter()
            .map(|stream| json!({ "default": stream }))
            .collect();
        json!({
            "bucket": bucket.bucket,
            "checksum": bucket.checksum.cast_signed(),
            "count": bucket.operations,
            "priority": bucket.priority,
            "subscriptions": subscriptions,
        })
    };
    let stream = |(name, is_default): &(String, bool)| json!({ "name": name, "is_default": is_default, "errors": [] });
    json!({ "checkpoint": {
        "last_op_id": checkpoint.last_op_id.to_string(),
        "buckets": checkpoint.buckets.iter().map(bucket).collect::<Vec<_>>(),
        "streams": streams.iter().map(stream).collect::<Vec<_>>(),
    } })
}

/// Returns the stream in a bucket's name: `2#stream|0["7"]` or, of a bucket definition, `1#stream["7"]`.
fn stream_of(bucket: &str) -> &str {
    let name = bucket.split_once('#').map_or(bucket, |(_, name)| name);
    name.split(['|', '[']).next().unwrap_or_default()
}

/// Returns the row id of each bucket and the checksum of its superseded operations, by its name.
fn bucket_ids(connection: &Connection) -> Result<HashMap<String, (i64, i64)>, rusqlite::Error> {
    let mut buckets = connection
        .prepare("SELECT name, id, add_checksum FROM ps_buckets WHERE name <> '$local'")?;
    let buckets = buckets.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    buckets.collect()
}

/// A PUT as the service writes it.
#[derive(Serialize)]
struct Put<'a> {
    op_id: String,
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_id: Option<&'a str>,
    checksum: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    subkey: Option<&'a str>,
    data: Option<&'a str>,
}

/// A data line under way.
struct Line<'a> {
    bucket: &'a str,
    after: i64,
    last: i64,
    operations: Vec<Box<RawValue>>,
    bytes: usize,
}

impl Line<'_> {
    fn add(&mut self, operation: &impl Serialize, op_id: i64) {
        let json = serde_json::value::to_raw_value(operation);
        let json = json.expect("an operation has only text keys");
        self.bytes += json.get().len();
        self.operations.push(json);
        self.last = op_id;
    }

    /// Writes the operations so far, and begins the next line.
    fn write(&mut self, lines: &mut Lines<'_>, has_more: bool) -> Result<(), FormError> {
        #[derive(Serialize)]
        struct Data<'a> {
            data: Body<'a>,
        }
        #[derive(Serialize)]
        struct Body<'a> {
            bucket: &'a str,
            after: String,
            has_more: bool,
            data: &'a [Box<RawValue>],
            next_after: String,
        }
        let data = Body {
            bucket: self.bucket,
            after: self.after.to_string(),
            has_more,
            data: &self.operations,
            next_after: self.last.to_string(),
        };
        lines.write(&Data { data })?;
        self.after = self.last;
        self.operations.clear();
        self.bytes = 0;
        Ok(())
    }
}

fn write_bucket(
    connection: &Connection,
    lines: &mut Lines<'_>,
    bucket: &str,
    id: i64,
    superseded: i64,
) -> Result<(), FormError> {
    let mut line = Line {
        bucket,
        after: 0,
        last: 0,
        operations: Vec::new(),
        bytes: 0,
    };
    let superseded = superseded as u32;
    if superseded != 0 {
        let checksum = superseded.cast_signed();
        line.add(
            &json!({ "op_id": "0", "op": "CLEAR", "checksum": checksum }),
            0,
        );
    }
    let mut operations = connection.prepare_cached(
        "SELECT op_id, row_type, row_id, key, data, hash FROM ps_oplog WHERE bucket = ?1 ORDER BY op_id",
    )?;
    let mut rows = operations.query([id])?;
    while let Some(row) = rows.next()? {
        if line.operations.len() >= LINE_OPERATIONS || line.bytes >= LINE_BYTES {
            line.write(lines, true)?;
        }
        let text = |column| {
            row.get_ref(column)?
                .as_str_or_null()
                .map_err(rusqlite::Error::from)
        };
        let (object_type, object_id) = (text(1)?, text(2)?);
        let op_id: i64 = row.get(0)?;
        let put = Put {
            op_id: op_id.to_string(),
            op: "PUT",
            object_type,
            object_id,
            checksum: row.get::<_, i64>(5)? as u32,
            subkey: subkey(text(3)?, object_type, object_id),
            data: text(4)?,
        };
        line.add(&put, op_id);
    }
    match line.operations.is_empty() {
        true => Ok(()),
        false => line.write(lines, false),
    }
}

/// Returns what follows the row in the key of an operation, `<type>/<id>/<subkey>`.
fn subkey<'a>(key: Option<&'a str>, kind: Option<&str>, id: Option<&str>) -> Option<&'a str> {
    let of_row = key?.strip_prefix(kind?)?.strip_prefix('/')?;
    of_row.strip_prefix(id?)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subkey_and_a_stream_are_read_whatever_is_in_ids_and_parameters() {
        assert_eq!(subkey(Some("t/1/a/b"), Some("t"), Some("1")), Some("a/b"));
        assert_eq!(subkey(Some("t/x/y/s"), Some("t"), Some("x/y")), Some("s"));
        assert_eq!(subkey(None, Some("t"), Some("1")), None);
        assert_eq!(stream_of("2#orders|0[\"a#|[\"]"), "orders");
        assert_eq!(stream_of("1#store_products[\"7\"]"), "store_products");
        assert_eq!(stream_of("mybucket[]"), "mybucket");
    }
}
