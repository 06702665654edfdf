//! Writes rows into their tables when all are in `ps_oplog`.

use rusqlite::Connection;

use crate::oplog::sqlite::{DatabaseError, DeferredIndexes, quoted};

/// A table with more than one in so many operations is read by a full scan of `ps_oplog` and then sorted: that is
/// faster than reading its operations through the index, in the order of their ids.
const FULL_SCAN_ABOVE_ONE_IN: i64 = 4;

/// Rows are sorted in memory if the largest has no more bytes: SQLite's sorter holds a row of each of the up to 16 runs
/// that it merges, and once more while it writes them.
const LARGEST_SORTED: usize = 256 << 10;

/// Writes the newest operation of every row of these kinds into its table, in the order of the ids. Rows without a table go to
/// `ps_untyped`, where the core extension keeps them until there is one. The `largest` row has so many bytes.
pub(super) fn fill_tables(
    connection: &Connection,
    kinds: &[String],
    largest: usize,
) -> Result<(), DatabaseError> {
    if kinds.is_empty() {
        return Ok(());
    }
    let all: i64 = connection.query_row("SELECT count(*) FROM ps_oplog", [], |row| row.get(0))?;
    let mut count = connection.prepare(
        "SELECT sum(operations), max(operations) > 1 FROM (
             SELECT count(*) AS operations FROM ps_oplog INDEXED BY ps_oplog_row WHERE row_type = ?1 GROUP BY row_id)",
    )?;
    for kind in kinds {
        let counted = count.query_row([kind], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (Some(operations), Some(shared)): (Option<i64>, Option<bool>) = counted else {
            continue;
        };
        let table = format!("ps_data__{kind}");
        let rows = match (shared, operations * FULL_SCAN_ABOVE_ONE_IN > all) {
            // A full scan and a sort: each page of the operations is read once.
            (false, true) if largest <= LARGEST_SORTED => {
                "SELECT row_id, data FROM ps_oplog NOT INDEXED WHERE row_type = ?1 ORDER BY row_id"
            }
            // Of several operations with the highest id, which no service sends, this takes the one that the core
            // extension takes.
            _ => {
                "SELECT row_id, iif(max(op_id), data, NULL) FROM ps_oplog INDEXED BY ps_oplog_row
                 WHERE row_type = ?1 GROUP BY row_id"
            }
        };
        let exists = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
        if connection.query_row(exists, [&table], |row| row.get::<_, u64>(0))? == 1 {
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
