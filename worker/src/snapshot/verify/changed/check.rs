//! Checks everything that a job can have changed in its base.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
};

use rusqlite::Connection;
use seedbed_protocol::manifest::TableRows;

use super::{
    content::{Columns, Record, Touched, in_table},
    difference::{Cells, Entries, Rows},
    page::Page,
    tree::{Owners, Walk},
    version::{Version, wrong},
};
use crate::{
    oplog::quoted,
    snapshot::{
        before::Before,
        verify::{
            checksums::check_checksums,
            error::VerifyError,
            file::{Expected, FileFacts, facts_of},
            operations::Operations,
            readable::read_other_views,
            sql::count,
            structure::{self, Index},
        },
    },
};

const OPLOG: &str = "ps_oplog";
const DATA: &str = "ps_data__";

/// The tables and indexes of one version, in the order of their numbers as trees: name, table, root page.
type Objects = Vec<(String, String, u32)>;

/// Checks a file of `count` pages that was made of the base that it was `before`. `None` if more than rows has changed, so
/// that the file has to be checked as a whole.
pub(super) fn check_changed(
    connection: &Connection,
    file: &File,
    before: &Before,
    expected: &Expected<'_>,
) -> Result<Option<FileFacts>, VerifyError> {
    let pages = file.metadata().map_err(VerifyError::Read)?.len() / before.page_bytes() as u64;
    let count_of = |is_old| match is_old {
        true => before.count(),
        false => u32::try_from(pages).unwrap_or(u32::MAX),
    };
    let [old, new] = [true, false].map(|is_old| Version {
        file,
        before,
        is_old,
        count: count_of(is_old),
    });
    if new.count < old.count || has_reserved_bytes(&new)? {
        return Ok(None);
    }
    let objects = [objects(&old)?, objects(&new)?];
    let [old_objects, new_objects] = &objects;
    let is_known = |name: &str| new_objects.iter().any(|(known, ..)| known == name);
    if !old_objects.iter().all(|(name, ..)| is_known(name)) {
        return Ok(None);
    }
    let large = Large::tables(connection, new_objects)?;
    let changed = new.changed();

    // Each page belongs to one tree, to a large row, or is free.
    let [mut old_owners, mut new_owners] = [old.count, new.count].map(Owners::of);
    let none = HashSet::new();
    for (version, objects, owners, changed) in [
        (&old, old_objects, &mut old_owners, &none),
        (&new, new_objects, &mut new_owners, &changed),
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
    let mut old_cells = Cells::read(&old, &changed, &mut old_owners)?;
    let mut new_cells = Cells::read(&new, &changed, &mut new_owners)?;
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
        entry.push(super::record::Value::Integer(*row));
        entries.add(&entry, times);
    }
    match entries.cancel_out() {
        true => Ok(()),
        false => Err(index.wrong(table, "does not have its rows")),
    }
}

/// The tables whose changed rows alone are checked, with their indexes; `None` for one whose indexes are not simple.
struct Large(BTreeMap<String, Option<Vec<Index>>>);

impl Large {
    fn tables(connection: &Connection, objects: &Objects) -> Result<Self, VerifyError> {
        let mut large = BTreeMap::new();
        for table in tables(objects) {
            if table == OPLOG || table.starts_with(DATA) {
                large.insert(table.to_owned(), Index::all_of(connection, table)?);
            }
        }
        Ok(Self(large))
    }

    fn is_simple(&self, table: &str) -> bool {
        self.0.get(table).is_some_and(Option::is_some)
    }

    /// Returns whether a table's or an index's keys are in the order of their values.
    fn is_ordered(&self, name: &str) -> bool {
        let mut indexes = self.0.values().flatten().flatten();
        self.0.contains_key(name) || indexes.any(|index| index.name() == name)
    }
}

/// Returns the names of the tables among the objects.
fn tables(objects: &Objects) -> impl Iterator<Item = &str> {
    let tables = objects.iter().filter(|(name, table, _)| name == table);
    tables.map(|(name, ..)| name.as_str())
}

/// Returns the number of an object as a tree.
fn place(objects: &Objects, name: &str) -> Option<usize> {
    objects.iter().position(|(known, ..)| known == name)
}

fn placed(objects: &Objects, name: &str) -> Result<usize, VerifyError> {
    place(objects, name).ok_or_else(|| in_table(name, "it is missing"))
}

/// Returns whether pages have bytes that SQLite leaves to others.
fn has_reserved_bytes(version: &Version<'_>) -> Result<bool, VerifyError> {
    Ok(version.read(1)?.get(20) != Some(&0))
}

/// Returns everything that has a tree, the list of it included.
fn objects(version: &Version<'_>) -> Result<Objects, VerifyError> {
    let list = "sqlite_schema";
    let mut objects = vec![(list.to_owned(), list.to_owned(), 1)];
    each_row(version, 1, 0, &mut |_, record| {
        let values = super::record::values(record);
        let mut values = values.ok_or_else(|| in_table(list, "no row"))?.into_iter();
        let mut text = |what| match values.next() {
            Some(super::record::Value::Text(text)) => {
                Ok(String::from_utf8_lossy(text).into_owned())
            }
            _ => Err(in_table(list, what)),
        };
        let _kind = text("an object without a type")?;
        let (name, table) = (text("no name")?, text("no table")?);
        if let Some(super::record::Value::Integer(root)) = values.next()
            && root != 0
        {
            let root = u32::try_from(root).map_err(|_| in_table(&name, "no root page"))?;
            objects.push((name, table, root));
        }
        Ok(())
    })?;
    Ok(objects)
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

/// Takes the id and the record of a row.
type Visit<'a> = dyn FnMut(i64, &[u8]) -> Result<(), VerifyError> + 'a;

/// Calls `visit` with the id and the record of every row of a small table.
fn each_row(
    version: &Version<'_>,
    root: u32,
    depth: u32,
    visit: &mut Visit<'_>,
) -> Result<(), VerifyError> {
    if depth > 64 {
        return Err(wrong(root, "a tree that is too deep"));
    }
    let bytes = version.read(root)?;
    let page = Page::parse(root, &bytes).map_err(VerifyError::Integrity)?;
    if page.kind.is_leaf {
        for cell in &page.cells {
            visit(cell.row, &version.payload(cell, |_| Ok(()))?)?;
        }
    }
    for child in page.children() {
        each_row(version, child, depth + 1, visit)?;
    }
    Ok(())
}
