//! Copies a database into a file whose pages have reserved bytes at their end.

use std::path::Path;

use rusqlite::Connection;

use super::{error::SealError, format::PAGE_BYTES};
use crate::oplog::{open_alone, quoted};

/// SQLite's page cache while a file is copied, in KiB.
const CACHE_KIB: u32 = 16 * 1024;

/// Where the header has the reserved bytes of each page.
const RESERVED_AT: usize = 20;

/// Where the first page of a database without tables says, in two bytes, how far its free space goes: to the end of what is
/// not reserved.
const FREE_UNTIL_AT: usize = 105;

/// Pragmas that a copy takes over.
const KEPT: [&str; 2] = ["user_version", "application_id"];

/// Copies the database `file` to `target`, in which each page has so many reserved bytes. Blocks.
///
/// SQLite keeps the reserve that a file has, and offers nothing in SQL to set one: so the copy begins as a file without
/// tables, which is written here byte for byte, and is then filled as `VACUUM` would do it: tables and indexes record by
/// record, and what else is in the schema as it is.
///
/// # Errors
/// [`SealError`]; then `target` is incomplete.
pub(super) fn copy(file: &Path, target: &Path, reserved: u8) -> Result<(), SealError> {
    let failed = |source| SealError::File {
        path: target.to_owned(),
        source,
    };
    std::fs::write(target, empty(reserved)?).map_err(failed)?;
    let connection = open_alone(target, CACHE_KIB)?;
    connection.execute("ATTACH ?1 AS file", [file.to_string_lossy()])?;
    connection.execute_batch("BEGIN")?;
    for sql in texts(
        &connection,
        "SELECT sql FROM file.sqlite_schema
         WHERE sql IS NOT NULL AND type IN ('table', 'index') AND rootpage > 0 AND name NOT LIKE 'sqlite_%'
         ORDER BY type = 'index', rowid",
    )? {
        connection.execute_batch(&sql)?;
    }
    // SQLite makes its own tables when they are needed: `sqlite_sequence` is there already.
    for table in texts(
        &connection,
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' ORDER BY name = 'sqlite_sequence'",
    )? {
        fill(&connection, &table)?;
    }
    connection.execute_batch(
        "PRAGMA writable_schema = on;
         INSERT INTO main.sqlite_schema SELECT * FROM file.sqlite_schema
         WHERE type IN ('view', 'trigger') OR (type = 'table' AND rootpage = 0);
         PRAGMA writable_schema = off",
    )?;
    for pragma in KEPT {
        let value: i64 = connection.pragma_query_value(Some("file"), pragma, |row| row.get(0))?;
        connection.pragma_update(Some("main"), pragma, value)?;
    }
    connection.execute_batch("COMMIT")?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn fill(connection: &Connection, table: &str) -> Result<(), SealError> {
    let table = quoted(table);
    // Rows that creating a table may have made.
    connection.execute_batch(&format!("DELETE FROM main.{table}"))?;
    // A plain copy of a whole table moves records without decoding them, and keeps their row ids.
    connection.execute_batch(&format!(
        "INSERT INTO main.{table} SELECT * FROM file.{table}"
    ))?;
    Ok(())
}

fn texts(connection: &Connection, sql: &str) -> Result<Vec<String>, SealError> {
    let mut texts = connection.prepare(sql)?;
    let texts = texts.query_map([], |row| row.get(0))?;
    Ok(texts.collect::<Result<_, _>>()?)
}

/// Returns a database without tables whose pages have so many reserved bytes.
fn empty(reserved: u8) -> Result<Vec<u8>, SealError> {
    let connection = Connection::open_in_memory().map_err(SealError::from)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES as u64)?;
    // SQLite writes the first page with the first change.
    connection.pragma_update(None, "user_version", 1)?;
    connection.pragma_update(None, "user_version", 0)?;
    let mut page = connection.serialize("main")?.to_vec();
    page[RESERVED_AT] = reserved;
    let free_until = (PAGE_BYTES - usize::from(reserved)) as u16;
    page[FREE_UNTIL_AT..][..2].copy_from_slice(&free_until.to_be_bytes());
    Ok(page)
}

/// Returns the reserved bytes of each page of a database that begins with these bytes.
pub(super) fn reserved_in(first_page: &[u8; PAGE_BYTES]) -> u8 {
    first_page[RESERVED_AT]
}
