//! Makes a compact file: PowerSync's own tables without what a device makes of them.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use rusqlite::Connection;
use seedbed_protocol::manifest::Finishing;

use super::error::FormError;
use crate::oplog::{DatabaseError, initialize, open, open_in_memory, quoted};

/// Tables whose rows stay behind: the core extension writes `ps_sync_state` when it applies the rows, and the others are
/// empty in a verified file.
const WITHOUT_ROWS: [&str; 4] = ["ps_sync_state", "ps_untyped", "ps_crud", "ps_updated_rows"];

/// Writes the compact form of the verified `file` to `target`. Blocks.
///
/// Tables are copied as they are, record by record and in their order, into a file that has no index on them; nothing is
/// journalled, since a failure throws the file away.
///
/// # Errors
/// [`FormError`]; then `target` is incomplete.
pub fn write_compact(file: &Path, target: &Path) -> Result<(), FormError> {
    std::fs::write(target, &*empty()?).map_err(|source| FormError::Write {
        path: target.to_owned(),
        source,
    })?;
    let connection = open(target)?;
    for (pragma, value) in [
        ("journal_mode", "off"),
        ("synchronous", "off"),
        ("locking_mode", "exclusive"),
    ] {
        connection.pragma_update(None, pragma, value)?;
    }
    connection.execute("ATTACH ?1 AS file", [file.to_string_lossy()])?;
    connection.execute_batch("BEGIN")?;
    for table in tables(&connection)? {
        if WITHOUT_ROWS.contains(&table.as_str()) {
            continue;
        }
        let source = match table == Finishing::OPLOG {
            true => "ps_oplog",
            false => &table,
        };
        let (table, source) = (quoted(&table), quoted(source));
        // A plain copy of the whole table moves records without decoding them.
        connection.execute_batch(&format!(
            "INSERT INTO main.{table} SELECT * FROM file.{source}"
        ))?;
    }
    connection.execute_batch("COMMIT")?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Returns the tables of the main database, but SQLite's own.
fn tables(connection: &Connection) -> Result<Vec<String>, DatabaseError> {
    let mut names = connection.prepare(
        "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )?;
    let names = names.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Returns the bytes of a compact file without rows, as this core extension has it. Made once and kept.
fn empty() -> Result<Arc<[u8]>, DatabaseError> {
    static EMPTY: OnceLock<Arc<[u8]>> = OnceLock::new();
    if let Some(empty) = EMPTY.get() {
        return Ok(Arc::clone(empty));
    }
    let connection = open_in_memory()?;
    initialize(&connection)?;
    for index in oplog_indexes(&connection)? {
        connection.execute_batch(&format!("DROP INDEX {}", quoted(&index)))?;
    }
    for table in tables(&connection)? {
        connection.execute_batch(&format!("DELETE FROM {}", quoted(&table)))?;
    }
    let name = quoted(Finishing::OPLOG);
    connection.execute_batch(&format!("ALTER TABLE ps_oplog RENAME TO {name}; VACUUM"))?;
    let file = connection.serialize("main")?;
    Ok(Arc::clone(EMPTY.get_or_init(|| Arc::from(&file[..]))))
}

fn oplog_indexes(connection: &Connection) -> Result<Vec<String>, DatabaseError> {
    let mut names = connection.prepare(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'ps_oplog' AND sql IS NOT NULL",
    )?;
    let names = names.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
