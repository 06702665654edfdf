//! Small queries that several checks share.

use rusqlite::{Connection, Row};

/// Runs a query that returns one number.
pub(super) fn count(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<u64, rusqlite::Error> {
    connection
        .prepare_cached(sql)?
        .query_row(parameters, |row| row.get(0))
}

/// Returns a column's bytes; `None` for NULL.
pub(super) fn bytes<'row>(
    row: &'row Row<'_>,
    column: usize,
) -> Result<Option<&'row [u8]>, rusqlite::Error> {
    Ok(row.get_ref(column)?.as_bytes_or_null()?)
}
