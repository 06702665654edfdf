//! Finds the operations that have a key: by the index of `ps_oplog`, or, while the indexes are dropped, in memory.

use rusqlite::Connection;

use super::keys::Keys;
use crate::oplog::sqlite::{DatabaseError, DeferredIndexes};

/// The indexes of `ps_oplog` whose keys arrive in no order.
const INDEXES: [&str; 2] = ["ps_oplog_key", "ps_oplog_row"];

/// Finds operations.
#[derive(Default)]
pub(super) struct Finder(Option<Dropped>);

/// What takes the place of the indexes.
struct Dropped {
    keys: Keys,
    indexes: DeferredIndexes,
}

/// A key of a bucket, and the row that it is written for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) bucket: i64,
    pub(super) key: &'a str,
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
}

/// An operation that was found.
pub(super) struct Found {
    pub(super) operation: i64,
    pub(super) hash: i32,
    /// Whether it is of the same row; keys of different rows may be the same text.
    pub(super) is_of_same_row: bool,
}

impl Finder {
    /// Drops the indexes until [`Self::build`], if all keys fit in so many bytes. Returns whether it did.
    pub(super) fn drop_indexes(
        &mut self,
        connection: &Connection,
        most_bytes: usize,
    ) -> Result<bool, DatabaseError> {
        let mut keys = Keys::within(most_bytes);
        let mut all = connection.prepare(
            "SELECT bucket, key, rowid FROM ps_oplog INDEXED BY ps_oplog_key WHERE key IS NOT NULL",
        )?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            let key = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            let hash = keys.hash(row.get(0)?, key);
            if !keys.insert(hash, row.get(2)?) {
                return Ok(false);
            }
        }
        drop(rows);
        let indexes = DeferredIndexes::take_from(connection, &INDEXES)?;
        self.0 = Some(Dropped { keys, indexes });
        Ok(true)
    }

    /// Builds the indexes that were dropped.
    pub(super) fn build(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        match self.0.take() {
            Some(mut dropped) => dropped.indexes.build(connection),
            None => Ok(()),
        }
    }

    /// Returns the operations that have a key; there is at most one, but in a file of another make.
    pub(super) fn find(
        &mut self,
        connection: &Connection,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Found>, DatabaseError> {
        let Wanted {
            bucket,
            key,
            kind,
            id,
        } = wanted;
        let found = |row: &rusqlite::Row<'_>| {
            Ok(Found {
                operation: row.get(0)?,
                hash: row.get(1)?,
                is_of_same_row: row.get(2)?,
            })
        };
        if let Some(dropped) = &mut self.0 {
            let hash = dropped.keys.hash(bucket, key);
            let Some(operation) = dropped.keys.take(hash) else {
                return Ok(Vec::new());
            };
            let mut find = connection.prepare_cached(
                "SELECT rowid, hash, row_type IS ?3 AND row_id IS ?4 FROM ps_oplog
                 WHERE rowid = ?5 AND bucket = ?1 AND key = ?2",
            )?;
            let is = find.query_map((bucket, key, kind, id, operation), found)?;
            let is: Vec<_> = is.collect::<Result<_, _>>()?;
            if !is.is_empty() {
                return Ok(is);
            }
            // Another key has this hash, or the operation went with its bucket.
            self.build(connection)?;
        }
        let mut find = connection.prepare_cached(
            "SELECT rowid, hash, row_type IS ?3 AND row_id IS ?4 FROM ps_oplog INDEXED BY ps_oplog_key
             WHERE bucket = ?1 AND key = ?2",
        )?;
        let all = find.query_map((bucket, key, kind, id), found)?;
        Ok(all.collect::<Result<_, _>>()?)
    }

    /// Remembers the operation that a key has now.
    pub(super) fn remember(
        &mut self,
        connection: &Connection,
        wanted: Wanted<'_>,
        operation: i64,
    ) -> Result<(), DatabaseError> {
        if let Some(dropped) = &mut self.0 {
            let hash = dropped.keys.hash(wanted.bucket, wanted.key);
            if !dropped.keys.insert(hash, operation) {
                self.build(connection)?;
            }
        }
        Ok(())
    }
}
