//! A seed as a script with an SDK would make it, for comparison: the same stream and the same core extension,
//! but a database that others could read at the same time, in WAL mode, and a transaction for every line.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, ToSql};
use seedbed_worker::{
    oplog::{self, LineKind, ReadLine},
    powersync::{Line, LineFormat, PowerSyncClient, TokenSigner},
    settings::WorkerSettings,
};
use serde_json::{Value, json};
use testkit::pipeline::job;

/// What SQLite is allowed to keep of the file in memory, in KiB, as for a seed.
const CACHE_KIB: i64 = 128 * 1024;

/// Makes the file and says how long it waited for the stream.
pub(crate) async fn seed(
    settings: &WorkerSettings,
    store: &str,
    directory: &Path,
    file: &Path,
) -> anyhow::Result<Duration> {
    let connection = oplog::open(&directory.join("peer.sqlite"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    oplog::initialize(&connection)?;
    let products = json!({ "tables": [{ "name": "products", "columns": [
        { "name": "store_id", "type": "text" }, { "name": "name", "type": "text" }] }] });
    connection.query_row(
        "SELECT powersync_replace_schema(?1)",
        [products.to_string()],
        |_| Ok(()),
    )?;
    let start = json!({ "parameters": {}, "schema": products, "include_defaults": true });
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let request = request(&control(&connection, "start", start.to_string())?)?;
    connection.execute_batch("COMMIT")?;

    let job = job(store, json!({ "store_id": store }), Vec::new());
    let token = TokenSigner::new(&settings.token)?.sign(&job.scope)?;
    let service = PowerSyncClient::new(&settings.powersync)?;
    let mut waited = Duration::ZERO;
    let mut lines = service.open(request, &token).await?;
    loop {
        let waiting = Instant::now();
        let line = lines.next().await?.context("the stream ended early")?;
        waited += waiting.elapsed();
        let ReadLine { line, kind, .. } = ReadLine::read(line, false)?;
        lines.operation_arrived();
        connection.execute_batch("BEGIN IMMEDIATE")?;
        apply(&connection, &line)?;
        connection.execute_batch("COMMIT")?;
        if kind == LineKind::CheckpointComplete {
            break;
        }
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    control(&connection, "stop", rusqlite::types::Null)?;
    connection.execute_batch("COMMIT")?;
    connection.execute("DELETE FROM ps_kv WHERE key = 'client_id'", [])?;
    connection.execute("VACUUM INTO ?1", [file.to_string_lossy()])?;
    Ok(waited)
}

fn apply(connection: &Connection, line: &Line) -> anyhow::Result<()> {
    match line.format {
        LineFormat::Bson => control(connection, "line_binary", &line.bytes[..])?,
        LineFormat::Ndjson => control(connection, "line_text", std::str::from_utf8(&line.bytes)?)?,
    };
    Ok(())
}

fn control(
    connection: &Connection,
    operation: &str,
    payload: impl ToSql,
) -> anyhow::Result<String> {
    let mut statement = connection.prepare_cached("SELECT powersync_control(?1, ?2)")?;
    let instructions = statement.query_row((operation, payload), |row| row.get(0));
    let instructions: Option<String> = instructions.optional()?;
    instructions.context("the core extension answers")
}

fn request(instructions: &str) -> anyhow::Result<String> {
    let instructions: Vec<Value> = serde_json::from_str(instructions)?;
    let request = instructions
        .iter()
        .find_map(|instruction| instruction.pointer("/EstablishSyncStream/request"));
    Ok(request.context("it asks for a stream")?.to_string())
}
