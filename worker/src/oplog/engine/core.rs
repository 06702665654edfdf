//! Drives the core extension through `powersync_control`, as an SDK would: start, line after line, stop.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, ToSql};
use seedbed_protocol::message::StreamSubscription;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    oplog::sqlite::DatabaseError,
    powersync::{Line, LineFormat},
};

/// The core extension's side of one sync.
pub(super) struct CoreSync {
    /// The argument of `start`.
    payload: String,
    stream: Stream,
}

/// The core extension's view of the current stream.
enum Stream {
    Open,
    /// The core extension wants no more of this stream, and why.
    Closed(String),
}

impl CoreSync {
    /// Returns a sync that starts with `payload`; no stream is open yet.
    pub(super) fn new(payload: String) -> Self {
        Self {
            payload,
            stream: Stream::Closed(String::new()),
        }
    }

    /// Opens a stream and returns the body of the request for it.
    pub(super) fn start(&mut self, connection: &Connection) -> Result<String, DatabaseError> {
        #[derive(Deserialize)]
        struct Establish<'a> {
            #[serde(borrow)]
            request: &'a RawValue,
        }
        let instructions = control(connection, "start", &self.payload)?;
        self.stream = Stream::Open;
        let mut requests: Vec<Establish<'_>> = instructions.all("EstablishSyncStream")?;
        let request = requests
            .pop()
            .map(|establish| establish.request.to_string());
        request.ok_or_else(|| DatabaseError::Core("it asked for no stream".to_owned()))
    }

    /// Returns whether the core extension takes lines.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stream, Stream::Open)
    }

    /// Applies a line; returns whether the sync is complete now.
    pub(super) fn line(
        &mut self,
        connection: &Connection,
        line: &Line,
    ) -> Result<bool, DatabaseError> {
        if !self.is_open() {
            // It was under way when the core extension closed the stream, and will be asked for again.
            return Ok(false);
        }
        let instructions = match line.format {
            LineFormat::Bson => control(connection, "line_binary", &line.bytes[..])?,
            LineFormat::Ndjson => {
                let text = std::str::from_utf8(&line.bytes)
                    .map_err(|e| DatabaseError::Core(format!("a line is not UTF-8: {e}")))?;
                control(connection, "line_text", text)?
            }
        };
        let warnings = instructions.log()?;
        if instructions.has("CloseSyncStream") {
            let reason = if warnings.is_empty() {
                "it closed the stream".to_owned()
            } else {
                warnings
            };
            self.stream = Stream::Closed(reason);
        }
        Ok(instructions.has("DidCompleteSync"))
    }

    /// Returns why the core extension closed the stream; `None` while it is open.
    pub(super) fn closed_because(&self) -> Option<&str> {
        match &self.stream {
            Stream::Open => None,
            Stream::Closed(reason) => Some(reason),
        }
    }

    /// Ends the sync, whose prepared statements would outlive the transaction.
    pub(super) fn stop(&self, connection: &Connection) -> Result<(), DatabaseError> {
        control(connection, "stop", rusqlite::types::Null)?;
        Ok(())
    }
}

/// Records an explicit subscription that stays valid for `ttl` seconds.
pub(super) fn subscribe(
    connection: &Connection,
    stream: &StreamSubscription,
    ttl: u64,
) -> Result<(), DatabaseError> {
    let request = json!({ "subscribe": {
        "stream": { "name": stream.stream, "params": stream.parameters },
        "ttl": ttl,
        "priority": stream.priority,
    } });
    // Unlike the other operations, this one answers with NULL.
    connection.query_row(
        "SELECT powersync_control('subscriptions', ?1)",
        [request.to_string()],
        |_| Ok(()),
    )?;
    Ok(())
}

fn control(
    connection: &Connection,
    operation: &str,
    payload: impl ToSql,
) -> Result<Instructions, DatabaseError> {
    let mut statement = connection.prepare_cached("SELECT powersync_control(?1, ?2)")?;
    let json: Option<String> = statement
        .query_row((operation, payload), |row| row.get(0))
        .optional()?;
    Ok(Instructions(json.unwrap_or_else(|| "[]".to_owned())))
}

/// The core extension's answer: a JSON array of objects with one field each.
struct Instructions(String);

impl Instructions {
    fn has(&self, name: &str) -> bool {
        // Cheaper than parsing the download progress that comes with every line. A field's name cannot stand in a
        // text with its quotes unescaped.
        self.0.contains(&format!("{{\"{name}\":"))
    }

    /// Returns the bodies of all instructions with this name.
    fn all<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Result<Vec<T>, DatabaseError> {
        let unexpected = |e: serde_json::Error| {
            DatabaseError::Core(format!("an instruction cannot be read: {e}"))
        };
        let instructions: Vec<HashMap<&str, &RawValue>> =
            serde_json::from_str(&self.0).map_err(unexpected)?;
        let bodies = instructions
            .iter()
            .filter_map(|instruction| instruction.get(name));
        bodies
            .map(|body| serde_json::from_str(body.get()).map_err(unexpected))
            .collect()
    }

    /// Logs the core extension's log lines and returns its warnings.
    fn log(&self) -> Result<String, DatabaseError> {
        #[derive(Deserialize)]
        struct LogLine {
            severity: String,
            line: String,
        }
        let mut warnings = Vec::new();
        // Most answers have no log line, and parsing their download progress is not worth it.
        let logged: Vec<LogLine> = if self.has("LogLine") {
            self.all("LogLine")?
        } else {
            Vec::new()
        };
        for LogLine { severity, line } in logged {
            if severity == "WARNING" {
                tracing::warn!("core extension: {line}");
                warnings.push(line);
            } else {
                tracing::debug!("core extension: {line}");
            }
        }
        Ok(warnings.join("; "))
    }
}
