//! Applies a stream as an SDK would, line by line and through the core extension.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use rusqlite::Connection;
use serde_json::json;

use super::error::FormError;

/// Applies the stream in `file` to a database that never synced and has the app's tables. `schema` is the app's schema as
/// the SDK's JSON.
pub(super) fn replay(connection: &Connection, file: &Path, schema: &str) -> Result<(), FormError> {
    let unreadable = |source| FormError::Read {
        path: file.to_owned(),
        source,
    };
    let lines = BufReader::new(File::open(file).map_err(unreadable)?).lines();
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap_or_default();
    let start = json!({ "parameters": {}, "schema": schema, "include_defaults": true, "active_streams": [] });
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute(
        "INSERT OR REPLACE INTO ps_kv (key, value) VALUES ('client_id', uuid())",
        [],
    )?;
    control(connection, "start", Some(&start.to_string()))?;
    let mut last = String::new();
    for (number, line) in lines.enumerate() {
        last = line.map_err(unreadable)?;
        control(connection, "line_text", Some(&last)).map_err(|source| FormError::Line {
            line: number + 1,
            source: source.into(),
        })?;
    }
    // Without it, an SDK would come back for the same stream for ever.
    if last != r#"{"token_expires_in":0}"# {
        return Err(FormError::Unended);
    }
    control(connection, "stop", None)?;
    connection.execute_batch("COMMIT")?;
    Ok(())
}

fn control(
    connection: &Connection,
    operation: &str,
    payload: Option<&str>,
) -> rusqlite::Result<()> {
    let mut control = connection.prepare_cached("SELECT powersync_control(?1, ?2)")?;
    control.query_row((operation, payload), |_| Ok(()))
}
