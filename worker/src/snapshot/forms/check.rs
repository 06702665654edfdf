//! Checks that a form becomes what the file is, when a device does with it what it is for.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use seedbed_protocol::manifest::{Finishing, Form};

use super::{compare::compare, error::FormError, finishing::finish, replay::replay};
use crate::{
    oplog::{InterruptOnDrop, Schema, initialize, open_alone},
    powersync::LineFormat,
    snapshot::verify::check_traces,
};

/// SQLite's page cache while a form is finished or replayed, in KiB.
const CACHE_KIB: u32 = 16 * 1024;

/// A form under check.
pub struct FormCheck {
    connection: Connection,
    form: Form,
    /// The form itself: the stream to replay; the databases were copied.
    path: PathBuf,
    schema: Schema,
}

impl FormCheck {
    /// Opens the check of a form, unpacked at `path`, against the verified `file`. Makes a database at `scratch`, as large as
    /// the file, which the caller removes.
    ///
    /// # Errors
    /// [`FormError`] when one cannot be opened.
    pub fn open(
        form: Form,
        path: &Path,
        file: &Path,
        scratch: &Path,
        schema: &Schema,
    ) -> Result<Self, FormError> {
        if !form.is_stream() {
            std::fs::copy(path, scratch).map_err(|source| FormError::Write {
                path: scratch.to_owned(),
                source,
            })?;
        }
        let connection = open_alone(scratch, CACHE_KIB)?;
        connection.execute("ATTACH ?1 AS file", [file.to_string_lossy()])?;
        Ok(Self {
            connection,
            form,
            path: path.to_owned(),
            schema: schema.clone(),
        })
    }

    /// Returns a guard that stops [`Self::run`] when it is dropped.
    pub(crate) fn interrupt(&self) -> InterruptOnDrop {
        InterruptOnDrop::of(&self.connection)
    }

    /// Finishes or replays the form, if that has to be done, and compares the result with the file, row by row. Blocks.
    ///
    /// # Errors
    /// [`FormError`] names the first thing that is wrong.
    pub fn run(self) -> Result<(), FormError> {
        let connection = &self.connection;
        let schema = self.schema.start_payload().to_string();
        match self.form {
            // It came another way, and has to be the same.
            Form::File => {}
            Form::Compact => {
                check_contents(connection)?;
                initialize(connection)?;
                create_app_tables(connection)?;
                finish(connection, &schema)?;
            }
            Form::Stream | Form::StreamBson => {
                let format = match self.form {
                    Form::StreamBson => LineFormat::Bson,
                    _ => LineFormat::Ndjson,
                };
                initialize(connection)?;
                create_app_tables(connection)?;
                take_what_no_stream_has(connection)?;
                replay(connection, format, &self.path, &schema)?;
            }
        }
        compare(connection, self.form, self.schema.raw_tables())
    }
}

/// Copies what a device's own SDK writes: the subscriptions that the app asks for, and the marker of the keys' format.
fn take_what_no_stream_has(connection: &Connection) -> Result<(), FormError> {
    connection.execute_batch(
        "INSERT INTO main.ps_stream_subscriptions SELECT * FROM file.ps_stream_subscriptions WHERE ttl IS NOT NULL;
         INSERT INTO main.ps_kv SELECT * FROM file.ps_kv",
    )?;
    Ok(())
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
