//! Makes the stream form: a snapshot as one checkpoint of PowerSync's own protocol, in either of its formats.
//!
//! ```text
//! checkpoint, then for each bucket by priority: CLEAR with the folded checksum, PUT, PUT, …
//! checkpoint_complete, token_expires_in: 0
//! ```
//!
//! The last line has an SDK ask for credentials again, and go on at the service itself.

use std::{collections::HashMap, path::Path};

use rusqlite::{Connection, OpenFlags};
use seedbed_protocol::manifest::{BucketCheckpoint, Checkpoint};
use serde_json::json;

use super::{
    error::FormError,
    lines::{Batch, Lines, Put},
};
use crate::{oplog::load_core_extension, powersync::LineFormat};

/// The most operations of a line, as PowerSync's service has it.
const LINE_OPERATIONS: usize = 1_000;

/// A line with so many bytes of operations takes no more of them, as PowerSync's service has it.
const LINE_BYTES: usize = 1 << 20;

/// Writes the stream form of the verified `file`, which is at `checkpoint`, to `target`. Blocks. Holds one line at a time.
///
/// # Errors
/// [`FormError`]; then `target` is incomplete.
pub fn write_stream(
    file: &Path,
    checkpoint: &Checkpoint,
    format: LineFormat,
    target: &Path,
) -> Result<(), FormError> {
    load_core_extension();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    let mut lines = Lines::create(target, format)?;
    let streams = default_streams(&connection)?;
    lines.control(&checkpoint_line(checkpoint, &streams))?;
    let ids = bucket_ids(&connection)?;
    let mut buckets: Vec<&BucketCheckpoint> = checkpoint.buckets.iter().collect();
    buckets.sort_by_key(|bucket| bucket.priority);
    for bucket in buckets {
        // A bucket without rows has no line.
        if let Some(&(id, superseded)) = ids.get(&bucket.bucket) {
            let batch = Batch::new(&bucket.bucket, format);
            write_bucket(&connection, &mut lines, batch, id, superseded)?;
        }
    }
    let last_op_id = checkpoint.last_op_id.to_string();
    lines.control(&json!({ "checkpoint_complete": { "last_op_id": last_op_id } }))?;
    lines.control(&json!({ "token_expires_in": 0 }))?;
    lines.finish()
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

fn write_bucket(
    connection: &Connection,
    lines: &mut Lines<'_>,
    mut batch: Batch<'_>,
    id: i64,
    superseded: i64,
) -> Result<(), FormError> {
    let superseded = superseded as u32;
    if superseded != 0 {
        batch.clear(superseded.cast_signed());
    }
    let mut operations = connection.prepare_cached(
        "SELECT op_id, row_type, row_id, key, data, hash FROM ps_oplog WHERE bucket = ?1 ORDER BY op_id",
    )?;
    let mut rows = operations.query([id])?;
    while let Some(row) = rows.next()? {
        if batch.count >= LINE_OPERATIONS || batch.bytes >= LINE_BYTES {
            lines.data(&mut batch, true)?;
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
        batch.put(&put, op_id);
    }
    match batch.count {
        0 => Ok(()),
        _ => lines.data(&mut batch, false),
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
