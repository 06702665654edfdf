//! Loads the data lines of a first checkpoint into `ps_oplog`, and knows what each operation supersedes.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension};
use tracing::{debug, info};

use super::{
    keys::Keys,
    sums::{self, Sums},
    tables::{Tables, fill_tables, remove_superseded},
};
use crate::oplog::{
    checkpoint::TargetCheckpoint,
    operations::{Batch, Change, Operation, Reason},
    schema::{Inference, Schema},
    sqlite::{DatabaseError, DeferredIndexes},
};

/// The index of `ps_oplog` by which the core extension finds what an operation supersedes; keys arrive in no order. The one by
/// operation is not deferred, because it only grows at the end of each bucket.
const KEY_INDEX: &str = "ps_oplog_key";

/// The share of the memory for the hashes; the rest is for SQLite's page cache and for its sorter, which may each be
/// as large as the cache.
const KEYS_SHARE: f64 = 0.5;

/// Rows are sorted in memory if the largest has no more bytes: SQLite's sorter holds a row of each of the up to 16 runs
/// that it merges, and once more while it writes them.
const LARGEST_SORTED: usize = 256 << 10;

/// Loads the data lines of a first checkpoint.
pub(crate) struct Loader {
    /// Finds the row of `ps_oplog` that has a key. `None` when there were too many: superseded operations are then
    /// found at the end.
    keys: Option<Keys>,
    buckets: HashMap<String, Bucket>,
    target: Arc<TargetCheckpoint>,
    key_index: DeferredIndexes,
    tables: Tables,
    inference: Option<Inference>,
    /// Whether an operation was deleted, which leaves a hole in the file.
    superseded: bool,
    /// The bytes of the largest row.
    largest: usize,
}

#[derive(Clone, Copy)]
struct Bucket {
    id: i64,
    /// Whether it has had a PUT.
    filled: bool,
}

impl Loader {
    /// Prepares an empty database; returns `None` when its schema cannot be loaded in bulk.
    pub(crate) fn begin(
        connection: &Connection,
        schema: &Schema,
        memory_kib: u32,
    ) -> Result<Option<Self>, DatabaseError> {
        if !schema.raw_tables().is_empty() {
            debug!("no bulk load: the schema has raw tables");
            return Ok(None);
        }
        let memory_kib = f64::from(memory_kib);
        let keys_bytes = memory_kib * 1024.0 * KEYS_SHARE;
        let cache_kib = memory_kib * (1.0 - KEYS_SHARE) / 2.0;
        connection.pragma_update(None, "cache_size", -(cache_kib as i64).max(1))?;
        let inference = schema.inference();
        Ok(Some(Self {
            keys: Some(Keys::within(keys_bytes as usize)),
            buckets: HashMap::new(),
            target: Arc::default(),
            key_index: DeferredIndexes::take_from(connection, &[KEY_INDEX])?,
            tables: Tables::new(inference.is_some()),
            inference,
            superseded: false,
            largest: 0,
        }))
    }

    /// Forgets the target of the previous stream.
    pub(crate) fn restart(&mut self) {
        self.target = Arc::default();
    }

    /// Takes over a new or changed target. Returns why the core extension has to take over, if so.
    pub(crate) fn retarget(&mut self, target: Arc<TargetCheckpoint>) -> Result<(), Reason> {
        self.target = target;
        if self.buckets.keys().all(|name| self.target.has_bucket(name)) {
            Ok(())
        } else {
            Err("a bucket that has arrived is not in the checkpoint any more")
        }
    }

    /// Returns why the core extension has to take this line, if so.
    pub(crate) fn objection(&self, batch: &Batch) -> Option<Reason> {
        let mut filled = self
            .buckets
            .get(batch.bucket())
            .is_some_and(|bucket| bucket.filled);
        for operation in &batch.operations {
            match operation.change {
                Change::Put { .. } => filled = true,
                Change::Clear if filled => return Some("a CLEAR of a bucket that has rows"),
                Change::Remove { .. } | Change::Move | Change::Clear => {}
            }
        }
        None
    }

    /// Loads a data line of so many bytes that has no [`Self::objection`].
    pub(crate) fn load(
        &mut self,
        connection: &Connection,
        batch: &Batch,
        bytes: usize,
    ) -> Result<(), DatabaseError> {
        let mut bucket = self.bucket(connection, batch.bucket())?;
        let mut sums = Sums::default();
        let mut insert = connection.prepare_cached(
            "INSERT INTO ps_oplog(bucket, op_id, key, row_type, row_id, data, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let mut key = String::new();
        let (mut kinds, mut first) = (Vec::new(), i64::MAX);
        for Operation {
            op_id,
            checksum,
            change,
        } in &batch.operations
        {
            match change {
                Change::Put { row, data } => {
                    batch.write_key(row, &mut key);
                    let hash = self.supersede(connection, bucket.id, &key, &mut sums)?;
                    let (kind, id) = (batch.str(&row.kind), batch.str(&row.id));
                    let (data, signed) = (batch.str(data), *checksum as i32);
                    self.largest = self.largest.max(data.len());
                    insert.execute((bucket.id, op_id, &key, kind, id, data, signed))?;
                    // A row id that is free again is given again: this one may be below the previous.
                    let operation = connection.last_insert_rowid();
                    first = first.min(operation);
                    self.remember(connection, hash, operation)?;
                    if kinds.last() != Some(&kind) && !kinds.contains(&kind) {
                        kinds.push(kind);
                    }
                    self.infer(kind, data);
                    sums.keep(*checksum);
                    bucket.filled = true;
                }
                Change::Remove { row } => {
                    batch.write_key(row, &mut key);
                    self.remove(connection, bucket.id, &key, &mut sums)?;
                    sums.pass(*checksum);
                }
                Change::Move => sums.pass(*checksum),
                Change::Clear => {
                    let clear =
                        "UPDATE ps_buckets SET add_checksum = 0, op_checksum = 0 WHERE id = ?1";
                    connection.execute(clear, [bucket.id])?;
                    sums = Sums {
                        superseded: *checksum,
                        kept: 0,
                    };
                }
            }
        }
        self.tables.copy(connection, &kinds, first)?;
        sums::record(connection, bucket.id, &sums, batch, bytes)?;
        self.buckets.insert(batch.bucket().to_owned(), bucket);
        Ok(())
    }

    fn bucket(&self, connection: &Connection, name: &str) -> Result<Bucket, DatabaseError> {
        if let Some(bucket) = self.buckets.get(name) {
            return Ok(*bucket);
        }
        let create = "INSERT INTO ps_buckets(name) VALUES (?1) RETURNING id";
        let id = connection.query_row(create, [name], |row| row.get(0))?;
        Ok(Bucket { id, filled: false })
    }

    /// Deletes the operation with this key, if there is one and it is still looked for. Returns the key's hash.
    fn supersede(
        &mut self,
        connection: &Connection,
        bucket: i64,
        key: &str,
        sums: &mut Sums,
    ) -> Result<Option<u64>, DatabaseError> {
        let Some(keys) = &mut self.keys else {
            return Ok(None);
        };
        let hash = keys.hash(bucket, key);
        let Some(row) = keys.take(hash) else {
            return Ok(Some(hash));
        };
        let mut delete = connection.prepare_cached(
            "DELETE FROM ps_oplog WHERE rowid = ?1 AND bucket = ?2 AND key = ?3 RETURNING hash, row_type",
        )?;
        let deleted = delete.query_row((row, bucket, key), |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((checksum, kind)): Option<(i32, String)> = deleted.optional()? else {
            self.defer(connection, "two keys have one hash")?;
            return Ok(None);
        };
        self.tables.remove(connection, &kind, row)?;
        sums.supersede(checksum as u32);
        self.superseded = true;
        // The deleted row may have been the only one with some column or kind.
        self.inference = None;
        Ok(Some(hash))
    }

    /// Removes the operation with this key, now or at the end.
    fn remove(
        &mut self,
        connection: &Connection,
        bucket: i64,
        key: &str,
        sums: &mut Sums,
    ) -> Result<(), DatabaseError> {
        self.supersede(connection, bucket, key, sums)?;
        if self.keys.is_none() {
            let mut removed = connection.prepare_cached(
                "INSERT OR REPLACE INTO load_removed (bucket, key, until)
                 SELECT ?1, ?2, coalesce(max(rowid), 0) FROM ps_oplog",
            )?;
            removed.execute((bucket, key))?;
        }
        Ok(())
    }

    /// Remembers the row that was just inserted.
    fn remember(
        &mut self,
        connection: &Connection,
        hash: Option<u64>,
        row: i64,
    ) -> Result<(), DatabaseError> {
        let (Some(keys), Some(hash)) = (&mut self.keys, hash) else {
            return Ok(());
        };
        if keys.insert(hash, row) {
            return Ok(());
        }
        self.defer(connection, "worker.load_memory_mib is used up")
    }

    /// Stops looking for superseded operations; from now on only records which keys were removed.
    fn defer(&mut self, connection: &Connection, reason: Reason) -> Result<(), DatabaseError> {
        debug!("superseded operations will be found at the end: {reason}");
        self.keys = None;
        connection.execute_batch(
            "CREATE TEMP TABLE load_removed (
                 bucket INTEGER NOT NULL, key TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (bucket, key)
             ) WITHOUT ROWID",
        )?;
        Ok(())
    }

    fn infer(&mut self, kind: &str, data: &str) {
        if let Some(inference) = &mut self.inference
            && inference.add(kind, data).is_err()
        {
            // If the row is still there at the end, inferring from all rows reports what is wrong with it.
            self.inference = None;
        }
    }

    /// Returns whether the checksum of what was loaded is the service's, in every bucket up to this priority number.
    pub(crate) fn matches(
        &self,
        connection: &Connection,
        priority: Option<u8>,
    ) -> Result<bool, DatabaseError> {
        sums::matches(connection, &self.target, priority)
    }

    /// Prepares the database for the core extension, which takes over.
    pub(crate) fn give_up(
        mut self,
        connection: &Connection,
        reason: Reason,
    ) -> Result<(), DatabaseError> {
        info!("the bulk load ends early: {reason}");
        self.remove_superseded(connection)?;
        self.key_index.build(connection)?;
        self.tables.empty(connection)
    }

    /// Removes the superseded operations that are left, with their rows.
    fn remove_superseded(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        if self.keys.is_some() {
            return Ok(());
        }
        self.key_index.build(connection)?;
        if remove_superseded(connection)? {
            self.superseded = true;
            self.tables.remove_superseded(connection)?;
        }
        connection
            .execute_batch("DROP TABLE temp.load_removed; DROP TABLE temp.load_superseded")?;
        self.inference = None;
        Ok(())
    }

    /// Completes the rows and indexes of a complete checkpoint whose checksums are right; `row_index` builds the index by
    /// row. The core extension then has only to record the checkpoint. Returns whether the file is dense: everything in it
    /// was written in order, and hardly anything deleted.
    pub(crate) fn finish(
        mut self,
        connection: &Connection,
        schema: &Schema,
        row_index: &mut DeferredIndexes,
    ) -> Result<bool, DatabaseError> {
        self.remove_superseded(connection)?;
        row_index.build(connection)?;
        let later = self.tables.finish(connection)?;
        // Built last, so that it takes the pages of tables that are written again.
        self.key_index.build(connection)?;
        match self.inference {
            Some(inference) => schema.create_as(connection, inference)?,
            None => schema.create_inferred(connection)?,
        }
        fill_tables(connection, &later, self.largest <= LARGEST_SORTED)?;
        sums::all_applied(connection)?;
        Ok(!self.superseded)
    }
}
