//! Checks all of a file, its trees on two threads.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::quality::FixedState;
use rusqlite::Connection;

use super::{
    read::{Found, entries, operations, rows},
    structure,
    walk::Walk,
};
use crate::snapshot::verify::{
    checksums::check_checksums,
    error::VerifyError,
    facts::{Expected, FileFacts, facts_of},
    identity::check_identity,
    operations::Operations,
    pages::{Large, Objects, Owners, Version, Visit, objects, tables, wrong},
    readable::read_other_views,
    rows::{check_rows, check_untyped},
};

const OPLOG: &str = "ps_oplog";
const DATA: &str = "ps_data__";
const ROW_INDEX: &str = "ps_oplog_row";

/// Checks all of a file page by page, on two threads if there is another connection.
pub(in super::super) fn check_pages(
    version: Version<'_>,
    (other, connection): (Option<Connection>, &Connection),
    expected: &Expected<'_>,
) -> Result<FileFacts, VerifyError> {
    let objects = objects(&version)?;
    let large = Large::tables(connection, &objects)?;
    let mut columns = HashMap::new();
    for table in large.0.keys() {
        columns.insert(table.clone(), columns_of(connection, table)?);
    }
    let reading = Reading {
        owners: Owners::of(version.count),
        hasher: FixedState::with_seed(RandomState::new().hash_one(version.count)),
        large,
        columns,
        objects,
        version,
    };
    let mut found = reading.on_threads(other, connection)?;
    reading.owners.claim_free(&reading.version)?;
    let mut pages = 1..=reading.version.count;
    if let Some(page) = pages.find(|page| reading.is_lost(*page)) {
        return Err(wrong(page, "it is never used"));
    }
    let compared = reading.compare_indexes(&found)?;
    for table in tables(&reading.objects).filter(|table| !compared.contains(table)) {
        structure::check_table(connection, table)?;
    }
    reading.content(connection, &mut found, expected)
}

/// A file that is being read.
struct Reading<'f> {
    version: Version<'f>,
    objects: Objects,
    large: Large,
    /// The places of the columns of its large tables, by their names.
    columns: HashMap<String, HashMap<String, usize>>,
    owners: Owners,
    hasher: FixedState,
}

impl Reading<'_> {
    /// Reads all trees, and returns what was found in each, by its name.
    fn on_threads(
        &self,
        other: Option<Connection>,
        connection: &Connection,
    ) -> Result<HashMap<String, Found>, VerifyError> {
        // Tables take longest.
        let mut order: Vec<usize> = (0..self.objects.len()).collect();
        order.sort_by_key(|tree| {
            let name = self.objects[*tree].0.as_str();
            (name != OPLOG, !name.starts_with(DATA))
        });
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let work = |connection: &Connection| {
            while let Some(&tree) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let found = self.tree(connection, tree);
                if found.is_err() {
                    next.store(order.len(), Ordering::Relaxed);
                }
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.push((tree, found));
            }
        };
        let work = &work;
        std::thread::scope(|threads| {
            if let Some(other) = other {
                threads.spawn(move || work(&other));
            }
            work(connection);
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(tree, _)| *tree);
        let found = done.into_iter().map(|(tree, found)| {
            let name = self.objects[tree].0.clone();
            found.map(|found| (name, found))
        });
        found.collect()
    }

    fn tree(&self, connection: &Connection, tree: usize) -> Result<Found, VerifyError> {
        let (name, table, root) = &self.objects[tree];
        let walk =
            |visit: &mut Visit<'_>| Walk::tree(&self.version, &self.owners, (tree, *root), visit);
        let none = HashMap::new();
        let columns = self.columns.get(table).unwrap_or(&none);
        let indexes = self.large.0.get(name).and_then(Option::as_deref);
        let indexes = indexes.unwrap_or_default();
        if name == OPLOG {
            operations(columns, indexes, &self.hasher, walk)
        } else if let Some(table) = name.strip_prefix(DATA).filter(|_| name == table) {
            rows(connection, table, columns, indexes, &self.hasher, walk)
        } else if let Some((table, index)) = self.large.index(name) {
            entries(index, table, &self.hasher, walk)
        } else {
            walk(&mut |_, _| Ok(())).map(|()| Found::default())
        }
    }

    fn is_lost(&self, page: u32) -> bool {
        page != self.version.locked() && !self.owners.knows(page)
    }

    /// Compares the indexes of the large tables with the tables; returns the tables all of whose indexes are simple enough.
    fn compare_indexes(&self, found: &HashMap<String, Found>) -> Result<Vec<&str>, VerifyError> {
        let mut compared = Vec::new();
        for (table, indexes) in &self.large.0 {
            let Some(indexes) = indexes else { continue };
            let expected = &found[table].sums;
            let sums = indexes.iter().map(|index| found[index.name()].sums.first());
            let sums: Option<Vec<_>> = sums.collect();
            let (Some(sums), true) = (sums, expected.len() == indexes.len()) else {
                continue;
            };
            for ((index, sum), expected) in indexes.iter().zip(sums).zip(expected) {
                if sum != expected {
                    return Err(index.wrong(table, "does not have its rows"));
                }
            }
            compared.push(table.as_str());
        }
        Ok(compared)
    }

    /// Compares rows with operations, and operations with checksums.
    fn content(
        &self,
        connection: &Connection,
        found: &mut HashMap<String, Found>,
        expected: &Expected<'_>,
    ) -> Result<FileFacts, VerifyError> {
        check_identity(connection)?;
        check_untyped(connection)?;
        let mut operations = Operations::default();
        if let Some(oplog) = found.get_mut(OPLOG) {
            operations = std::mem::take(&mut oplog.operations);
        }
        let may_be_shared = found
            .get(ROW_INDEX)
            .is_none_or(|index| index.has_equal_keys || index.sums.is_empty());
        if may_be_shared {
            operations.without_superseded(connection, &self.hasher)?;
        }
        check_checksums(connection, &operations, expected.checkpoint)?;
        let (tables, mut unreadable) =
            check_rows(connection, &operations, expected.raw_tables, |table| {
                let rows = found.get_mut(&format!("{DATA}{table}"));
                let rows = rows.map(std::mem::take).unwrap_or_default();
                Ok((rows.rows, rows.unreadable))
            })?;
        unreadable.extend(read_other_views(connection)?);
        facts_of(connection, tables, unreadable)
    }
}

/// Returns where a table's columns stand in its records.
fn columns_of(connection: &Connection, table: &str) -> Result<HashMap<String, usize>, VerifyError> {
    let mut columns = connection.prepare_cached("SELECT name, cid FROM pragma_table_info(?1)")?;
    let columns = columns.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(columns.collect::<Result<_, _>>()?)
}
