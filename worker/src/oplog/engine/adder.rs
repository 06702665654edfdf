//! Adds the operations of data lines to a database that has some already, as the core extension would, in place where it can.
//!
//! `ps_oplog`, `ps_buckets` and `ps_updated_rows` are after each line what the core extension makes of it, so that it can take
//! over at any time. Only the order of `ps_oplog` differs: an operation that supersedes another one of the same row takes its
//! place, which leaves its keys in two of the three indexes as they are, and no hole in the file.

mod changed;
mod finder;
mod keys;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use rusqlite::Connection;
use seedbed_protocol::OpId;
use tracing::info;

use self::{
    changed::apply_changes,
    finder::{Finder, Found, Wanted},
};
use super::{
    options::Written,
    sums::{self, Progress, Sums},
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
    finder: Finder,
    /// The memory for keys while indexes are dropped, in bytes.
    most_bytes: usize,
    /// How many operations were there, as soon as that is known, and how many are new.
    there: Option<u64>,
    new: u64,
    /// How many more will be new because their bucket is.
    expected: u64,
    written: Written,
    /// Whether it writes rows to their tables. Those of raw tables are written by statements that only the core extension runs.
    writes_rows: bool,
}

#[derive(Clone, Copy)]
struct Bucket {
    id: i64,
    /// The last operation whose rows were applied; 0 if there is none.
    last_applied: i64,
}

impl Adder {
    /// Adds within so many KiB of memory, besides SQLite's.
    pub(super) fn new(schema: &Schema, memory_kib: u32) -> Self {
        Self {
            buckets: HashMap::new(),
            target: Arc::default(),
            finder: Finder::default(),
            most_bytes: memory_kib as usize * 1024,
            there: None,
            new: 0,
            expected: 0,
            written: Written {
                added: true,
                ..Written::default()
            },
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
        self.there = None;
    }

    /// Returns how it has written so far.
    pub(super) fn written(&self) -> Written {
        self.written
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
        self.keep_or_drop_indexes(connection)?;
        let mut bucket = self.bucket(connection, batch.bucket())?;
        let mut new = Progress::default();
        let sums = &mut new.sums;
        let mut key = String::new();
        for operation in &batch.operations {
            match &operation.change {
                Change::Put { row, data } => {
                    let wanted = wanted(bucket, batch, row, &mut key);
                    self.put(connection, wanted, batch.str(data), operation, sums)?;
                }
                Change::Remove { row } => {
                    let wanted = wanted(bucket, batch, row, &mut key);
                    self.remove(connection, bucket, wanted, sums)?;
                    sums.pass(operation.checksum);
                }
                Change::Move => sums.pass(operation.checksum),
                Change::Clear => {
                    clear(connection, bucket)?;
                    bucket.last_applied = 0;
                    *sums = Sums {
                        superseded: operation.checksum,
                        kept: 0,
                    };
                }
            }
        }
        new.count(batch, bytes);
        sums::record(connection, bucket.id, &new)?;
        self.buckets.insert(batch.bucket().to_owned(), bucket);
        Ok(())
    }

    /// Writes the operation of a PUT, in the place of what it supersedes if that is of the same row.
    fn put(
        &mut self,
        connection: &Connection,
        wanted: Wanted<'_>,
        data: &str,
        operation: &Operation,
        sums: &mut Sums,
    ) -> Result<(), DatabaseError> {
        let (op_id, hash) = (operation.op_id, operation.checksum.cast_signed());
        let old = self.finder.find(connection, wanted)?;
        sums.keep(operation.checksum);
        if let [only] = &old[..]
            && only.is_of_same_row
        {
            sums.supersede(only.hash.cast_unsigned());
            let mut replace = connection.prepare_cached(
                "UPDATE ps_oplog SET op_id = ?2, data = ?3, hash = ?4 WHERE rowid = ?1",
            )?;
            replace.execute((only.operation, op_id, data, hash))?;
            return self.finder.remember(connection, wanted, only.operation);
        }
        delete(connection, &old, sums)?;
        let mut insert = connection.prepare_cached(
            "INSERT INTO ps_oplog(bucket, op_id, key, row_type, row_id, data, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let (bucket, key) = (wanted.bucket, wanted.key);
        insert.execute((bucket, op_id, key, wanted.kind, wanted.id, data, hash))?;
        self.new += 1;
        let operation = connection.last_insert_rowid();
        self.finder.remember(connection, wanted, operation)
    }

    /// Removes the operations of a row, if there are any. If rows of the bucket were applied, this one has changed.
    fn remove(
        &mut self,
        connection: &Connection,
        bucket: Bucket,
        wanted: Wanted<'_>,
        sums: &mut Sums,
    ) -> Result<(), DatabaseError> {
        let old = self.finder.find(connection, wanted)?;
        delete(connection, &old, sums)?;
        if !old.is_empty() && bucket.last_applied != 0 {
            let mut updated = connection.prepare_cached(
                "INSERT OR IGNORE INTO ps_updated_rows(row_type, row_id) VALUES (?1, ?2)",
            )?;
            updated.execute((wanted.kind, wanted.id))?;
        }
        Ok(())
    }

    /// Drops the indexes if that pays by now.
    fn keep_or_drop_indexes(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        let there = match self.there {
            Some(there) => there,
            None => self.look_at(connection)?,
        };
        let new = self.new.max(self.expected);
        let may_drop = !self.written.built_again && self.most_bytes > 0;
        if may_drop && building_again_pays(new, there) {
            self.written.built_again = self.finder.drop_indexes(connection, self.most_bytes)?;
            if !self.written.built_again {
                // Nor will all keys fit in memory later.
                self.most_bytes = 0;
            }
        }
        Ok(())
    }

    /// Counts what is there, and what will be new because its bucket is.
    fn look_at(&mut self, connection: &Connection) -> Result<u64, DatabaseError> {
        let count = "SELECT count(*) FROM ps_oplog INDEXED BY ps_oplog_opid";
        let there = connection.query_row(count, [], |row| row.get(0))?;
        self.there = Some(there);
        let mut known =
            connection.prepare_cached("SELECT name FROM ps_buckets WHERE last_op > 0")?;
        let known = known.query_map([], |row| row.get::<_, String>(0))?;
        let known: HashSet<String> = known.collect::<Result<_, _>>()?;
        let target = self.target.checkpoint(|_| OpId(0));
        let new = target
            .buckets
            .iter()
            .filter(|bucket| !known.contains(&bucket.bucket));
        self.expected = new.map(|bucket| bucket.operations).sum();
        Ok(there)
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
    pub(super) fn give_up(
        mut self,
        connection: &Connection,
        reason: Reason,
    ) -> Result<(), DatabaseError> {
        info!("the core extension adds what comes: {reason}");
        self.finder.build(connection)
    }

    /// Writes the rows of a complete checkpoint whose checksums are right. The core extension then has only to record it, and
    /// to write the rows if there are raw tables.
    pub(super) fn finish(
        &mut self,
        connection: &Connection,
        schema: &Schema,
    ) -> Result<(), DatabaseError> {
        self.finder.build(connection)?;
        schema.create_inferred(connection)?;
        if self.writes_rows {
            apply_changes(connection)?;
            sums::all_applied(connection)?;
        }
        Ok(())
    }
}

/// The cost rule: whether to drop the indexes whose keys arrive in no order, and to build them again at the end. Operations
/// that take the place of others do not count as new, since they change neither index.
///
/// On a base of 100,000 operations, CPU when they are built again, to that when they are kept: with 10,000 new operations 2.5 to 3
/// times, 50,000 the same, 100,000 0.97, 200,000 0.82 to 0.86. With operations in place of others, 10,000 to 200,000: the same.
fn building_again_pays(new: u64, there: u64) -> bool {
    new > there
}

/// Returns what is looked for to write an operation of this row, whose key is written to `key`.
fn wanted<'a>(
    bucket: Bucket,
    batch: &'a Batch,
    row: &'a RowKey,
    key: &'a mut String,
) -> Wanted<'a> {
    batch.write_key(row, key);
    Wanted {
        bucket: bucket.id,
        key,
        kind: batch.str(&row.kind),
        id: batch.str(&row.id),
    }
}

fn delete(connection: &Connection, old: &[Found], sums: &mut Sums) -> Result<(), DatabaseError> {
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
