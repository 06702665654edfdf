//! Loads the data lines of a first checkpoint into an empty database: rows are appended as they come, and the indexes are written
//! when all are there.

mod buckets;
mod entries;
mod history;
mod indexes;
mod kinds;
mod roots;

use std::{path::Path, sync::Arc};

use rusqlite::Connection;
use tracing::{debug, info};

use self::{
    buckets::Buckets,
    entries::{KeyEntry, Keyed, OperationEntry, RowEntry},
    history::History,
    indexes::{key_index, newest, operation_index, row_index},
    kinds::{Kind, Kinds},
    roots::Roots,
};
use super::{
    later::fill_tables,
    pages::{PageFile, RowSet, Table, Value, record},
    sorter::Sorter,
    sums,
};
use crate::oplog::{
    checkpoint::TargetCheckpoint,
    operations::{Batch, Change, Operation, Reason},
    schema::{Inference, Schema},
    sqlite::{DatabaseError, DeferredIndexes, quoted, set_cache},
};

/// The index of `ps_oplog` that is needed only when a checkpoint is applied.
pub(super) const ROW_INDEX: &str = "ps_oplog_row";

/// The parts of the memory: keys and rows have one each to be sorted in, operations have half of one. The rest is for the buffers of
/// what is read and written. At the end, SQLite has one for its cache, and one to sort.
const PARTS: u32 = 3;

/// Loads the data lines of a first checkpoint.
pub(super) struct Loader {
    file: PageFile,
    /// Whether the file is this loader's, and not SQLite's.
    is_owner: bool,
    target: Arc<TargetCheckpoint>,
    buckets: Buckets,
    oplog: Table,
    roots: Roots,
    kinds: Kinds,
    /// Operations by bucket and key, by row, and by bucket and id.
    keys: Sorter,
    rows: Sorter,
    operations: Sorter,
    /// The row id of the last operation.
    last: i64,
    superseded: RowSet,
    history: History,
    /// A part of the memory, in KiB.
    part_kib: u32,
    inference: Option<Inference>,
    /// The bytes of the largest row.
    largest: usize,
    /// Room for a record.
    written: Vec<u8>,
}

/// An operation that puts a row.
struct Put<'a> {
    bucket: u32,
    operation: &'a Operation,
    key: &'a str,
    kind: &'a str,
    id: &'a str,
    data: &'a str,
}

impl Loader {
    /// Begins to load into the empty database `path`, on which this is the only connection, within so many KiB of memory besides
    /// SQLite's; `None` when `ps_oplog` is not of the form that is known here.
    pub(super) fn begin(
        connection: &Connection,
        path: &Path,
        schema: &Schema,
        memory_kib: u32,
    ) -> Result<Option<Self>, DatabaseError> {
        let Some(roots) = Roots::of(connection)? else {
            debug!("no bulk load: ps_oplog has another form");
            return Ok(None);
        };
        // SQLite looks for changes of the file only if it gives up its lock in between.
        connection.pragma_update(None, "locking_mode", "normal")?;
        let Some(file) = PageFile::open(path)? else {
            debug!("no bulk load: the file has another form");
            return Ok(None);
        };
        let part_kib = memory_kib / PARTS;
        let part = part_kib as usize * 1024;
        let sorter = |bytes| {
            let directory = path.parent().unwrap_or(Path::new("."));
            Sorter::within(bytes, directory.to_owned())
        };
        Ok(Some(Self {
            oplog: Table::new(roots.table, file.page_bytes()),
            file,
            is_owner: false,
            target: Arc::default(),
            buckets: Buckets::default(),
            roots,
            kinds: Kinds::of(schema),
            keys: sorter(part),
            rows: sorter(part),
            operations: sorter(part / 2),
            last: 0,
            superseded: RowSet::default(),
            // Fewer operations than KiB do not need much more room than that.
            history: History::new(part_kib.into()),
            part_kib,
            inference: schema.inference(),
            largest: 0,
            written: Vec::new(),
        }))
    }

    /// Forgets the target of the previous stream.
    pub(super) fn restart(&mut self) {
        self.target = Arc::default();
    }

    /// Takes over a new or changed target. Returns why the core extension has to take over, if so.
    pub(super) fn retarget(&mut self, target: Arc<TargetCheckpoint>) -> Result<(), Reason> {
        self.target = target;
        if self.buckets.are_in(&self.target) {
            Ok(())
        } else {
            Err("a bucket that has arrived is not in the checkpoint any more")
        }
    }

    /// Returns why the core extension has to take this line, if so.
    pub(super) fn objection(&self, batch: &Batch) -> Option<Reason> {
        let bucket = self.buckets.get(batch.bucket());
        let mut is_filled = bucket.is_some_and(|bucket| bucket.is_filled);
        for operation in &batch.operations {
            match operation.change {
                Change::Put { .. } => is_filled = true,
                Change::Clear if is_filled => return Some("a CLEAR of a bucket that has rows"),
                Change::Remove { .. } | Change::Move | Change::Clear => {}
            }
        }
        None
    }

    /// Loads a data line of so many bytes that has no [`Self::objection`].
    pub(super) fn load(
        &mut self,
        connection: &Connection,
        batch: &Batch,
        bytes: usize,
    ) -> Result<(), DatabaseError> {
        self.add_kinds(connection, batch)?;
        self.take_file(connection)?;
        let bucket = self.buckets.entry(batch.bucket()).id;
        let mut key = String::new();
        for operation in &batch.operations {
            let checksum = operation.checksum;
            match &operation.change {
                Change::Put { row, data } => {
                    batch.write_key(row, &mut key);
                    let put = Put {
                        bucket,
                        operation,
                        key: &key,
                        kind: batch.str(&row.kind),
                        id: batch.str(&row.id),
                        data: batch.str(data),
                    };
                    self.put(&put)?;
                    self.buckets.entry(batch.bucket()).keep(checksum);
                }
                Change::Remove { row } => {
                    batch.write_key(row, &mut key);
                    KeyEntry::push(&mut self.keys, bucket, &key, self.last, Keyed::Remove)?;
                    self.buckets.entry(batch.bucket()).pass(checksum);
                }
                Change::Move => self.buckets.entry(batch.bucket()).pass(checksum),
                Change::Clear => self.buckets.entry(batch.bucket()).clear(checksum),
            }
        }
        self.buckets.entry(batch.bucket()).came_as_far(batch, bytes);
        if self.history.is_mostly_superseded() {
            self.shorten(connection)?;
        }
        Ok(())
    }

    /// Appends an operation and its row, and what the indexes need of them.
    fn put(&mut self, put: &Put<'_>) -> Result<(), DatabaseError> {
        self.last += 1;
        let (row, bucket) = (self.last, put.bucket);
        let Operation {
            op_id, checksum, ..
        } = *put.operation;
        let (kind, id) = (put.kind.as_bytes(), put.id.as_bytes());
        let data = Value::Text(put.data.as_bytes());
        let operation = [
            Value::Integer(bucket.into()),
            Value::Integer(op_id),
            Value::Text(kind),
            Value::Text(id),
            Value::Text(put.key.as_bytes()),
            data,
            Value::Integer(checksum.cast_signed().into()),
        ];
        record(&mut self.written, &operation);
        self.oplog.append(&mut self.file, row, &self.written)?;
        if let Some(Kind::Now(table)) = self.kinds.get_mut(put.kind) {
            record(&mut self.written, &[Value::Text(id), data]);
            table.rows.append(&mut self.file, row, &self.written)?;
        }
        let keyed = Keyed::Put { row, checksum };
        KeyEntry::push(&mut self.keys, bucket, put.key, row, keyed)?;
        let entry = RowEntry {
            kind,
            id,
            row,
            op_id,
        };
        entry.push(&mut self.rows)?;
        OperationEntry { bucket, op_id, row }.push(&mut self.operations)?;
        self.history.put(bucket, put.key);
        self.largest = self.largest.max(put.data.len());
        infer(&mut self.inference, put.kind, put.data);
        Ok(())
    }

    /// Takes out what is superseded by now, so that a long history does not need more room than twice its rows.
    fn shorten(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        let (old, keys) = (self.keys.take(), &mut self.keys);
        let (buckets, superseded) = (&mut self.buckets, &mut self.superseded);
        newest(
            connection,
            old,
            buckets,
            superseded,
            |bucket, key, row, checksum| {
                let keyed = Keyed::Put { row, checksum };
                // It is a key that was written from a text.
                let key = std::str::from_utf8(key).unwrap_or_default();
                Ok(KeyEntry::push(keys, bucket, key, row, keyed)?)
            },
        )?;
        self.remove_superseded()?;
        let superseded = &self.superseded;
        let is_kept = |row| !superseded.contains(row);
        self.rows
            .retain(|entry| is_kept(RowEntry::read(entry).row))?;
        self.operations
            .retain(|entry| is_kept(OperationEntry::read(entry).row))?;
        self.history.was_shortened();
        Ok(())
    }

    fn remove_superseded(&mut self) -> Result<(), DatabaseError> {
        if self.superseded.count() > 0 {
            self.oplog.remove(&mut self.file, &self.superseded)?;
            for table in self.kinds.tables_mut() {
                table.rows.remove(&mut self.file, &self.superseded)?;
            }
            // What was removed may have been the only row with some column, or the only one of a kind.
            self.inference = None;
        }
        Ok(())
    }

    /// Finds the tables of kinds of rows that are new.
    fn add_kinds(&mut self, connection: &Connection, batch: &Batch) -> Result<(), DatabaseError> {
        let mut known = "";
        for operation in &batch.operations {
            let Change::Put { row, .. } = &operation.change else {
                continue;
            };
            let kind = batch.str(&row.kind);
            if kind == known {
                continue;
            }
            known = kind;
            if self.kinds.get_mut(kind).is_none() {
                self.hand_over(connection)?;
                self.kinds.add(connection, kind, self.file.page_bytes())?;
            }
        }
        Ok(())
    }

    /// Takes the file from SQLite, which commits.
    fn take_file(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        if !self.is_owner {
            connection.execute_batch("COMMIT")?;
            if connection.is_busy() {
                // SQLite would not notice that the file has changed.
                let reason = "it keeps a statement open; set worker.fast_load = false";
                return Err(DatabaseError::Core(reason.to_owned()));
            }
            self.file.take_back()?;
            self.is_owner = true;
        }
        Ok(())
    }

    /// Hands the file to SQLite, in a transaction, with the state of the buckets; rows that were written belong to no table yet.
    pub(super) fn hand_over(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        if self.is_owner {
            self.file.publish()?;
            self.is_owner = false;
            connection.execute_batch("BEGIN")?;
        }
        self.buckets.record(connection)
    }

    /// Returns whether the checksum of what was loaded is the service's, in every bucket up to this priority number.
    pub(super) fn matches(&self, priority: Option<u8>) -> bool {
        self.buckets.match_target(&self.target, priority)
    }

    /// Prepares the database for the core extension, which takes over. Returns the index that is left to be built.
    pub(super) fn give_up(
        mut self,
        connection: &Connection,
        reason: Reason,
    ) -> Result<DeferredIndexes, DatabaseError> {
        info!("the bulk load ends early: {reason}");
        self.take_file(connection)?;
        self.write_keys(connection)?;
        for table in self.kinds.tables_mut() {
            table.rows.discard(&mut self.file)?;
        }
        self.remove_superseded()?;
        self.write_operations(connection)?;
        self.file.release_free()?;
        self.hand_over(connection)?;
        for (_, kind) in self.kinds.into_sorted() {
            if let Kind::Now(table) = kind
                && table.is_new
            {
                connection.execute_batch(&format!("DROP TABLE {}", table.name))?;
            }
        }
        DeferredIndexes::take_from(connection, &[ROW_INDEX])
    }

    /// Completes the rows and indexes of a complete checkpoint whose checksums are right. The core extension then has only to record
    /// it, and to write the rows of raw tables. Returns whether the file is dense: written in order, without holes.
    pub(super) fn finish(
        mut self,
        connection: &Connection,
        schema: &Schema,
    ) -> Result<bool, DatabaseError> {
        self.take_file(connection)?;
        self.write_keys(connection)?;
        self.remove_superseded()?;
        let (rows, superseded) = (self.rows.take(), &self.superseded);
        let (root, kinds, file) = (self.roots.by_row, &mut self.kinds, &mut self.file);
        row_index(connection, rows, superseded, kinds, file, root)?;
        self.write_operations(connection)?;
        for table in self.kinds.tables_mut() {
            table.rows.finish(&mut self.file)?;
        }
        self.file.release_free()?;
        self.hand_over(connection)?;
        self.fill_the_rest(connection, schema)
    }

    /// Writes the index by key, which tells what is superseded.
    fn write_keys(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        let (keys, buckets) = (self.keys.take(), &mut self.buckets);
        let (superseded, file) = (&mut self.superseded, &mut self.file);
        key_index(
            connection,
            keys,
            buckets,
            superseded,
            file,
            self.roots.by_key,
        )
    }

    /// Writes the operations that are left, and their index by id.
    fn write_operations(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        let (operations, superseded) = (self.operations.take(), &self.superseded);
        let (root, file) = (self.roots.by_id, &mut self.file);
        operation_index(connection, operations, superseded, file, root)?;
        Ok(self.oplog.finish(&mut self.file)?)
    }

    /// Lets SQLite do what is left when all rows are in their tables.
    fn fill_the_rest(
        self,
        connection: &Connection,
        schema: &Schema,
    ) -> Result<bool, DatabaseError> {
        set_cache(connection, self.part_kib.max(1))?;
        let (mut later, mut is_dense) = (Vec::new(), true);
        for (name, kind) in self.kinds.into_sorted() {
            match kind {
                Kind::Now(table) => {
                    for index in table.indexes {
                        connection.execute_batch(&format!("REINDEX {}", quoted(&index)))?;
                    }
                }
                Kind::Later => later.push(name),
                Kind::Raw => {
                    is_dense = false;
                    let updated = "INSERT OR IGNORE INTO ps_updated_rows(row_type, row_id)
                         SELECT row_type, row_id FROM ps_oplog INDEXED BY ps_oplog_row WHERE row_type = ?1";
                    connection.execute(updated, [&name])?;
                }
            }
        }
        match self.inference {
            Some(inference) => schema.create_as(connection, inference)?,
            None => schema.create_inferred(connection)?,
        }
        fill_tables(connection, &later, self.largest)?;
        sums::all_applied(connection)?;
        Ok(is_dense)
    }
}

fn infer(inference: &mut Option<Inference>, kind: &str, data: &str) {
    if let Some(columns) = inference
        && columns.add(kind, data).is_err()
    {
        // If the row is still there at the end, inferring from all rows reports what is wrong with it.
        *inference = None;
    }
}
