//! Reads one table or index, and gathers all that is compared of it.

use std::{collections::HashMap, hash::BuildHasher};

use foldhash::quality::FixedState;
use rusqlite::Connection;

use crate::snapshot::verify::{
    error::VerifyError,
    operations::{Fingerprint, Operations},
    pages::{Entry, Index, Places, Sum, Value, Visit, in_table},
    readable::{ClientView, UnreadableRows},
};

/// What one pass over a table or an index has found.
#[derive(Default)]
pub(super) struct Found {
    /// The operations, of `ps_oplog`.
    pub(super) operations: Operations,
    /// The rows of a client's table.
    pub(super) rows: Fingerprint,
    pub(super) unreadable: Option<UnreadableRows>,
    /// Of a table, the sum that each of its indexes has to have; of an index, its own. Empty if not all values are simple.
    pub(super) sums: Vec<Sum>,
    /// Whether an index has two entries that differ in the row's id alone.
    pub(super) has_equal_keys: bool,
}

/// What the entries of a table's indexes are made of.
struct Entries<'h> {
    columns: Vec<Vec<usize>>,
    sums: Vec<Sum>,
    entry: Entry,
    is_simple: bool,
    hasher: &'h FixedState,
}

impl<'h> Entries<'h> {
    fn of(
        indexes: &[Index],
        columns: &HashMap<String, usize>,
        hasher: &'h FixedState,
        table: &str,
    ) -> Result<Self, VerifyError> {
        let place = |column: &String| {
            let place = columns.get(column).copied();
            place.ok_or_else(|| in_table(table, "a column is missing"))
        };
        let of_index = |index: &Index| -> Result<Vec<usize>, VerifyError> {
            index.columns().iter().map(place).collect()
        };
        Ok(Self {
            columns: indexes.iter().map(of_index).collect::<Result<_, _>>()?,
            sums: vec![Sum::default(); indexes.len()],
            entry: Entry::default(),
            is_simple: true,
            hasher,
        })
    }

    fn add(&mut self, places: &Places, row: i64, record: &[u8]) {
        for (columns, sum) in self.columns.iter().zip(&mut self.sums) {
            self.entry.clear();
            for &column in columns {
                self.is_simple &= self.entry.push(places.value(record, column));
            }
            self.entry.push(Value::Integer(row));
            sum.add(self.hasher.hash_one(&self.entry.bytes));
        }
    }

    fn finish(self) -> Vec<Sum> {
        match self.is_simple {
            true => self.sums,
            false => Vec::new(),
        }
    }
}

/// Finds the values of a record.
fn find(places: &mut Places, record: &[u8], table: &str) -> Result<(), VerifyError> {
    let found = places.find(record);
    found.ok_or_else(|| in_table(table, "a row that is none"))
}

/// Reads every operation; `walk` calls what it is given with each row.
pub(super) fn operations(
    columns: &HashMap<String, usize>,
    indexes: &[Index],
    hasher: &FixedState,
    walk: impl FnOnce(&mut Visit<'_>) -> Result<(), VerifyError>,
) -> Result<Found, VerifyError> {
    const OPLOG: &str = "ps_oplog";
    let mut entries = Entries::of(indexes, columns, hasher, OPLOG)?;
    let names = [
        "bucket", "op_id", "row_type", "row_id", "key", "data", "hash",
    ];
    let mut at = [0; 7];
    for (name, at) in names.iter().zip(&mut at) {
        let place = columns.get(*name).copied();
        *at = place.ok_or_else(|| in_table(OPLOG, "a column is missing"))?;
    }
    let [bucket, op_id, row_type, row_id, key, data, hash] = at;
    let mut operations = Operations::default();
    let mut places = Places::default();
    // Operations of one bucket, and rows of one type, follow each other.
    let mut sum = (0, 0);
    let (mut kind, mut rows) = (Vec::new(), Fingerprint::default());
    walk(&mut |row, record| {
        find(&mut places, record, OPLOG)?;
        let wrong = |what: String| in_table(OPLOG, &what);
        let integer = |column| places.value(record, column).integer().map_err(wrong);
        let text = |column| places.value(record, column).text().map_err(wrong);
        let (bucket, hash) = (integer(bucket)?, integer(hash)?);
        integer(op_id)?;
        text(key)?;
        if bucket != sum.0 {
            *operations.checksums.entry(sum.0).or_default() += sum.1;
            sum = (bucket, 0);
        }
        sum.1 += hash;
        let found = (text(row_type)?, text(row_id)?, text(data)?);
        if let (Some(row_type), Some(id), Some(data)) = found {
            if row_type != kind {
                operations.add_rows(&kind, rows);
                (kind, rows) = (row_type.to_vec(), Fingerprint::default());
            }
            rows.add(hasher, id, data);
        }
        entries.add(&places, row, record);
        Ok(())
    })?;
    *operations.checksums.entry(sum.0).or_default() += sum.1;
    operations.add_rows(&kind, rows);
    Ok(Found {
        operations,
        sums: entries.finish(),
        ..Found::default()
    })
}

/// Reads every row of the table that clients know as `table`.
pub(super) fn rows(
    connection: &Connection,
    table: &str,
    columns: &HashMap<String, usize>,
    indexes: &[Index],
    hasher: &FixedState,
    walk: impl FnOnce(&mut Visit<'_>) -> Result<(), VerifyError>,
) -> Result<Found, VerifyError> {
    let mut entries = Entries::of(indexes, columns, hasher, table)?;
    let mut view = ClientView::of(connection, table)?;
    let place = |name| {
        let place = columns.get(name).copied();
        place.ok_or_else(|| in_table(table, "a column is missing"))
    };
    let (id_at, data_at) = (place("id")?, place("data")?);
    let mut places = Places::default();
    let mut rows = Fingerprint::default();
    walk(&mut |row, record| {
        find(&mut places, record, table)?;
        let text = |column| {
            let text = places.value(record, column).text();
            text.map_err(|what| in_table(table, &what))
        };
        let (id, data) = (text(id_at)?, text(data_at)?);
        let id = id.ok_or_else(|| in_table(table, "a row without an id"))?;
        let data = data.unwrap_or_default();
        rows.add(hasher, id, data);
        view.read(id, data)?;
        entries.add(&places, row, record);
        Ok(())
    })?;
    Ok(Found {
        rows,
        unreadable: view.unreadable(),
        sums: entries.finish(),
        ..Found::default()
    })
}

/// Reads every entry of an index, which has to be in order.
pub(super) fn entries(
    index: &Index,
    table: &str,
    hasher: &FixedState,
    walk: impl FnOnce(&mut Visit<'_>) -> Result<(), VerifyError>,
) -> Result<Found, VerifyError> {
    let mut places = Places::default();
    let (mut previous, mut entry) = (Entry::default(), Entry::default());
    let (mut sum, mut is_simple, mut has_equal_keys) = (Sum::default(), true, false);
    walk(&mut |_, record| {
        find(&mut places, record, table)?;
        entry.clear();
        if places.count() != index.columns().len() + 1 {
            return Err(index.wrong(table, "has an entry that is none"));
        }
        for column in 0..places.count() {
            is_simple &= entry.push(places.value(record, column));
        }
        if !is_simple {
            return Ok(());
        }
        if entry.bytes <= previous.bytes {
            return Err(index.wrong(table, "is not sorted"));
        }
        if !entry.has_null && entry.key() == previous.key() {
            has_equal_keys = true;
            if index.is_unique() {
                return Err(index.wrong(table, "is not unique"));
            }
        }
        sum.add(hasher.hash_one(&entry.bytes));
        std::mem::swap(&mut previous, &mut entry);
        Ok(())
    })?;
    Ok(Found {
        sums: if is_simple { vec![sum] } else { Vec::new() },
        has_equal_keys,
        ..Found::default()
    })
}
