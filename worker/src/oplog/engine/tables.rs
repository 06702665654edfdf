//! Writes rows into their tables: line by line where that is simple, else in order at the end.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use super::hidden::Hidden;
use crate::oplog::sqlite::{DatabaseError, DeferredIndexes, quoted};

/// A table with more than one in so many operations is read by a full scan of `ps_oplog` and then sorted: that is
/// faster than reading its operations through the index, in the order of their ids.
const FULL_SCAN_ABOVE_ONE_IN: i64 = 4;

/// A table is written again at the end if more than one in so many of its rows were written that other buckets have as well.
const AGAIN_ABOVE_ONE_SHARED_IN: usize = 50;

/// The tables that rows go to.
pub(super) struct Tables {
    by_kind: BTreeMap<String, Table>,
    /// Whether a kind of row that has no table gets one.
    creates: bool,
}

/// The table of one kind of row.
enum Table {
    /// Rows are written after each line, each with the row id of its operation.
    Now(Now),
    /// Rows are written when all are there.
    Later,
}

struct Now {
    /// The table's name, quoted.
    table: String,
    hidden: Hidden,
    /// Whether it was created for the rows.
    is_new: bool,
    copy: String,
    delete: String,
    rows: usize,
}

impl Tables {
    pub(super) fn new(creates: bool) -> Self {
        let by_kind = BTreeMap::new();
        Self { by_kind, creates }
    }

    /// Writes the rows of these kinds of all operations from this row id on, now or at the end.
    pub(super) fn copy(
        &mut self,
        connection: &Connection,
        kinds: &[&str],
        first: i64,
    ) -> Result<(), DatabaseError> {
        for &kind in kinds {
            if !self.by_kind.contains_key(kind) {
                let table = Table::of(connection, kind, self.creates)?;
                self.by_kind.insert(kind.to_owned(), table);
            }
            if let Some(Table::Now(now)) = self.by_kind.get_mut(kind) {
                let mut copy = connection.prepare_cached(&now.copy)?;
                now.rows += copy.execute((first, kind))?;
            }
        }
        Ok(())
    }

    /// Removes the row of the operation with this row id, if it was written.
    pub(super) fn remove(
        &mut self,
        connection: &Connection,
        kind: &str,
        row: i64,
    ) -> Result<(), DatabaseError> {
        if let Some(Table::Now(now)) = self.by_kind.get_mut(kind) {
            now.rows -= connection.prepare_cached(&now.delete)?.execute([row])?;
        }
        Ok(())
    }

    /// Removes the rows of all operations in `temp.load_superseded`.
    pub(super) fn remove_superseded(
        &mut self,
        connection: &Connection,
    ) -> Result<(), DatabaseError> {
        for table in self.by_kind.values_mut() {
            if let Table::Now(now) = table {
                let table = &now.table;
                let delete = format!(
                    "DELETE FROM {table} WHERE rowid IN (SELECT operation FROM temp.load_superseded)"
                );
                now.rows -= connection.execute(&delete, [])?;
            }
        }
        Ok(())
    }

    /// Leaves the newest row of those that several buckets have, and builds the indexes. Returns the kinds whose rows are
    /// still to be written. Needs the index `ps_oplog_row`.
    pub(super) fn finish(self, connection: &Connection) -> Result<Vec<String>, DatabaseError> {
        let mut shared = self.older(connection)?;
        if !shared.is_empty() {
            // What is removed here may be in a file that is not copied any more.
            connection.pragma_update(None, "secure_delete", "on")?;
        }
        let mut later = Vec::new();
        for (kind, table) in self.by_kind {
            let Table::Now(now) = table else {
                later.push(kind);
                continue;
            };
            let older = shared.remove(&kind).unwrap_or_default();
            if older.len() * AGAIN_ABOVE_ONE_SHARED_IN > now.rows {
                connection.execute(&format!("DELETE FROM {}", now.table), [])?;
                later.push(kind);
            } else {
                for row in older {
                    connection.prepare_cached(&now.delete)?.execute([row])?;
                }
            }
            now.hidden.build(connection)?;
        }
        Ok(later)
    }

    /// Leaves the tables as they were.
    pub(super) fn empty(self, connection: &Connection) -> Result<(), DatabaseError> {
        for table in self.by_kind.into_values() {
            if let Table::Now(now) = table {
                connection.execute(&format!("DELETE FROM {}", now.table), [])?;
                now.hidden.build(connection)?;
                if now.is_new {
                    connection.execute_batch(&format!("DROP TABLE {}", now.table))?;
                }
            }
        }
        Ok(())
    }

    /// Returns, by their kind, the operations of rows that have newer ones.
    fn older(&self, connection: &Connection) -> Result<HashMap<String, Vec<i64>>, DatabaseError> {
        let mut older: HashMap<String, Vec<i64>> = HashMap::new();
        let mut tables = self.by_kind.values();
        if !tables.any(|table| matches!(table, Table::Now(_))) {
            return Ok(older);
        }
        // The index alone tells which rows have several operations; only those are looked up. Of several operations with the
        // highest id, which no service sends, this takes the one that the core extension takes.
        let mut shared = connection.prepare(
            "WITH shared AS MATERIALIZED (
                 SELECT row_type, row_id FROM ps_oplog INDEXED BY ps_oplog_row
                 GROUP BY row_type, row_id HAVING count(*) > 1),
             newest AS MATERIALIZED (
                 SELECT row_type, row_id, (
                     SELECT iif(max(op_id), o.rowid, NULL) FROM ps_oplog AS o INDEXED BY ps_oplog_row
                     WHERE o.row_type = shared.row_type AND o.row_id = shared.row_id) AS operation
                 FROM shared)
             SELECT o.row_type, o.rowid FROM newest CROSS JOIN ps_oplog AS o INDEXED BY ps_oplog_row
             ON o.row_type = newest.row_type AND o.row_id = newest.row_id WHERE o.rowid <> newest.operation",
        )?;
        let mut shared = shared.query([])?;
        while let Some(row) = shared.next()? {
            let kind = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            match older.get_mut(kind) {
                Some(rows) => rows.push(row.get(1)?),
                None => drop(older.insert(kind.to_owned(), vec![row.get(1)?])),
            }
        }
        Ok(older)
    }
}

impl Table {
    fn of(connection: &Connection, kind: &str, creates: bool) -> Result<Self, DatabaseError> {
        let name = format!("ps_data__{kind}");
        let table = quoted(&name);
        // SQLite takes names that differ in case for one.
        let known =
            "SELECT count(*), sum(name = ?1) FROM sqlite_master WHERE lower(name) = lower(?1)";
        let (known, same): (u64, Option<u64>) =
            connection.query_row(known, [&name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let is_new = known == 0 && creates;
        if is_new {
            connection.execute_batch(&format!(
                "CREATE TABLE {table}(id TEXT PRIMARY KEY NOT NULL, data TEXT)"
            ))?;
        } else if same != Some(1) {
            return Ok(Self::Later);
        }
        let Some(hidden) = Hidden::of(connection, &name)? else {
            return Ok(Self::Later);
        };
        Ok(Self::Now(Now {
            copy: format!(
                "INSERT INTO {table}(rowid, id, data)
                 SELECT rowid, row_id, data FROM ps_oplog WHERE rowid >= ?1 AND row_type = ?2"
            ),
            delete: format!("DELETE FROM {table} WHERE rowid = ?1"),
            table,
            hidden,
            is_new,
            rows: 0,
        }))
    }
}

/// Deletes every operation whose key a later operation or a REMOVE has, and counts its checksum as superseded. Returns
/// whether there were any; they are in `temp.load_superseded`.
pub(super) fn remove_superseded(connection: &Connection) -> Result<bool, DatabaseError> {
    connection.execute_batch(
        "CREATE TEMP TABLE load_superseded AS
             SELECT operation FROM (
                 SELECT rowid AS operation, lead(rowid) OVER (PARTITION BY bucket, key ORDER BY rowid) AS later
                 FROM ps_oplog)
             WHERE later IS NOT NULL
             UNION ALL
             SELECT o.rowid FROM temp.load_removed AS removed
             CROSS JOIN ps_oplog AS o ON o.bucket = removed.bucket AND o.key = removed.key
             WHERE o.rowid <= removed.until",
    )?;
    let deleted = connection.execute(
        "DELETE FROM ps_oplog WHERE rowid IN (SELECT operation FROM temp.load_superseded)",
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

/// Writes the newest operation of every row of these kinds into its table, in the order of the ids. Rows without a table go to
/// `ps_untyped`, where the core extension keeps them until there is one. Sorts rows only if they are all `small`.
pub(super) fn fill_tables(
    connection: &Connection,
    kinds: &[String],
    small: bool,
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
