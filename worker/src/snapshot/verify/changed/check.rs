//! Checks everything that a job can have changed in its base.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
};

use rusqlite::Connection;
use seedbed_protocol::manifest::TableRows;

use super::{
    content::{Columns, Record, Touched},
    difference::{Cells, Entries, Rows},
    tree::Walk,
};
use crate::{
    oplog::quoted,
    snapshot::{
        before::Before,
        stop::Stop,
        verify::{
            checksums::check_checksums,
            error::VerifyError,
            facts::{Expected, FileFacts, facts_of},
            operations::Operations,
            pages::{
                Index, Large, Objects, Owners, Value, Version, each_row, in_table, objects, place,
                placed, tables, wrong,
            },
            readable::read_other_views,
            sql::count,
            whole::structure,
        },
    },
};

const OPLOG: &str = "ps_oplog";
const DATA: &str = "ps_data__";

/// Checks a file that was made of the base that it was `before`. `None` if more than rows has changed, so
/// that the file has to be checked as a whole.
pub(super) fn check_changed(
    connection: &Connection,
    (file, stop): (&File, &Stop),
    before: &Before,
    expected: &Expected<'_>,
) -> Result<Option<FileFacts>, VerifyError> {
    let Some(new) = Version::of(file, stop)? else {
        return Ok(None);
    };
    let Some(old) = new.as_it_was(before) else {
        return Ok(None);
    };
    let objects = [objects(&old)?, objects(&new)?];
    let [old_objects, new_objects] = &objects;
    let is_known = |name: &str| new_objects.iter().any(|(known, ..)| known == name);
    if !old_objects.iter().all(|(name, ..)| is_known(name)) {
        return Ok(None);
    }
    let large = Large::tables(connection, new_objects)?;
    let changed = new.changed(before);

    // Each page belongs to one tree, to a large row, or is free.
    let [old_owners, new_owners] = [old.count, new.count].map(Owners::of);
    let none = HashSet::new();
    for (version, objects, owners, changed) in [
        (&old, old_objects, &old_owners, &none),
        (&new, new_objects, &new_owners, &changed),
    ] {
        let mut walk = Walk {
            version,
            changed,
            owners,
            is_ordered: false,
        };
        for (tree, (name, _, root)) in objects.iter().enumerate() {
            walk.tree(tree, *root, large.is_ordered(name))?;
        }
        owners.claim_free(version)?;
    }
    let hidden = |version: &Version<'_>, owners: &Owners| version.usable() - owners.known();
    let (old_hidden, new_hidden) = (hidden(&old, &old_owners), hidden(&new, &new_owners));
    let mut old_cells = Cells::read(&old, &changed, &old_owners)?;
    let mut new_cells = Cells::read(&new, &changed, &new_owners)?;
    if let Some(page) = changed.iter().find(|page| !new_owners.knows(**page)) {
        return Err(wrong(*page, "it has changed, and no changed row is in it"));
    }
    if new_hidden + old_cells.overflow != old_hidden + new_cells.overflow {
        return Err(wrong(1, "pages are lost"));
    }

    // SQLite itself checks what is small.
    for table in tables(new_objects).filter(|table| !large.is_simple(table)) {
        structure::check_table(connection, table)?;
    }
    let mut differences = HashMap::new();
    for (table, indexes) in &large.0 {
        let rows = Rows::between(
            (place(old_objects, table), &mut old_cells),
            (placed(new_objects, table)?, &mut new_cells),
        );
        let columns = Columns::of(connection, table)?;
        for index in indexes.iter().flatten() {
            let entries = Entries::between(
                (place(old_objects, index.name()), &mut old_cells),
                (placed(new_objects, index.name())?, &mut new_cells),
            );
            check_index(table, index, entries, &rows, &columns)?;
        }
        differences.insert(table.as_str(), rows);
    }
    check_rows(
        connection,
        &differences,
        &sums(&old, old_objects, connection)?,
        expected,
    )
    .map(Some)
}

/// Compares changed rows with their operations, and those with the checksums.
fn check_rows(
    connection: &Connection,
    differences: &HashMap<&str, Rows>,
    old_sums: &HashMap<i64, i64>,
    expected: &Expected<'_>,
) -> Result<FileFacts, VerifyError> {
    let Some(operations) = differences.get(OPLOG) else {
        return Err(in_table(OPLOG, "it is missing"));
    };
    let mut touched = Touched::by(operations, &Columns::of(connection, OPLOG)?)?;
    let mut operations = Operations::default();
    operations.checksums.clone_from(old_sums);
    for (bucket, sum) in &touched.checksums {
        *operations.checksums.entry(*bucket).or_default() += sum;
    }
    check_checksums(connection, &operations, expected.checkpoint)?;
    let (mut tables, mut unreadable) = (Vec::new(), Vec::new());
    for (table, rows) in differences {
        let Some(table) = table.strip_prefix(DATA) else {
            continue;
        };
        unreadable.extend(touched.check_table(connection, table, rows)?);
        let all = format!("SELECT count(*) FROM {}", quoted(&format!("{DATA}{table}")));
        tables.push(TableRows {
            table: table.to_owned(),
            rows: count(connection, &all, [])?,
        });
    }
    touched.check_others(connection)?;
    unreadable.extend(read_other_views(connection)?);
    facts_of(connection, tables, unreadable)
}

/// Checks that the entries that an index has lost and gained are those of the rows.
fn check_index(
    table: &str,
    index: &Index,
    entries: Option<Entries>,
    rows: &Rows,
    columns: &Columns,
) -> Result<(), VerifyError> {
    let mut entries = entries.ok_or_else(|| in_table(table, "an entry of an index is none"))?;
    let removed = rows.removed.iter().map(|row| (row, 1));
    for ((row, record), times) in removed.chain(rows.added.iter().map(|row| (row, -1))) {
        let record = Record::read(record, columns, table)?;
        let mut entry = Vec::new();
        for column in index.columns() {
            entry.push(record.value(column)?);
        }
        entry.push(Value::Integer(*row));
        entries.add(&entry, times);
    }
    match entries.cancel_out() {
        true => Ok(()),
        false => Err(index.wrong(table, "does not have its rows")),
    }
}

/// Returns the sum of each bucket's operations, as the base had it recorded.
fn sums(
    old: &Version<'_>,
    objects: &Objects,
    connection: &Connection,
) -> Result<HashMap<i64, i64>, VerifyError> {
    const BUCKETS: &str = "ps_buckets";
    let columns = Columns::of(connection, BUCKETS)?;
    let tree = placed(objects, BUCKETS)?;
    let mut sums = HashMap::new();
    each_row(old, objects[tree].2, 0, &mut |id, record| {
        let bucket = Record::read(record, &columns, BUCKETS)?;
        sums.insert(id, bucket.integer("op_checksum")?);
        Ok(())
    })?;
    Ok(sums)
}
