//! Loads the data lines of a first checkpoint into an empty database: rows are appended as they come, and the indexes are written
//! when all are there.

mod buckets;
mod entries;
mod indexes;
mod kinds;
mod roots;
mod rows;

use std::{path::Path, sync::Arc};

use rusqlite::Connection;
use tracing::{debug, info};

use self::{
    buckets::Buckets,
    entries::{KeyEntry, Keyed, OperationEntry, RowEntry},
    indexes::{key_index, operation_index, row_index},
    kinds::{Kind, Kinds},
    roots::Roots,
    rows::Rows,
};
use super::{
    later::fill_tables,
    pages::{PageFile, Table, Value, record},
    sorter::Sorter,
    sums,
};
use crate::oplog::{
    checkpoint::TargetCheckpoint,
    operations::{Batch, Change, Operation, Reason},
    schema::{Inference, Schema},
    sqlite::{DatabaseError, DeferredIndexes, quoted},
};

/// The index of `ps_oplog` that is needed only when a checkpoint is applied.
pub(super) const ROW_INDEX: &str = "ps_oplog_row";

/// The parts of the memory for what is sorted: keys and rows have one each, operations have half of one.
const SORTED_PARTS: usize = 3;

/// Rows are sorted in memory if the largest has no more bytes: SQLite's sorter holds a row of each of the up to 16 runs
/// that it merges, and once more while it writes them.
const LARGEST_SORTED: usize = 256 << 10;

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
    inference: Option<Inference>,
    /// The bytes of the largest row.
    largest: usize,
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
        let file = PageFile::open(path)?;
        let part = memory_kib as usize * 1024 / SORTED_PARTS;
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
            inference: schema.inference(),
            largest: 0,
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
        let bucket = self.buckets.entry(batch.bucket());
        let (mut key, mut written) = (String::new(), Vec::new());
        for Operation {
            op_id,
            checksum,
            change,
        } in &batch.operations
        {
            match change {
                Change::Put { row, data } => {
                    batch.write_key(row, &mut key);
                    let (kind, id, data) =
                        (batch.str(&row.kind), batch.str(&row.id), batch.str(data));
                    self.last += 1;
                    let operation = [
                        Value::Integer(bucket.id.into()),
                        Value::Integer(*op_id),
                        Value::Text(kind.as_bytes()),
                        Value::Text(id.as_bytes()),
                        Value::Text(key.as_bytes()),
                        Value::Text(data.as_bytes()),
                        Value::Integer(checksum.cast_signed().into()),
                    ];
                    record(&mut written, &operation);
                    self.oplog.append(&mut self.file, self.last, &written)?;
                    if let Some(Kind::Now(table)) = self.kinds.get_mut(kind) {
                        let row = [Value::Text(id.as_bytes()), Value::Text(data.as_bytes())];
                        record(&mut written, &row);
                        table.rows.append(&mut self.file, self.last, &written)?;
                    }
                    let put = Keyed::Put {
                        row: self.last,
                        checksum: *checksum,
                    };
                    KeyEntry::push(&mut self.keys, bucket.id, &key, self.last, put)?;
                    let row = RowEntry {
                        kind: kind.as_bytes(),
                        id: id.as_bytes(),
                        row: self.last,
                        op_id: *op_id,
                    };
                    row.push(&mut self.rows)?;
                    let operation = OperationEntry {
                        bucket: bucket.id,
                        op_id: *op_id,
                        row: self.last,
                    };
                    operation.push(&mut self.operations)?;
                    self.largest = self.largest.max(data.len());
                    infer(&mut self.inference, kind, data);
                    bucket.keep(*checksum);
                }
                Change::Remove { row } => {
                    batch.write_key(row, &mut key);
                    let remove = Keyed::Remove;
                    KeyEntry::push(&mut self.keys, bucket.id, &key, self.last, remove)?;
                    bucket.pass(*checksum);
                }
                Change::Move => bucket.pass(*checksum),
                Change::Clear => bucket.clear(*checksum),
            }
        }
        bucket.came_as_far(batch, bytes);
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
            let count: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            if count != self.file.count() {
                let reason = "SQLite does not see what was written; set worker.fast_load = false";
                return Err(DatabaseError::Core(reason.to_owned()));
            }
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
        let superseded = self.write_keys(connection)?;
        for table in self.kinds.tables_mut() {
            table.rows.discard(&mut self.file)?;
        }
        self.write_operations(connection, &superseded)?;
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
        let superseded = self.write_keys(connection)?;
        if let Some(first) = superseded.first() {
            for table in self.kinds.tables_mut() {
                let is_superseded = |row| superseded.contains(row);
                table.rows.remove(&mut self.file, first, is_superseded)?;
            }
            // What was removed may have been the only row with some column, or the only one of a kind.
            self.inference = None;
        }
        let rows = std::mem::replace(&mut self.rows, Sorter::none());
        let (root, kinds, file) = (self.roots.by_row, &mut self.kinds, &mut self.file);
        row_index(connection, rows, &superseded, kinds, file, root)?;
        self.write_operations(connection, &superseded)?;
        for table in self.kinds.tables_mut() {
            table.rows.finish(&mut self.file)?;
        }
        self.file.release_free()?;
        self.hand_over(connection)?;
        self.fill_the_rest(connection, schema)
    }

    /// Writes the index by key; removes the operations that are superseded, and returns them.
    fn write_keys(&mut self, connection: &Connection) -> Result<Rows, DatabaseError> {
        let keys = std::mem::replace(&mut self.keys, Sorter::none());
        let (root, buckets, file) = (self.roots.by_key, &mut self.buckets, &mut self.file);
        let superseded = key_index(connection, keys, buckets, file, root)?;
        if let Some(first) = superseded.first() {
            let is_superseded = |row| superseded.contains(row);
            self.oplog.remove(&mut self.file, first, is_superseded)?;
        }
        Ok(superseded)
    }

    /// Writes the operations that are left, and their index by id.
    fn write_operations(
        &mut self,
        connection: &Connection,
        superseded: &Rows,
    ) -> Result<(), DatabaseError> {
        let operations = std::mem::replace(&mut self.operations, Sorter::none());
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
        fill_tables(connection, &later, self.largest <= LARGEST_SORTED)?;
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
