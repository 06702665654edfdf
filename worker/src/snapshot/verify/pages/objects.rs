//! What a database has: tables and indexes, and where their trees begin.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{
    index::Index,
    page::Page,
    record::{Value, values},
    version::{Version, wrong},
};
use crate::snapshot::verify::error::VerifyError;

const OPLOG: &str = "ps_oplog";
const DATA: &str = "ps_data__";

/// No tree is so deep.
const MOST_LEVELS: u32 = 64;

/// The tables and indexes of one version, in the order of their numbers as trees: name, table, root page.
pub(in super::super) type Objects = Vec<(String, String, u32)>;

/// What is called with the row's id, of a table, and the payload.
pub(in super::super) type Visit<'v> = dyn FnMut(i64, &[u8]) -> Result<(), VerifyError> + 'v;

/// Returns everything that has a tree, the list of it included.
pub(in super::super) fn objects(version: &Version<'_>) -> Result<Objects, VerifyError> {
    let list = "sqlite_schema";
    let mut objects = vec![(list.to_owned(), list.to_owned(), 1)];
    each_row(version, 1, 0, &mut |_, record| {
        let values = values(record);
        let mut values = values.ok_or_else(|| in_table(list, "no row"))?.into_iter();
        let mut text = |what| match values.next() {
            Some(Value::Text(text)) => Ok(String::from_utf8_lossy(text).into_owned()),
            _ => Err(in_table(list, what)),
        };
        let _kind = text("an object without a type")?;
        let (name, table) = (text("no name")?, text("no table")?);
        if let Some(Value::Integer(root)) = values.next()
            && root != 0
        {
            let root = u32::try_from(root).map_err(|_| in_table(&name, "no root page"))?;
            objects.push((name, table, root));
        }
        Ok(())
    })?;
    Ok(objects)
}

/// Returns the names of the tables among the objects.
pub(in super::super) fn tables(objects: &Objects) -> impl Iterator<Item = &str> {
    let tables = objects.iter().filter(|(name, table, _)| name == table);
    tables.map(|(name, ..)| name.as_str())
}

/// Returns the number of an object as a tree.
pub(in super::super) fn place(objects: &Objects, name: &str) -> Option<usize> {
    objects.iter().position(|(known, ..)| known == name)
}

/// Returns the number of an object that has to be there.
pub(in super::super) fn placed(objects: &Objects, name: &str) -> Result<usize, VerifyError> {
    place(objects, name).ok_or_else(|| in_table(name, "it is missing"))
}

/// Returns the error of a table.
pub(in super::super) fn in_table(table: &str, what: &str) -> VerifyError {
    VerifyError::Integrity(format!("table {table}: {what}"))
}

/// Calls `visit` with the id and the record of every row of a small table.
pub(in super::super) fn each_row(
    version: &Version<'_>,
    root: u32,
    level: u32,
    visit: &mut Visit<'_>,
) -> Result<(), VerifyError> {
    if level > MOST_LEVELS {
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
        each_row(version, child, level + 1, visit)?;
    }
    Ok(())
}

/// The tables that are read row by row, with their indexes; `None` for one whose indexes are not simple.
pub(in super::super) struct Large(pub(in super::super) BTreeMap<String, Option<Vec<Index>>>);

impl Large {
    pub(in super::super) fn tables(
        connection: &Connection,
        objects: &Objects,
    ) -> Result<Self, VerifyError> {
        let mut large = BTreeMap::new();
        for table in tables(objects) {
            if table == OPLOG || table.starts_with(DATA) {
                large.insert(table.to_owned(), Index::all_of(connection, table)?);
            }
        }
        Ok(Self(large))
    }

    /// Returns whether a table is one of them, and all of its indexes are simple.
    pub(in super::super) fn is_simple(&self, table: &str) -> bool {
        self.0.get(table).is_some_and(Option::is_some)
    }

    /// Returns the simple index with this name, and its table.
    pub(in super::super) fn index(&self, name: &str) -> Option<(&str, &Index)> {
        self.0.iter().find_map(|(table, indexes)| {
            let index = indexes.iter().flatten().find(|index| index.name() == name);
            Some((table.as_str(), index?))
        })
    }

    /// Returns whether a table's or an index's keys are in the order of their values.
    pub(in super::super) fn is_ordered(&self, name: &str) -> bool {
        self.0.contains_key(name) || self.index(name).is_some()
    }
}
