//! Compares every row of every table with its newest operation.

use foldhash::quality::FixedState;
use rusqlite::Connection;
use seedbed_protocol::manifest::TableRows;

use super::{
    error::VerifyError,
    operations::{Fingerprint, Operations},
    readable::{ClientView, UnreadableRows},
    sql::{count, text},
};
use crate::oplog::{RawTable, quoted};

/// Finds rows without a table, which no client could see.
pub(super) fn check_untyped(connection: &Connection) -> Result<(), VerifyError> {
    let mut untyped = connection.prepare("SELECT type, count(*) FROM ps_untyped GROUP BY type")?;
    let mut rows = untyped.query([])?;
    match rows.next()? {
        Some(row) => Err(VerifyError::Untyped {
            kind: row.get(0)?,
            rows: row.get(1)?,
        }),
        None => Ok(()),
    }
}

/// Compares every row of every `ps_data__*` table with its newest operation, in both directions, and reads it as a client
/// will, which `read` does. Returns the rows of each table, and those that no client can read.
pub(super) fn check_rows(
    connection: &Connection,
    operations: &Operations,
    raw_tables: &[RawTable],
    mut read: impl FnMut(&str) -> Result<(Fingerprint, Option<UnreadableRows>), VerifyError>,
) -> Result<(Vec<TableRows>, Vec<UnreadableRows>), VerifyError> {
    let (mut tables, mut unreadable) = (Vec::new(), Vec::new());
    let mut without_table = operations.rows.clone();
    let mut names = connection.prepare(
        "SELECT substr(name, 10) FROM sqlite_master WHERE type = 'table' AND name GLOB 'ps_data__*'",
    )?;
    for table in names.query_map([], |row| row.get::<_, String>(0))? {
        let table = table?;
        let expected = without_table.remove(&table).unwrap_or_default();
        let (found, unreadable_rows) = read(&table)?;
        unreadable.extend(unreadable_rows);
        if found != expected {
            explain_difference(connection, &table)?;
        }
        tables.push(TableRows {
            table,
            rows: found.rows,
        });
    }
    for raw in raw_tables {
        let expected = without_table.remove(&raw.name).unwrap_or_default();
        tables.push(check_raw_table(connection, raw, expected.rows)?);
    }
    if let Some((kind, rows)) = without_table.into_iter().find(|(_, rows)| rows.rows > 0) {
        return Err(VerifyError::Untyped {
            kind,
            rows: rows.rows,
        });
    }
    Ok((tables, unreadable))
}

/// Reads every row of a table by SQLite.
pub(super) fn read_table(
    connection: &Connection,
    table: &str,
    hasher: &FixedState,
) -> Result<(Fingerprint, Option<UnreadableRows>), VerifyError> {
    let mut view = ClientView::of(connection, table)?;
    let mut found = Fingerprint::default();
    let mut all = connection.prepare(&format!("SELECT id, data FROM {}", stored_table(table)))?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (id, data) = (text(row, 0)?, text(row, 1)?);
        let (id, data) = (id.unwrap_or_default(), data.unwrap_or_default());
        found.add(hasher, id, data);
        view.read(id, data)?;
    }
    Ok((found, view.unreadable()))
}

/// Counts what is wrong with a table whose fingerprint is not that of its operations. Finds nothing wrong when one
/// operation arrived through two buckets, which the fingerprint counts twice.
fn explain_difference(connection: &Connection, table: &str) -> Result<(), VerifyError> {
    let stored = stored_table(table);
    let compare = format!(
        "WITH newest AS MATERIALIZED (
             SELECT row_id, max(op_id), data FROM ps_oplog WHERE row_type = ?1 GROUP BY row_id)
         SELECT
             (SELECT count(*) FROM {stored} AS s JOIN newest ON newest.row_id = s.id AND newest.data IS NOT s.data),
             (SELECT count(*) FROM newest WHERE data IS NOT NULL AND row_id NOT IN (SELECT id FROM {stored})),
             (SELECT count(*) FROM {stored} WHERE id NOT IN (SELECT row_id FROM newest WHERE data IS NOT NULL))"
    );
    let counts = connection.query_row(&compare, [table], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    match counts {
        (0, 0, 0) => Ok(()),
        (wrong, missing, extra) => Err(VerifyError::Rows {
            table: table.to_owned(),
            wrong,
            missing,
            extra,
        }),
    }
}

fn stored_table(table: &str) -> String {
    quoted(&format!("ps_data__{table}"))
}

/// Compares the number of a raw table's rows: the app's own statements fill it, so its data cannot be compared.
fn check_raw_table(
    connection: &Connection,
    raw: &RawTable,
    operations: u64,
) -> Result<TableRows, VerifyError> {
    let rows = count(
        connection,
        &format!("SELECT count(*) FROM {}", quoted(&raw.table)),
        [],
    )?;
    let (missing, extra) = (
        operations.saturating_sub(rows),
        rows.saturating_sub(operations),
    );
    if missing + extra > 0 {
        return Err(VerifyError::Rows {
            table: raw.table.clone(),
            wrong: 0,
            missing,
            extra,
        });
    }
    Ok(TableRows {
        table: raw.table.clone(),
        rows,
    })
}
