//! Reads `ps_oplog` once, for the checksums of the buckets and the fingerprints of the tables.

use std::{
    collections::{BTreeMap, HashMap},
    hash::BuildHasher,
};

use foldhash::quality::FixedState;
use rusqlite::{Connection, Row};

use super::{error::VerifyError, sql::text};

/// The result of one pass over `ps_oplog`.
#[derive(Default)]
pub(super) struct Operations {
    /// The sum of the operations' checksums, by the bucket's row id.
    pub(super) checksums: HashMap<i64, i64>,
    /// The fingerprint of the newest operations of all rows, by the rows' type.
    pub(super) rows: BTreeMap<String, Fingerprint>,
}

/// The number of rows, and a sum over their ids and data that does not depend on their order. Two different sets of
/// rows have the same fingerprint with a probability of 2^-64.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) rows: u64,
    sum: u64,
}

impl Fingerprint {
    pub(super) fn add(&mut self, hasher: &FixedState, id: &[u8], data: &[u8]) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hasher.hash_one((id, data)));
    }

    fn remove(&mut self, hasher: &FixedState, id: &[u8], data: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hasher.hash_one((id, data)));
    }
}

impl Operations {
    pub(super) fn read(connection: &Connection, hasher: &FixedState) -> Result<Self, VerifyError> {
        let mut operations = Self::default();
        let mut all =
            connection.prepare("SELECT bucket, hash, row_type, row_id, data FROM ps_oplog")?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            *operations.checksums.entry(row.get(0)?).or_default() += row.get::<_, i64>(1)?;
            operations.with_row(row, 2, |rows, id, data| rows.add(hasher, id, data))?;
        }
        operations.without_superseded(connection, hasher)?;
        Ok(operations)
    }

    /// Adds rows of one type.
    pub(super) fn add_rows(&mut self, kind: &[u8], rows: Fingerprint) {
        if rows.rows > 0 {
            let kind = String::from_utf8_lossy(kind).into_owned();
            let all = self.rows.entry(kind).or_default();
            all.rows += rows.rows;
            all.sum = all.sum.wrapping_add(rows.sum);
        }
    }

    /// Takes out the operations that are not the newest of their row.
    pub(super) fn without_superseded(
        &mut self,
        connection: &Connection,
        hasher: &FixedState,
    ) -> Result<(), VerifyError> {
        // A row that is in several buckets has several operations, of which the newest counts.
        let mut superseded = connection.prepare(
            "WITH shared AS MATERIALIZED (
                 SELECT row_type, row_id FROM ps_oplog WHERE row_type IS NOT NULL
                 GROUP BY row_type, row_id HAVING count(*) > 1)
             SELECT o.row_type, o.row_id, o.data
             FROM shared CROSS JOIN ps_oplog AS o ON o.row_type = shared.row_type AND o.row_id = shared.row_id
             WHERE o.op_id < (SELECT max(newest.op_id) FROM ps_oplog AS newest
                              WHERE newest.row_type = o.row_type AND newest.row_id = o.row_id)",
        )?;
        let mut rows = superseded.query([])?;
        while let Some(row) = rows.next()? {
            self.with_row(row, 0, |rows, id, data| rows.remove(hasher, id, data))?;
        }
        Ok(())
    }

    /// Calls `change` with the type, id and data that begin at `column`, except for operations without a row or without
    /// data, which leave no row behind.
    fn with_row(
        &mut self,
        row: &Row<'_>,
        column: usize,
        change: impl FnOnce(&mut Fingerprint, &[u8], &[u8]),
    ) -> Result<(), VerifyError> {
        let (Some(kind), Some(id), Some(data)) = (
            text(row, column)?,
            text(row, column + 1)?,
            text(row, column + 2)?,
        ) else {
            return Ok(());
        };
        let kind = String::from_utf8_lossy(kind);
        match self.rows.get_mut(&*kind) {
            Some(rows) => change(rows, id, data),
            None => change(self.rows.entry(kind.into_owned()).or_default(), id, data),
        }
        Ok(())
    }
}
