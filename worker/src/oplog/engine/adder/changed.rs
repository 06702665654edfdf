//! Writes the rows that have changed since the last complete checkpoint to their tables.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection};

use crate::oplog::sqlite::{DatabaseError, quoted};

/// The rows that may have changed, as the core extension finds them, in the order of their ids; each with its newest data, which
/// is NULL if no bucket has the row any more.
const CHANGED: &str = "
    WITH changed AS (
        SELECT o.row_type, o.row_id FROM ps_buckets AS buckets
            CROSS JOIN ps_oplog AS o ON o.bucket = buckets.id AND o.op_id > buckets.last_applied_op
        UNION ALL SELECT row_type, row_id FROM ps_updated_rows)
    SELECT row_type, row_id, (
        SELECT iif(max(o.op_id), o.data, NULL) FROM ps_oplog AS o INDEXED BY ps_oplog_row
        WHERE o.row_type = changed.row_type AND o.row_id = changed.row_id)
    FROM changed GROUP BY row_type, row_id";

/// Writes what has changed. A row that is there keeps its place.
pub(super) fn apply_changes(connection: &Connection) -> Result<(), DatabaseError> {
    let mut tables = Tables::default();
    let mut changed = connection.prepare(CHANGED)?;
    let mut rows = changed.query([])?;
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let data = row.get_ref(2)?.as_str_or_null();
        let data = data.map_err(rusqlite::Error::from)?;
        tables.write(connection, text(0)?, text(1)?, data)?;
    }
    drop(rows);
    connection.execute("DELETE FROM ps_updated_rows", [])?;
    Ok(())
}

/// The statements of each kind of rows.
#[derive(Default)]
struct Tables(HashMap<String, Table>);

/// Where one kind of rows goes to.
struct Table {
    write: String,
    delete: String,
    is_untyped: bool,
}

impl Tables {
    fn write(
        &mut self,
        connection: &Connection,
        kind: &str,
        id: &str,
        data: Option<&str>,
    ) -> Result<(), DatabaseError> {
        if !self.0.contains_key(kind) {
            let table = Table::of(connection, kind)?;
            self.0.insert(kind.to_owned(), table);
        }
        let table = &self.0[kind];
        let statement = |sql| -> Result<CachedStatement<'_>, DatabaseError> {
            Ok(connection.prepare_cached(sql)?)
        };
        match (data, table.is_untyped) {
            (Some(data), false) => statement(&table.write)?.execute((id, data))?,
            (None, false) => statement(&table.delete)?.execute([id])?,
            (Some(data), true) => statement(&table.write)?.execute((id, data, kind))?,
            (None, true) => statement(&table.delete)?.execute((id, kind))?,
        };
        Ok(())
    }
}

impl Table {
    fn of(connection: &Connection, kind: &str) -> Result<Self, DatabaseError> {
        let name = format!("ps_data__{kind}");
        let exists = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
        if connection.query_row(exists, [&name], |row| row.get::<_, u64>(0))? == 0 {
            return Ok(Self {
                write: "REPLACE INTO ps_untyped(id, data, type) VALUES (?1, ?2, ?3)".to_owned(),
                delete: "DELETE FROM ps_untyped WHERE id = ?1 AND type = ?2".to_owned(),
                is_untyped: true,
            });
        }
        let table = quoted(&name);
        Ok(Self {
            write: format!(
                "INSERT INTO {table}(id, data) VALUES (?1, ?2)
                 ON CONFLICT(id) DO UPDATE SET data = excluded.data WHERE data IS NOT excluded.data"
            ),
            delete: format!("DELETE FROM {table} WHERE id = ?1"),
            is_untyped: false,
        })
    }
}
