//! Compares the rows that have changed with their newest operations, and the operations with the buckets' checksums.

use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension};

use super::difference::Rows;
use crate::{
    oplog::quoted,
    snapshot::verify::{
        error::VerifyError,
        pages::{Value, in_table, values},
        readable::{ClientView, UnreadableRows},
        sql::text,
    },
};

/// Where the columns that are needed stand in a table's records.
#[derive(Default)]
pub(super) struct Columns(HashMap<String, usize>);

impl Columns {
    pub(super) fn of(connection: &Connection, table: &str) -> Result<Self, VerifyError> {
        let mut columns =
            connection.prepare_cached("SELECT name, cid FROM pragma_table_info(?1)")?;
        let columns = columns.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self(columns.collect::<Result<_, _>>()?))
    }

    /// Returns a record's value of a column, which may be younger than the record.
    pub(super) fn value<'r>(&self, record: &[Value<'r>], column: &str) -> Option<Value<'r>> {
        let place = self.0.get(column)?;
        Some(record.get(*place).copied().unwrap_or(Value::Null))
    }
}

/// A row of a table, by its columns' names.
pub(super) struct Record<'r, 'c> {
    values: Vec<Value<'r>>,
    columns: &'c Columns,
    table: &'c str,
}

impl<'r, 'c> Record<'r, 'c> {
    pub(super) fn read(
        record: &'r [u8],
        columns: &'c Columns,
        table: &'c str,
    ) -> Result<Self, VerifyError> {
        let values = values(record).ok_or_else(|| in_table(table, "no row"))?;
        Ok(Self {
            values,
            columns,
            table,
        })
    }

    pub(super) fn value(&self, column: &str) -> Result<Value<'r>, VerifyError> {
        let value = self.columns.value(&self.values, column);
        value.ok_or_else(|| in_table(self.table, "a column is missing"))
    }

    pub(super) fn text(&self, column: &str) -> Result<Option<&'r [u8]>, VerifyError> {
        let text = self.value(column)?.text();
        text.map_err(|what| in_table(self.table, &what))
    }

    pub(super) fn integer(&self, column: &str) -> Result<i64, VerifyError> {
        let integer = self.value(column)?.integer();
        integer.map_err(|what| in_table(self.table, &what))
    }
}

/// What the changed operations say.
#[derive(Default)]
pub(super) struct Touched {
    /// What they add to the sum of their buckets' operations, by the bucket's row id.
    pub(super) checksums: HashMap<i64, i64>,
    /// The ids of their rows, by type.
    pub(super) rows: HashMap<Vec<u8>, BTreeSet<Vec<u8>>>,
}

impl Touched {
    /// Reads the changed operations.
    pub(super) fn by(rows: &Rows, columns: &Columns) -> Result<Self, VerifyError> {
        let mut touched = Self::default();
        let removed = rows.removed.iter().map(|row| (row, -1));
        for ((_, record), times) in removed.chain(rows.added.iter().map(|row| (row, 1))) {
            let operation = Record::read(record, columns, "ps_oplog")?;
            let bucket = operation.integer("bucket")?;
            let hash = operation.integer("hash")?;
            *touched.checksums.entry(bucket).or_default() += times * hash;
            operation.integer("op_id")?;
            operation.text("key")?;
            operation.text("data")?;
            if let (Some(kind), Some(id)) = (operation.text("row_type")?, operation.text("row_id")?)
            {
                let ids = touched.rows.entry(kind.to_vec()).or_default();
                ids.insert(id.to_vec());
            }
        }
        Ok(touched)
    }

    /// Compares the rows of a table that any changed operation is about with their newest operations, reads those that
    /// have changed as a client will, and refuses one that changed without an operation.
    pub(super) fn check_table(
        &mut self,
        connection: &Connection,
        table: &str,
        rows: &Rows,
    ) -> Result<Option<UnreadableRows>, VerifyError> {
        let stored = quoted(&format!("ps_data__{table}"));
        let ids = self.rows.remove(table.as_bytes()).unwrap_or_default();
        let columns = Columns::of(connection, &format!("ps_data__{table}"))?;
        let mut view = ClientView::of(connection, table)?;
        let (mut changed, mut wrong, mut missing, mut extra) = (HashSet::new(), 0, 0, 0);
        for (_, record) in rows.removed.iter().chain(&rows.added) {
            let row = Record::read(record, &columns, table)?;
            changed.insert(row.text("id")?.unwrap_or_default().to_vec());
        }
        extra += changed.iter().filter(|id| !ids.contains(*id)).count() as u64;
        let mut newest = connection.prepare(
            "SELECT data FROM ps_oplog WHERE row_type = ?1 AND row_id = ?2 ORDER BY op_id DESC LIMIT 1",
        )?;
        let mut present =
            connection.prepare(&format!("SELECT data FROM {stored} WHERE id = ?1"))?;
        for id in &ids {
            let id = str::from_utf8(id).map_err(|_| in_table(table, "an id that is no text"))?;
            let owned = |row: &rusqlite::Row<'_>| Ok(text(row, 0)?.map(<[u8]>::to_vec));
            let expected = newest.query_row((table, id), owned).optional()?.flatten();
            match (expected, present.query_row([id], owned).optional()?) {
                (None, None) => {}
                (Some(expected), Some(Some(found))) if expected == found => {
                    view.read(id.as_bytes(), &found)?;
                }
                (None, Some(_)) => extra += 1,
                (Some(_), None) => missing += 1,
                (Some(_), Some(_)) => wrong += 1,
            }
        }
        if wrong + missing + extra > 0 {
            return Err(VerifyError::Rows {
                table: table.to_owned(),
                wrong,
                missing,
                extra,
            });
        }
        Ok(view.unreadable())
    }

    /// Refuses operations on rows of a type that has no table.
    pub(super) fn check_others(&self, connection: &Connection) -> Result<(), VerifyError> {
        let mut count = connection.prepare(
            "SELECT count(*) FROM ps_oplog WHERE row_type = ?1 AND row_id = ?2 AND data IS NOT NULL",
        )?;
        for (kind, ids) in &self.rows {
            let kind = String::from_utf8_lossy(kind);
            for id in ids {
                let id = String::from_utf8_lossy(id);
                let rows: u64 = count.query_row((&kind, &id), |row| row.get(0))?;
                if rows > 0 {
                    return Err(VerifyError::Untyped {
                        kind: kind.into_owned(),
                        rows: 1,
                    });
                }
            }
        }
        Ok(())
    }
}
