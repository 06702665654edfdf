//! Adds the operations of data lines to a database that has some already, as the core extension would, in place where it can.
//!
//! `ps_oplog`, `ps_buckets` and `ps_updated_rows` are after each line what the core extension makes of it, so that it can take
//! over at any time. Only the order of `ps_oplog` differs: an operation that supersedes another one of the same row takes its
//! place, which leaves its keys in two of the three indexes as they are, and no hole in the file.

use std::{collections::HashMap, sync::Arc};

use rusqlite::Connection;
use tracing::info;

use super::{
    changed::apply_changes,
    sums::{self, Sums},
};
use crate::oplog::{
    checkpoint::TargetCheckpoint,
    operations::{Batch, Change, Operation, Reason, RowKey},
    schema::Schema,
    sqlite::DatabaseError,
};

/// Adds data lines.
pub(super) struct Adder {
    /// The buckets that have had a line since the target was last changed.
    buckets: HashMap<String, Bucket>,
    target: Arc<TargetCheckpoint>,
    /// Whether it writes rows to their tables. Those of raw tables are written by statements that only the core extension runs.
    writes_rows: bool,
}

#[derive(Clone, Copy)]
struct Bucket {
    id: i64,
    /// The last operation whose rows were applied; 0 if there is none.
    last_applied: i64,
}

/// An operation that is superseded.
struct Old {
    operation: i64,
    hash: i32,
    /// Whether it is of the same row; keys of different rows may be the same text.
    is_of_same_row: bool,
}

impl Adder {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            buckets: HashMap::new(),
            target: Arc::default(),
            writes_rows: schema.raw_tables().is_empty(),
        }
    }

    /// Forgets the target of the previous stream.
    pub(super) fn restart(&mut self) {
        self.retarget(Arc::default());
    }

    /// Takes over a new or changed target. The core extension removes buckets that it lacks.
    pub(super) fn retarget(&mut self, target: Arc<TargetCheckpoint>) {
        self.target = target;
        self.buckets.clear();
    }

    /// Returns why the core extension has to take this line, if so.
    pub(super) fn objection(
        &mut self,
        connection: &Connection,
        batch: &Batch,
    ) -> Result<Option<Reason>, DatabaseError> {
        let applied = self.bucket(connection, batch.bucket())?.last_applied;
        // The core extension finds what to apply by the operations' ids.
        let mut operations = batch.operations.iter();
        let is_old = operations.any(|operation| operation.op_id <= applied);
        Ok(is_old.then_some("an operation that is older than what was applied"))
    }

    /// Adds a data line of so many bytes that has no [`Self::objection`].
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        batch: &Batch,
        bytes: usize,
    ) -> Result<(), DatabaseError> {
        let mut bucket = self.bucket(connection, batch.bucket())?;
        let mut sums = Sums::default();
        let mut key = String::new();
        for operation in &batch.operations {
            match &operation.change {
                Change::Put { row, .. } => {
                    batch.write_key(row, &mut key);
                    put(connection, bucket, &key, batch, operation, &mut sums)?;
                }
                Change::Remove { row } => {
                    batch.write_key(row, &mut key);
                    remove(connection, bucket, &key, batch, row, &mut sums)?;
                    sums.pass(operation.checksum);
                }
                Change::Move => sums.pass(operation.checksum),
                Change::Clear => {
                    clear(connection, bucket)?;
                    bucket.last_applied = 0;
                    sums = Sums {
                        superseded: operation.checksum,
                        kept: 0,
                    };
                }
            }
        }
        sums::record(connection, bucket.id, &sums, batch, bytes)?;
        self.buckets.insert(batch.bucket().to_owned(), bucket);
        Ok(())
    }

    fn bucket(&mut self, connection: &Connection, name: &str) -> Result<Bucket, DatabaseError> {
        if let Some(bucket) = self.buckets.get(name) {
            return Ok(*bucket);
        }
        // The update changes nothing, but lets SQLite return the row that is there.
        let mut find = connection.prepare_cached(
            "INSERT INTO ps_buckets(name) VALUES (?1)
             ON CONFLICT DO UPDATE SET last_applied_op = last_applied_op RETURNING id, last_applied_op",
        )?;
        let bucket = find.query_row([name], |row| {
            Ok(Bucket {
                id: row.get(0)?,
                last_applied: row.get(1)?,
            })
        })?;
        self.buckets.insert(name.to_owned(), bucket);
        Ok(bucket)
    }

    /// Returns whether the checksums are the service's, in every bucket up to this priority number.
    pub(super) fn matches(
        &self,
        connection: &Connection,
        priority: Option<u8>,
    ) -> Result<bool, DatabaseError> {
        sums::matches(connection, &self.target, priority)
    }

    /// Leaves the database to the core extension.
    pub(super) fn give_up(self, reason: Reason) {
        info!("the core extension adds what comes: {reason}");
    }

    /// Writes the rows of a complete checkpoint whose checksums are right. The core extension then has only to record it, and
    /// to write the rows if there are raw tables.
    pub(super) fn finish(
        self,
        connection: &Connection,
        schema: &Schema,
    ) -> Result<(), DatabaseError> {
        schema.create_inferred(connection)?;
        if self.writes_rows {
            apply_changes(connection)?;
            sums::all_applied(connection)?;
        }
        Ok(())
    }
}

/// Writes the operation of a PUT, in the place of what it supersedes if that is of the same row.
fn put(
    connection: &Connection,
    bucket: Bucket,
    key: &str,
    batch: &Batch,
    operation: &Operation,
    sums: &mut Sums,
) -> Result<(), DatabaseError> {
    let Change::Put { row, data } = &operation.change else {
        return Ok(());
    };
    let (op_id, data, hash) = (
        operation.op_id,
        batch.str(data),
        operation.checksum.cast_signed(),
    );
    let old = superseded(connection, bucket, key, batch, row)?;
    sums.keep(operation.checksum);
    if let [only] = &old[..]
        && only.is_of_same_row
    {
        sums.supersede(only.hash.cast_unsigned());
        let mut replace = connection.prepare_cached(
            "UPDATE ps_oplog SET op_id = ?2, data = ?3, hash = ?4 WHERE rowid = ?1",
        )?;
        replace.execute((only.operation, op_id, data, hash))?;
        return Ok(());
    }
    delete(connection, &old, sums)?;
    let (kind, id) = (batch.str(&row.kind), batch.str(&row.id));
    let mut insert = connection.prepare_cached(
        "INSERT INTO ps_oplog(bucket, op_id, key, row_type, row_id, data, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute((bucket.id, op_id, key, kind, id, data, hash))?;
    Ok(())
}

/// Removes the operations of a row, if there are any. If rows of the bucket were applied, this one has changed.
fn remove(
    connection: &Connection,
    bucket: Bucket,
    key: &str,
    batch: &Batch,
    row: &RowKey,
    sums: &mut Sums,
) -> Result<(), DatabaseError> {
    let old = superseded(connection, bucket, key, batch, row)?;
    delete(connection, &old, sums)?;
    if !old.is_empty() && bucket.last_applied != 0 {
        let mut updated = connection.prepare_cached(
            "INSERT OR IGNORE INTO ps_updated_rows(row_type, row_id) VALUES (?1, ?2)",
        )?;
        updated.execute((batch.str(&row.kind), batch.str(&row.id)))?;
    }
    Ok(())
}

/// Returns the operations that have a key; there is at most one, but in a file of another make.
fn superseded(
    connection: &Connection,
    bucket: Bucket,
    key: &str,
    batch: &Batch,
    row: &RowKey,
) -> Result<Vec<Old>, DatabaseError> {
    let mut find = connection.prepare_cached(
        "SELECT rowid, hash, row_type IS ?3 AND row_id IS ?4 FROM ps_oplog INDEXED BY ps_oplog_key
         WHERE bucket = ?1 AND key = ?2",
    )?;
    let (kind, id) = (batch.str(&row.kind), batch.str(&row.id));
    let found = find.query_map((bucket.id, key, kind, id), |row| {
        Ok(Old {
            operation: row.get(0)?,
            hash: row.get(1)?,
            is_of_same_row: row.get(2)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn delete(connection: &Connection, old: &[Old], sums: &mut Sums) -> Result<(), DatabaseError> {
    for old in old {
        sums.supersede(old.hash.cast_unsigned());
        let mut delete = connection.prepare_cached("DELETE FROM ps_oplog WHERE rowid = ?1")?;
        delete.execute([old.operation])?;
    }
    Ok(())
}

/// Empties a bucket. All of its rows may have changed.
fn clear(connection: &Connection, bucket: Bucket) -> Result<(), DatabaseError> {
    connection.execute(
        "INSERT OR IGNORE INTO ps_updated_rows(row_type, row_id) SELECT row_type, row_id FROM ps_oplog WHERE bucket = ?1",
        [bucket.id],
    )?;
    connection.execute("DELETE FROM ps_oplog WHERE bucket = ?1", [bucket.id])?;
    connection.execute(
        "UPDATE ps_buckets SET last_applied_op = 0, add_checksum = 0, op_checksum = 0 WHERE id = ?1",
        [bucket.id],
    )?;
    Ok(())
}
