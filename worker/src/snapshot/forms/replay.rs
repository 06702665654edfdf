//! Applies a stream as an SDK would, line by line and through the core extension.

use std::{fs::File, io::Read, path::Path};

use bytes::Bytes;
use rusqlite::{Connection, ToSql};
use serde_json::{Value, json};

use super::error::FormError;
use crate::powersync::{Line, LineBuffer, LineFormat};

/// How much is read at a time, in bytes.
const READ_BYTES: usize = 1 << 16;

/// Applies the stream in `file` to a database that never synced and has the app's tables. `schema` is the app's schema as
/// the SDK's JSON.
pub(super) fn replay(
    connection: &Connection,
    format: LineFormat,
    file: &Path,
    schema: &str,
) -> Result<(), FormError> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let start = json!({ "parameters": {}, "schema": schema, "include_defaults": true, "active_streams": [] });
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute(
        "INSERT OR REPLACE INTO ps_kv (key, value) VALUES ('client_id', uuid())",
        [],
    )?;
    control(connection, "start", Some(&start.to_string()))?;
    let mut last = None;
    each_line(file, format, |number, line| {
        let applied = match format {
            LineFormat::Ndjson => control(
                connection,
                "line_text",
                Some(&String::from_utf8_lossy(&line)),
            ),
            LineFormat::Bson => control(connection, "line_binary", Some(&line[..])),
        };
        last = Some(line);
        applied.map_err(|source| FormError::Line {
            line: number,
            source: source.into(),
        })
    })?;
    // Without it, an SDK would come back for the same stream for ever.
    if !last.is_some_and(|last| has_expired(format, &last)) {
        return Err(FormError::Unended);
    }
    control(connection, "stop", None::<&str>)?;
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Gives every line of `file` to `apply`, with its number, from 1.
fn each_line(
    file: &Path,
    format: LineFormat,
    mut apply: impl FnMut(usize, Bytes) -> Result<(), FormError>,
) -> Result<(), FormError> {
    let unreadable = |source| FormError::Read {
        path: file.to_owned(),
        source,
    };
    let mut input = File::open(file).map_err(unreadable)?;
    let mut buffer = LineBuffer::new(format);
    let mut piece = vec![0; READ_BYTES];
    let mut number = 0;
    loop {
        let read = input.read(&mut piece).map_err(unreadable)?;
        buffer.room().extend_from_slice(&piece[..read]);
        while let Some(Line { bytes, .. }) = buffer.take().map_err(|_| FormError::Unended)? {
            number += 1;
            apply(number, bytes)?;
        }
        if read == 0 {
            return match buffer.is_empty() {
                true => Ok(()),
                false => Err(FormError::Unended),
            };
        }
    }
}

/// Returns whether the line says that the token is no longer valid.
fn has_expired(format: LineFormat, line: &[u8]) -> bool {
    let expired = json!({ "token_expires_in": 0 });
    match format {
        LineFormat::Ndjson => {
            serde_json::from_slice::<Value>(line).is_ok_and(|line| line == expired)
        }
        LineFormat::Bson => {
            bson::deserialize_from_slice::<Value>(line).is_ok_and(|line| line == expired)
        }
    }
}

fn control(
    connection: &Connection,
    operation: &str,
    payload: Option<impl ToSql>,
) -> rusqlite::Result<()> {
    let mut control = connection.prepare_cached("SELECT powersync_control(?1, ?2)")?;
    control.query_row((operation, payload), |_| Ok(()))
}
