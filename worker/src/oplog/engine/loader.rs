//! Loads the data lines of a first checkpoint into an empty database: rows are appended as they come, and the indexes are written
//! when all are there.

mod appended;
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
    appended::{Appended, Put},
    buckets::Buckets,
    kinds::Kind,
    roots::Roots,
};
use super::{later::fill_tables, pages::PageFile, sums};
use crate::oplog::{
    checkpoint::TargetCheckpoint,
    operations::{Batch, Change, Reason},
    schema::Schema,
    sqlite::{DatabaseError, DeferredIndexes, quoted, set_cache},
};

/// The index of `ps_oplog` that is needed only when a checkpoint is applied.
pub(super) const ROW_INDEX: &str = "ps_oplog_row";

/// The parts of the memory: keys and rows have one each to be sorted in, operations have half of one. The rest is for the buffers of
/// what is read and written. At the end, SQLite has one for its cache, and one to sort.
const PARTS: u32 = 3;

/// Loads the data lines of a first checkpoint.
pub(super) struct Loader {
    /// Whether the file is this loader's, and not SQLite's.
    is_owner: bool,
    target: Arc<TargetCheckpoint>,
    buckets: Buckets,
    appended: Appended,
    /// A part of the memory, in KiB.
    part_kib: u32,
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
        Ok(Some(Self {
            is_owner: false,
            target: Arc::default(),
            buckets: Buckets::default(),
            appended: Appended::begin(file, path, roots, schema, part_kib),
            part_kib,
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
        let (bucket, appended) = (self.buckets.entry(batch.bucket()), &mut self.appended);
        let mut key = String::new();
        for operation in &batch.operations {
            match &operation.change {
                Change::Put { row, data } => {
                    batch.write_key(row, &mut key);
                    appended.put(&Put {
                        bucket: bucket.id,
                        operation,
                        key: &key,
                        kind: batch.str(&row.kind),
                        id: batch.str(&row.id),
                        data: batch.str(data),
                    })?;
                    bucket.keep(operation.checksum);
                }
                Change::Remove { row } => {
                    batch.write_key(row, &mut key);
                    appended.remove(bucket.id, &key)?;
                    bucket.pass(operation.checksum);
                }
                Change::Move => bucket.pass(operation.checksum),
                Change::Clear => bucket.clear(operation.checksum),
            }
        }
        bucket.came_as_far(batch, bytes);
        appended.shorten(connection, &mut self.buckets)
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
            if self.appended.kinds.get_mut(kind).is_none() {
                self.hand_over(connection)?;
                self.appended
                    .kinds
                    .add(connection, kind, self.appended.file.page_bytes())?;
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
            self.appended.file.take_back()?;
            self.is_owner = true;
        }
        Ok(())
    }

    /// Hands the file to SQLite, in a transaction, with the state of the buckets; rows that were written belong to no table yet.
    pub(super) fn hand_over(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        if self.is_owner {
            self.appended.file.publish()?;
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
        let buckets = &mut self.buckets;
        self.appended.complete_operations(connection, buckets)?;
        self.hand_over(connection)?;
        for (_, kind) in self.appended.kinds.into_sorted() {
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
        self.appended.complete(connection, &mut self.buckets)?;
        self.hand_over(connection)?;
        self.fill_the_rest(connection, schema)
    }

    /// Lets SQLite do what is left when all rows are in their tables.
    fn fill_the_rest(
        self,
        connection: &Connection,
        schema: &Schema,
    ) -> Result<bool, DatabaseError> {
        set_cache(connection, self.part_kib.max(1))?;
        let (mut later, mut is_dense) = (Vec::new(), true);
        for (name, kind) in self.appended.kinds.into_sorted() {
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
        match self.appended.inference {
            Some(inference) => schema.create_as(connection, inference)?,
            None => schema.create_inferred(connection)?,
        }
        fill_tables(connection, &later, self.appended.largest)?;
        sums::all_applied(connection)?;
        Ok(is_dense)
    }
}
