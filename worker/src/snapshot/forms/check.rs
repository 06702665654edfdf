//! Checks that a compact file becomes what the file is, when it is finished as a device finishes it.

use std::path::Path;

use rusqlite::Connection;
use seedbed_protocol::manifest::Finishing;

use super::{compare::compare, error::FormError, finishing::finish};
use crate::{
    oplog::{InterruptOnDrop, Schema, initialize, open_alone},
    snapshot::verify::check_traces,
};

/// SQLite's page cache while a compact file is finished, in KiB.
const CACHE_KIB: u32 = 16 * 1024;

/// A compact file under check.
pub struct CompactCheck {
    connection: Connection,
    schema: Schema,
}

impl CompactCheck {
    /// Opens a compact file, which the check turns into something else: it has to be a copy.
    ///
    /// # Errors
    /// [`FormError`] when it cannot be opened.
    pub fn open(copy: &Path, file: &Path, schema: &Schema) -> Result<Self, FormError> {
        let connection = open_alone(copy, CACHE_KIB)?;
        connection.execute("ATTACH ?1 AS file", [file.to_string_lossy()])?;
        Ok(Self {
            connection,
            schema: schema.clone(),
        })
    }

    /// Returns a guard that stops [`Self::run`] when it is dropped.
    pub(crate) fn interrupt(&self) -> InterruptOnDrop {
        InterruptOnDrop::of(&self.connection)
    }

    /// Finishes the copy and compares it with the file, row by row. Blocks.
    ///
    /// # Errors
    /// [`FormError`] names the first thing that is wrong.
    pub fn run(self) -> Result<(), FormError> {
        let connection = &self.connection;
        check_contents(connection)?;
        initialize(connection)?;
        create_app_tables(connection)?;
        finish(connection, &self.schema.start_payload().to_string())?;
        compare(connection, self.schema.raw_tables())
    }
}

/// Refuses what a device would keep without knowing it.
fn check_contents(connection: &Connection) -> Result<(), FormError> {
    check_traces(connection).map_err(FormError::Traces)?;
    let mut rows = connection.prepare(
        "SELECT name FROM main.sqlite_master WHERE type IN ('view', 'trigger') OR name = 'ps_oplog'
           OR (type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> ?1
               AND (name GLOB 'ps_data_*' OR name NOT GLOB 'ps_*'))",
    )?;
    let mut names = rows.query_map([Finishing::OPLOG], |row| row.get::<_, String>(0))?;
    if let Some(name) = names.next() {
        return Err(FormError::NotCompact(name?));
    }
    for table in ["ps_sync_state", "ps_untyped", "ps_crud"] {
        let count = format!("SELECT count(*) FROM main.{table}");
        let rows: u64 = connection.query_row(&count, [], |row| row.get(0))?;
        if rows > 0 {
            return Err(FormError::NotCompact(format!("{rows} rows in {table}")));
        }
    }
    Ok(())
}

/// Makes the app's tables as the file has them, with their indexes, views and triggers.
fn create_app_tables(connection: &Connection) -> Result<(), FormError> {
    let mut missing = connection.prepare(
        "SELECT name, sql FROM file.sqlite_master AS object
         WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND name <> 'ps_oplog' AND tbl_name <> 'ps_oplog'
         ORDER BY type <> 'table', type <> 'index', type <> 'view', rowid",
    )?;
    let missing = missing.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let missing: Vec<(String, String)> = missing.collect::<Result<_, _>>()?;
    // A virtual table makes the tables below it by itself.
    let mut is_there =
        connection.prepare("SELECT EXISTS (SELECT 1 FROM main.sqlite_master WHERE name = ?1)")?;
    for (name, sql) in missing {
        if !is_there.query_row([&name], |row| row.get::<_, bool>(0))? {
            connection.execute_batch(&sql)?;
        }
    }
    Ok(())
}
