//! Writes the indexes when all operations are there, and finds out which of them are superseded, or older than those of other
//! buckets.

use rusqlite::Connection;

use super::{
    buckets::Buckets,
    entries::{KeyEntry, Keyed, OperationEntry, RowEntry},
    kinds::{ClientTable, Kind, Kinds},
};
use crate::oplog::{
    engine::{
        pages::{Index, PageFile, RowSet, Value, record},
        sorter::{Merge, Sorter},
    },
    sqlite::DatabaseError,
};

/// How often is looked whether the job was abandoned, in entries.
const LOOK_EVERY: u32 = 4096;

/// Writes `ps_oplog_key`. Returns the operations whose key a later operation or a REMOVE has.
pub(super) fn key_index(
    connection: &Connection,
    keys: Sorter,
    buckets: &mut Buckets,
    file: &mut PageFile,
    root: u32,
) -> Result<RowSet, DatabaseError> {
    let mut index = Index::new(root, file.page_bytes());
    let mut written = Vec::new();
    let superseded = newest(connection, keys, buckets, |entry| {
        let Keyed::Put { row, .. } = entry.keyed else {
            return Ok(());
        };
        let entry = [
            Value::Integer(entry.bucket.into()),
            Value::Text(entry.key),
            Value::Integer(row),
        ];
        record(&mut written, &entry);
        Ok(index.append(file, &written)?)
    })?;
    index.finish(file)?;
    Ok(superseded)
}

/// Calls `take` with what has come last for each bucket and key, in their order. Returns the operations before it.
pub(super) fn newest(
    connection: &Connection,
    keys: Sorter,
    buckets: &mut Buckets,
    mut take: impl FnMut(&KeyEntry<'_>) -> Result<(), DatabaseError>,
) -> Result<RowSet, DatabaseError> {
    let mut superseded = RowSet::default();
    let (mut bucket, mut key, mut last) = (0, Vec::new(), None);
    let mut take_last = |bucket: u32, key: &[u8], last: Option<Keyed>| match last {
        Some(keyed) => take(&KeyEntry { bucket, key, keyed }),
        None => Ok(()),
    };
    each(connection, keys.sorted()?, |entry| {
        let entry = KeyEntry::read(entry);
        if entry.bucket != bucket || entry.key != key {
            take_last(bucket, &key, last)?;
            bucket = entry.bucket;
            key.clear();
            key.extend_from_slice(entry.key);
        } else if let Some(Keyed::Put { row, checksum }) = last {
            superseded.insert(row);
            buckets.supersede(bucket, checksum);
        }
        last = Some(entry.keyed);
        Ok(())
    })?;
    take_last(bucket, &key, last)?;
    Ok(superseded)
}

/// Writes `ps_oplog_opid`.
pub(super) fn operation_index(
    connection: &Connection,
    operations: Sorter,
    superseded: &RowSet,
    file: &mut PageFile,
    root: u32,
) -> Result<(), DatabaseError> {
    let mut index = Index::new(root, file.page_bytes());
    let mut written = Vec::new();
    each(connection, operations.sorted()?, |entry| {
        let OperationEntry { bucket, op_id, row } = OperationEntry::read(entry);
        if superseded.contains(row) {
            return Ok(());
        }
        let entry = [bucket.into(), op_id, row].map(Value::Integer);
        record(&mut written, &entry);
        Ok(index.append(file, &written)?)
    })?;
    Ok(index.finish(file)?)
}

/// Writes `ps_oplog_row` and the primary keys of the clients' tables, and leaves the newest row of those that several buckets have.
pub(super) fn row_index(
    connection: &Connection,
    rows: Sorter,
    superseded: &RowSet,
    kinds: &mut Kinds,
    file: &mut PageFile,
    root: u32,
) -> Result<(), DatabaseError> {
    let mut index = Index::new(root, file.page_bytes());
    let mut written = Vec::new();
    let mut last = OneKind::default();
    each(connection, rows.sorted()?, |entry| {
        let entry = RowEntry::read(entry);
        if superseded.contains(entry.row) {
            return Ok(());
        }
        let values = [
            Value::Text(entry.kind),
            Value::Text(entry.id),
            Value::Integer(entry.row),
        ];
        record(&mut written, &values);
        index.append(file, &written)?;
        if entry.kind != last.kind || last.newest.is_none() {
            std::mem::take(&mut last).finish(kinds, file)?;
            last = OneKind::new(entry.kind, kinds, file.page_bytes())?;
        }
        last.add(&entry, file)
    })?;
    last.finish(kinds, file)?;
    Ok(index.finish(file)?)
}

/// The rows of one kind.
#[derive(Default)]
struct OneKind {
    kind: Vec<u8>,
    /// The primary key of their table, if they have one.
    keys: Option<Index>,
    id: Vec<u8>,
    /// The row id and operation of the newest row with that id.
    newest: Option<(i64, i64)>,
    /// Rows with newer ones.
    older: RowSet,
    written: Vec<u8>,
}

impl OneKind {
    fn new(kind: &[u8], kinds: &mut Kinds, page_bytes: usize) -> Result<Self, DatabaseError> {
        let table = table_of(kind, kinds);
        Ok(Self {
            kind: kind.to_owned(),
            keys: table.map(|table| Index::new(table.key_root, page_bytes)),
            ..Self::default()
        })
    }

    fn add(&mut self, entry: &RowEntry<'_>, file: &mut PageFile) -> Result<(), DatabaseError> {
        let this = (entry.row, entry.op_id);
        match self.newest {
            Some(newest) if self.id == entry.id => {
                // Of several operations with the highest id, which no service sends, this takes the one that the core
                // extension takes.
                let (newest, older) = if this.1 > newest.1 {
                    (this, newest)
                } else {
                    (newest, this)
                };
                self.newest = Some(newest);
                self.older.insert(older.0);
            }
            _ => {
                self.write_key(file)?;
                self.id.clear();
                self.id.extend_from_slice(entry.id);
                self.newest = Some(this);
            }
        }
        Ok(())
    }

    fn write_key(&mut self, file: &mut PageFile) -> Result<(), DatabaseError> {
        if let (Some(keys), Some((row, _))) = (&mut self.keys, self.newest) {
            let entry = [Value::Text(&self.id), Value::Integer(row)];
            record(&mut self.written, &entry);
            keys.append(file, &self.written)?;
        }
        Ok(())
    }

    fn finish(mut self, kinds: &mut Kinds, file: &mut PageFile) -> Result<(), DatabaseError> {
        self.write_key(file)?;
        if let Some(keys) = self.keys {
            keys.finish(file)?;
        }
        if self.older.count() > 0
            && let Some(table) = table_of(&self.kind, kinds)
        {
            table.rows.remove(file, &self.older)?;
        }
        Ok(())
    }
}

fn table_of<'k>(kind: &[u8], kinds: &'k mut Kinds) -> Option<&'k mut ClientTable> {
    match kinds.get_mut(std::str::from_utf8(kind).ok()?) {
        Some(Kind::Now(table)) => Some(table),
        _ => None,
    }
}

/// Calls `take` with each entry, in their order.
fn each(
    connection: &Connection,
    mut entries: Merge,
    mut take: impl FnMut(&[u8]) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    let mut count: u32 = 0;
    while let Some(entry) = entries.next()? {
        count = count.wrapping_add(1);
        if count.is_multiple_of(LOOK_EVERY) && connection.is_interrupted() {
            return Err(DatabaseError::Abandoned);
        }
        take(entry)?;
    }
    Ok(())
}
