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

/// A file with at most so many bytes has a compact form that is made in memory.
const SMALL: u64 = 4 << 20;

/// Writes the compact form of the verified `file` to `target`. Blocks.
///
/// Tables are copied as they are, record by record and in their order, into a file that has no index on them; nothing is
/// journalled, since a failure throws the file away.
///
/// # Errors
/// [`FormError`]; then `target` is incomplete.
pub fn write_compact(file: &Path, target: &Path) -> Result<(), FormError> {
    match std::fs::metadata(file) {
        Ok(of) if of.len() > SMALL => write_on_disk(file, target),
        _ => write_in_memory(file, target),
    }
}

fn write_on_disk(file: &Path, target: &Path) -> Result<(), FormError> {
    store(target, &empty()?)?;
    let connection = open(target)?;
    for (pragma, value) in [
        ("journal_mode", "off"),
        ("synchronous", "off"),
        ("locking_mode", "exclusive"),
    ] {
        connection.pragma_update(None, pragma, value)?;
    }
    copy_from(&connection, file)?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Makes the form in memory and writes it at once, which takes about half as long as writing its pages one by one. Blocks.
fn write_in_memory(file: &Path, target: &Path) -> Result<(), FormError> {
    let mut connection = open_in_memory()?;
    let empty = empty()?;
    connection.deserialize_read_exact("main", &empty[..], empty.len(), false)?;
    copy_from(&connection, file)?;
    store(target, &connection.serialize("main")?)
}

fn store(target: &Path, bytes: &[u8]) -> Result<(), FormError> {
    std::fs::write(target, bytes).map_err(|source| FormError::Write {
        path: target.to_owned(),
        source,
    })
}

/// Copies the tables of `file` into those of the empty compact form.
fn copy_from(connection: &Connection, file: &Path) -> Result<(), FormError> {
    connection.execute("ATTACH ?1 AS file", [file.to_string_lossy()])?;
    connection.execute_batch("BEGIN")?;
    for table in tables(connection)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_in_memory_is_what_is_made_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let connection = open(&path("file.sqlite")).unwrap();
        initialize(&connection).unwrap();
        let fill = |rows: u32| {
            format!(
                "DELETE FROM ps_oplog;
                 WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO ps_oplog (bucket, op_id, row_type, row_id, key, data, hash)
                 SELECT 1, i, 't', i, i || '/k', printf('%.*c', 500, 'x'), i FROM n WHERE i <= {rows};"
            )
        };
        for rows in [0, 1, 3_000] {
            connection.execute_batch(&fill(rows)).unwrap();
            write_on_disk(&path("file.sqlite"), &path("disk")).unwrap();
            write_in_memory(&path("file.sqlite"), &path("memory")).unwrap();
            let [disk, memory] = ["disk", "memory"].map(|name| {
                let mut bytes = std::fs::read(path(name)).unwrap();
                // How often the file was changed: one is counted on disk alone.
                bytes[24..28].fill(0);
                bytes[92..96].fill(0);
                bytes
            });
            let differs = disk.iter().zip(&memory).position(|(a, b)| a != b);
            assert_eq!((disk.len(), differs), (memory.len(), None), "{rows} rows");
            let made = open(&path("memory")).unwrap();
            let count = format!("SELECT count(*) FROM {}", quoted(Finishing::OPLOG));
            let count: u32 = made.query_row(&count, [], |row| row.get(0)).unwrap();
            assert_eq!(count, rows);
        }
    }

    #[test]
    fn the_template_has_no_row_and_so_no_identity() {
        let mut template = open_in_memory().unwrap();
        let empty = empty().unwrap();
        let length = empty.len();
        template
            .deserialize_read_exact("main", &empty[..], length, false)
            .unwrap();
        let tables = tables(&template).unwrap();
        assert!(tables.iter().any(|table| table == Finishing::OPLOG));
        for table in tables {
            let rows = format!("SELECT count(*) FROM {}", quoted(&table));
            let rows: u32 = template.query_row(&rows, [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 0, "{table}");
        }
    }
}
