//! Small queries that several checks share.

use rusqlite::{Connection, Row, types::ValueRef};

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

/// Returns a column's text; `None` for NULL.
///
/// # Errors
/// When it is something else: a blob of the same bytes is not the same to a client, and one flipped bit makes it one.
pub(super) fn text<'row>(
    row: &'row Row<'_>,
    column: usize,
) -> Result<Option<&'row [u8]>, rusqlite::Error> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Text(text) => Ok(Some(text)),
        other => {
            let name = row.as_ref().column_name(column)?.to_owned();
            let kind = other.data_type();
            Err(rusqlite::Error::InvalidColumnType(column, name, kind))
        }
    }
}
