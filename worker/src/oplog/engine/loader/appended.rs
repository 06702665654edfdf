//! What was appended of a history, and the indexes that are written of it.

use std::path::Path;

use rusqlite::Connection;

use super::{
    buckets::Buckets,
    entries::{KeyEntry, Keyed, OperationEntry, RowEntry},
    history::History,
    indexes::{key_index, newest, operation_index, row_index},
    kinds::{Kind, Kinds},
    roots::Roots,
};
use crate::oplog::{
    engine::{
        pages::{PageFile, RowSet, Table, Value, record},
        sorter::Sorter,
    },
    operations::Operation,
    schema::{Inference, Schema},
    sqlite::DatabaseError,
};

/// The trees of `ps_oplog` and the clients' tables, and what their indexes need.
pub(super) struct Appended {
    pub(super) file: PageFile,
    pub(super) kinds: Kinds,
    pub(super) inference: Option<Inference>,
    /// The bytes of the largest row.
    pub(super) largest: usize,
    roots: Roots,
    operations: Table,
    /// The row id of the last operation.
    last: i64,
    by_key: Sorter,
    by_row: Sorter,
    by_id: Sorter,
    history: History,
    /// Room for a record.
    written: Vec<u8>,
}

/// An operation that puts a row.
pub(super) struct Put<'a> {
    pub(super) bucket: u32,
    pub(super) operation: &'a Operation,
    pub(super) key: &'a str,
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
    pub(super) data: &'a str,
}

impl Appended {
    /// Begins with the empty tables of a file. Each of the larger sorters takes about `part_kib` of memory.
    pub(super) fn begin(
        file: PageFile,
        path: &Path,
        roots: Roots,
        schema: &Schema,
        part_kib: u32,
    ) -> Self {
        let part = part_kib as usize * 1024;
        let sorter = |bytes| {
            let directory = path.parent().unwrap_or(Path::new("."));
            Sorter::within(bytes, directory.to_owned())
        };
        Self {
            operations: Table::new(roots.table, file.page_bytes()),
            file,
            kinds: Kinds::of(schema),
            inference: schema.inference(),
            largest: 0,
            roots,
            last: 0,
            by_key: sorter(part),
            by_row: sorter(part),
            by_id: sorter(part / 2),
            // Fewer operations than KiB do not need much more room than that.
            history: History::new(part_kib.into()),
            written: Vec::new(),
        }
    }

    /// Appends an operation and its row, and what the indexes need of them.
    pub(super) fn put(&mut self, put: &Put<'_>) -> Result<(), DatabaseError> {
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
        self.operations.append(&mut self.file, row, &self.written)?;
        if let Some(Kind::Now(table)) = self.kinds.get_mut(put.kind) {
            record(&mut self.written, &[Value::Text(id), data]);
            table.rows.append(&mut self.file, row, &self.written)?;
        }
        let entry = KeyEntry {
            bucket,
            key: put.key.as_bytes(),
            keyed: Keyed::Put { row, checksum },
        };
        entry.push(&mut self.by_key)?;
        let entry = RowEntry {
            kind,
            id,
            row,
            op_id,
        };
        entry.push(&mut self.by_row)?;
        OperationEntry { bucket, op_id, row }.push(&mut self.by_id)?;
        self.history.put(bucket, put.key);
        self.largest = self.largest.max(put.data.len());
        infer(&mut self.inference, put.kind, put.data);
        Ok(())
    }

    /// Notes a REMOVE.
    pub(super) fn remove(&mut self, bucket: u32, key: &str) -> Result<(), DatabaseError> {
        let entry = KeyEntry {
            bucket,
            key: key.as_bytes(),
            keyed: Keyed::Remove { after: self.last },
        };
        Ok(entry.push(&mut self.by_key)?)
    }

    /// Takes out what is superseded, if that is most of it: a long history does not need more room than twice its rows.
    pub(super) fn shorten(
        &mut self,
        connection: &Connection,
        buckets: &mut Buckets,
    ) -> Result<(), DatabaseError> {
        if !self.history.is_mostly_superseded() {
            return Ok(());
        }
        let (old, by_key) = (self.by_key.take(), &mut self.by_key);
        let superseded = newest(connection, old, buckets, |entry| match entry.keyed {
            Keyed::Put { .. } => Ok(entry.push(by_key)?),
            Keyed::Remove { .. } => Ok(()),
        })?;
        self.remove_rows(&superseded)?;
        let is_kept = |row| !superseded.contains(row);
        self.by_row
            .retain(|entry| is_kept(RowEntry::read(entry).row))?;
        self.by_id
            .retain(|entry| is_kept(OperationEntry::read(entry).row))?;
        self.history.was_shortened();
        Ok(())
    }

    /// Completes `ps_oplog`, its indexes and the clients' tables.
    pub(super) fn complete(
        &mut self,
        connection: &Connection,
        buckets: &mut Buckets,
    ) -> Result<(), DatabaseError> {
        let superseded = self.write_keys(connection, buckets)?;
        self.remove_rows(&superseded)?;
        let (by_row, root) = (self.by_row.take(), self.roots.by_row);
        let (kinds, file) = (&mut self.kinds, &mut self.file);
        row_index(connection, by_row, &superseded, kinds, file, root)?;
        self.write_operations(connection, &superseded)?;
        for table in self.kinds.tables_mut() {
            table.rows.finish(&mut self.file)?;
        }
        Ok(self.file.release_free()?)
    }

    /// Completes `ps_oplog` without its index by row, and leaves the clients' tables empty.
    pub(super) fn complete_operations(
        &mut self,
        connection: &Connection,
        buckets: &mut Buckets,
    ) -> Result<(), DatabaseError> {
        let superseded = self.write_keys(connection, buckets)?;
        for table in self.kinds.tables_mut() {
            table.rows.discard(&mut self.file)?;
        }
        self.remove_rows(&superseded)?;
        self.write_operations(connection, &superseded)?;
        Ok(self.file.release_free()?)
    }

    /// Writes the index by key, and returns what is superseded.
    fn write_keys(
        &mut self,
        connection: &Connection,
        buckets: &mut Buckets,
    ) -> Result<RowSet, DatabaseError> {
        let by_key = self.by_key.take();
        key_index(
            connection,
            by_key,
            buckets,
            &mut self.file,
            self.roots.by_key,
        )
    }

    /// Writes the operations that are left, and their index by id.
    fn write_operations(
        &mut self,
        connection: &Connection,
        superseded: &RowSet,
    ) -> Result<(), DatabaseError> {
        let (by_id, root) = (self.by_id.take(), self.roots.by_id);
        operation_index(connection, by_id, superseded, &mut self.file, root)?;
        Ok(self.operations.finish(&mut self.file)?)
    }

    /// Takes rows out of `ps_oplog` and the clients' tables.
    fn remove_rows(&mut self, superseded: &RowSet) -> Result<(), DatabaseError> {
        if superseded.count() > 0 {
            self.operations.remove(&mut self.file, superseded)?;
            for table in self.kinds.tables_mut() {
                table.rows.remove(&mut self.file, superseded)?;
            }
            // What was removed may have been the only row with some column, or the only one of a kind.
            self.inference = None;
        }
        Ok(())
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
