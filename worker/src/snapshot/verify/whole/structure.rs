//! Checks that the file is a sound database: finds what `integrity_check` finds, in less time.
//!
//! `integrity_check` looks every row up in every index, each time in a random place. Here, `quick_check` does
//! everything else, and each index is read once from front to back: it has to be sorted, and to hold the entries of
//! the table's rows, compared by an order-independent sum. Indexes that cannot be compared so simply are left to
//! `integrity_check`.

use std::hash::{BuildHasher, RandomState};

use rusqlite::{Connection, Row, types::ValueRef};

use crate::{
    oplog::quoted,
    snapshot::verify::{
        error::VerifyError,
        pages::{Entry, Index, Sum, Value},
    },
};

/// SQLite's page cache during the check, in KiB, for the tables that are left to `integrity_check`.
pub(in crate::snapshot::verify) const CACHE_KIB: i64 = 64 * 1024;

/// Checks the whole file.
pub(in crate::snapshot::verify) fn check(connection: &Connection) -> Result<(), VerifyError> {
    sound(connection.pragma_query_value(None, "quick_check", |row| row.get(0))?)?;
    let mut tables = connection.prepare(
        "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name <> 'sqlite_schema'",
    )?;
    let hasher = RandomState::new();
    let mut tables = tables.query([])?;
    while let Some(table) = tables.next()? {
        let (name, without_row_ids): (String, bool) = (table.get(0)?, table.get(1)?);
        // Other tables may have a column with any name, even that of the row id.
        let is_internal = name.starts_with("ps_") && !without_row_ids;
        let checked = match Index::all_of(connection, &name)? {
            Some(indexes) if is_internal => check_indexes(connection, &name, &indexes, &hasher)?,
            _ => false,
        };
        if !checked {
            check_table(connection, &name)?;
        }
    }
    Ok(())
}

/// Leaves a table and its indexes to `integrity_check`.
pub(in crate::snapshot::verify) fn check_table(
    connection: &Connection,
    table: &str,
) -> Result<(), VerifyError> {
    let check = format!("PRAGMA integrity_check({})", quoted(table));
    sound(connection.query_row(&check, [], |row| row.get(0))?)
}

fn sound(result: String) -> Result<(), VerifyError> {
    if result == "ok" {
        Ok(())
    } else {
        Err(VerifyError::Integrity(result))
    }
}

/// Checks a table's indexes; returns `false` when one holds values whose order is not that simple.
fn check_indexes(
    connection: &Connection,
    table: &str,
    indexes: &[Index],
    hasher: &RandomState,
) -> Result<bool, VerifyError> {
    if indexes.is_empty() {
        return Ok(true);
    }
    let Some(expected) = sums_of_rows(connection, table, indexes, hasher)? else {
        return Ok(false);
    };
    for (index, expected) in indexes.iter().zip(expected) {
        match sum_of_entries(connection, table, index, hasher)? {
            None => return Ok(false),
            Some(sum) if sum != expected => {
                return Err(index.wrong(table, "does not have its rows"));
            }
            Some(_) => {}
        }
    }
    Ok(true)
}

/// Returns the sum that each index has to have, from one pass over the table.
fn sums_of_rows(
    connection: &Connection,
    table: &str,
    indexes: &[Index],
    hasher: &RandomState,
) -> Result<Option<Vec<Sum>>, VerifyError> {
    let entries: Vec<_> = indexes.iter().map(Index::entry).collect();
    let mut rows = connection.prepare(&format!(
        "SELECT {} FROM {} NOT INDEXED",
        entries.join(", "),
        quoted(table)
    ))?;
    let mut rows = rows.query([])?;
    let mut sums = vec![Sum::default(); indexes.len()];
    let mut entry = Entry::default();
    while let Some(row) = rows.next()? {
        let mut first = 0;
        for (index, sum) in indexes.iter().zip(&mut sums) {
            if !read_entry(&mut entry, row, first, index.columns().len())? {
                return Ok(None);
            }
            sum.add(hasher.hash_one(&entry.bytes));
            first += index.columns().len() + 1;
        }
    }
    Ok(Some(sums))
}

/// Returns the sum of an index's entries; fails if it is not sorted.
fn sum_of_entries(
    connection: &Connection,
    table: &str,
    index: &Index,
    hasher: &RandomState,
) -> Result<Option<Sum>, VerifyError> {
    let columns = index.entry();
    let mut entries = connection.prepare(&format!(
        "SELECT {columns} FROM {} INDEXED BY {} ORDER BY {columns}",
        quoted(table),
        quoted(index.name())
    ))?;
    let mut entries = entries.query([])?;
    let mut sum = Sum::default();
    let (mut previous, mut entry) = (Entry::default(), Entry::default());
    while let Some(row) = entries.next()? {
        if !read_entry(&mut entry, row, 0, index.columns().len())? {
            return Ok(None);
        }
        if entry.bytes <= previous.bytes {
            return Err(index.wrong(table, "is not sorted"));
        }
        if index.is_unique() && !entry.has_null && entry.key() == previous.key() {
            return Err(index.wrong(table, "is not unique"));
        }
        sum.add(hasher.hash_one(&entry.bytes));
        std::mem::swap(&mut previous, &mut entry);
    }
    Ok(Some(sum))
}

/// Reads so many columns and the row id; returns `false` for a value whose order is not simply that of its bytes.
fn read_entry(
    entry: &mut Entry,
    row: &Row<'_>,
    first: usize,
    columns: usize,
) -> Result<bool, VerifyError> {
    entry.clear();
    for column in first..=first + columns {
        let value = match row.get_ref(column)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Real(number) => Value::Real(number),
            ValueRef::Text(text) => Value::Text(text),
            ValueRef::Blob(blob) => Value::Blob(blob),
        };
        if !entry.push(value) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oplog;

    fn example() -> Connection {
        let connection = oplog::open_in_memory().unwrap();
        oplog::initialize(&connection).unwrap();
        connection
            .execute_batch(
                "CREATE TEMP VIEW numbers AS
                 WITH RECURSIVE n(value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 500)
                 SELECT value FROM n;
                 INSERT INTO ps_oplog (bucket, op_id, row_type, row_id, key, data, hash)
                 SELECT value % 3, value, iif(value % 7 = 0, NULL, 't'), value * 7919 % 1000, value || '/k', 'data', -value
                 FROM numbers;
                 INSERT INTO ps_kv VALUES ('a', 1.5), ('b', NULL);
                 CREATE TABLE app (rowid TEXT, n REAL);
                 CREATE INDEX app_index ON app (n DESC, rowid COLLATE NOCASE);
                 CREATE INDEX app_expression ON app (n + 1) WHERE n > 1;
                 INSERT INTO app SELECT value, value / 3.0 FROM numbers;
                 CREATE TABLE ps_data__t (id TEXT PRIMARY KEY NOT NULL, data TEXT);
                 INSERT INTO ps_data__t SELECT value, 'data' FROM numbers;",
            )
            .unwrap();
        connection
    }

    #[test]
    fn a_sound_database_is_sound() {
        check(&example()).unwrap();
    }

    #[test]
    fn an_index_that_lacks_or_has_an_entry_too_much_is_found() {
        // Rows that are written while SQLite does not know of an index are not in it.
        for index in ["ps_oplog_row", "ps_oplog_key", "ps_oplog_opid"] {
            for change in [
                "INSERT INTO ps_oplog VALUES (9, 999, 't', 'new', 'new/k', NULL, 0)",
                "DELETE FROM ps_oplog WHERE op_id = 77",
                "UPDATE ps_oplog SET bucket = 5, row_id = 'other' WHERE op_id = 77",
            ] {
                let error = without_index(index, change).unwrap_err();
                assert!(
                    matches!(&error, VerifyError::Integrity(reason) if reason.contains(index)),
                    "{change}: {error}"
                );
            }
        }
    }

    fn without_index(index: &str, change: &str) -> Result<(), VerifyError> {
        let connection = example();
        let (root, sql): (i64, String) = connection
            .query_row(
                "SELECT rootpage, sql FROM sqlite_master WHERE name = ?1",
                [index],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        let script = format!(
            "PRAGMA writable_schema = on;
             DELETE FROM sqlite_master WHERE name = '{index}';
             PRAGMA writable_schema = reset;
             {change};
             PRAGMA writable_schema = on;
             INSERT INTO sqlite_master VALUES ('index', '{index}', 'ps_oplog', {root}, '{sql}');
             PRAGMA writable_schema = reset;"
        );
        connection.execute_batch(&script).unwrap();
        check(&connection)
    }
}
