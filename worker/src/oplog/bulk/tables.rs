//! Writes the rows of a loaded checkpoint into their tables, in order.

use std::collections::HashSet;

use rusqlite::Connection;

use crate::oplog::sqlite::{DatabaseError, DeferredIndexes, quoted};

/// A table with more than one in so many operations is read by a full scan of `ps_oplog` and then sorted: that is
/// faster than reading its operations through the index, in the order of their ids.
const FULL_SCAN_ABOVE_ONE_IN: i64 = 4;

/// Deletes every operation whose key a later operation or a REMOVE has, and counts its checksum as superseded. Returns
/// whether there were any.
pub(super) fn remove_superseded(connection: &Connection) -> Result<bool, DatabaseError> {
    let deleted = connection.execute(
        "DELETE FROM ps_oplog WHERE rowid IN (
             SELECT operation FROM (
                 SELECT rowid AS operation, lead(rowid) OVER (PARTITION BY bucket, key ORDER BY rowid) AS later
                 FROM ps_oplog)
             WHERE later IS NOT NULL
             UNION ALL
             SELECT o.rowid FROM temp.load_removed AS removed
             CROSS JOIN ps_oplog AS o ON o.bucket = removed.bucket AND o.key = removed.key
             WHERE o.rowid <= removed.until)",
        [],
    )?;
    connection.execute(
        "UPDATE ps_buckets SET (add_checksum, op_checksum) = (
             SELECT (add_checksum + op_checksum - kept) & 0xffffffff, kept FROM (
                 SELECT coalesce(sum(hash), 0) & 0xffffffff AS kept FROM ps_oplog WHERE bucket = ps_buckets.id))",
        [],
    )?;
    Ok(deleted > 0)
}

/// Writes the newest operation of every row into its table, in the order of the ids. Rows without a table go to
/// `ps_untyped`, where the core extension keeps them until there is one. Sorts rows only if they are all `small`.
pub(super) fn fill_tables(connection: &Connection, small: bool) -> Result<(), DatabaseError> {
    let all: i64 = connection.query_row("SELECT count(*) FROM ps_oplog", [], |row| row.get(0))?;
    let mut kinds = connection.prepare(
        "SELECT row_type, sum(operations), max(operations) > 1 FROM (
             SELECT row_type, count(*) AS operations FROM ps_oplog INDEXED BY ps_oplog_row GROUP BY row_type, row_id)
         GROUP BY row_type",
    )?;
    let kinds: Vec<(String, i64, bool)> = kinds
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut tables = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
    let tables: HashSet<String> = tables
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for (kind, operations, shared) in &kinds {
        let table = format!("ps_data__{kind}");
        let rows = match (shared, operations * FULL_SCAN_ABOVE_ONE_IN > all) {
            // A full scan and a sort: each page of the operations is read once.
            (false, true) if small => {
                "SELECT row_id, data FROM ps_oplog NOT INDEXED WHERE row_type = ?1 ORDER BY row_id"
            }
            // Of several operations with the highest id, which no service sends, this takes the one that the core
            // extension takes.
            _ => {
                "SELECT row_id, iif(max(op_id), data, NULL) FROM ps_oplog INDEXED BY ps_oplog_row
                 WHERE row_type = ?1 GROUP BY row_id"
            }
        };
        if tables.contains(&table) {
            let mut indexes = DeferredIndexes::take_all_of(connection, &table)?;
            let table = quoted(&table);
            connection.execute(&format!("INSERT INTO {table}(id, data) {rows}"), [kind])?;
            indexes.build(connection)?;
        } else {
            let untyped =
                format!("INSERT INTO ps_untyped(type, id, data) SELECT ?1, * FROM ({rows})");
            connection.execute(&untyped, [kind])?;
        }
    }
    Ok(())
}
