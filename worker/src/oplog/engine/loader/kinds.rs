//! The kinds of rows of a first checkpoint, and the table that each goes to.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use crate::oplog::{
    engine::pages::Table,
    schema::Schema,
    sqlite::{DatabaseError, quoted},
};

/// The columns of a client's table as the core extension writes them.
const COLUMNS: &str = "(id TEXT PRIMARY KEY NOT NULL, data TEXT)";

/// Where rows of one kind go.
pub(super) enum Kind {
    /// To a table of the core extension's own, with their operations.
    Now(ClientTable),
    /// To `ps_untyped`, or to a table that is not of the usual form, when all are there.
    Later,
    /// To a raw table, by the core extension.
    Raw,
}

/// A table for rows as JSON.
pub(super) struct ClientTable {
    /// Its name, quoted.
    pub(super) name: String,
    pub(super) rows: Table,
    /// The root of the index of its primary key.
    pub(super) key_root: u32,
    /// The names of its other indexes, which SQLite builds.
    pub(super) indexes: Vec<String>,
    /// Whether it was created for the rows.
    pub(super) is_new: bool,
}

/// All kinds so far.
pub(super) struct Kinds {
    /// In the order of their names, so that the same rows make the same file.
    by_name: BTreeMap<String, Kind>,
    raw: Vec<String>,
    /// Whether a kind of row that has no table gets one.
    creates: bool,
}

impl Kinds {
    pub(super) fn of(schema: &Schema) -> Self {
        let raw = schema.raw_tables().iter().map(|table| table.name.clone());
        Self {
            by_name: BTreeMap::new(),
            raw: raw.collect(),
            creates: matches!(schema, Schema::Inferred),
        }
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Kind> {
        self.by_name.get_mut(name)
    }

    /// Adds a kind, and creates a table for it if it has none and is to have one.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        name: &str,
        page_bytes: usize,
    ) -> Result<(), DatabaseError> {
        let kind = match self.raw.iter().any(|raw| raw == name) {
            true => Kind::Raw,
            false => match ClientTable::of(connection, name, self.creates, page_bytes)? {
                Some(table) => Kind::Now(table),
                None => Kind::Later,
            },
        };
        self.by_name.insert(name.to_owned(), kind);
        Ok(())
    }

    pub(super) fn tables_mut(&mut self) -> impl Iterator<Item = &mut ClientTable> {
        self.by_name.values_mut().filter_map(|kind| match kind {
            Kind::Now(table) => Some(table),
            Kind::Later | Kind::Raw => None,
        })
    }

    pub(super) fn into_sorted(self) -> impl Iterator<Item = (String, Kind)> {
        self.by_name.into_iter()
    }
}

impl ClientTable {
    /// Returns the table of a kind of rows, which is empty; `None` if it has none of the usual form, and gets none.
    fn of(
        connection: &Connection,
        kind: &str,
        creates: bool,
        page_bytes: usize,
    ) -> Result<Option<Self>, DatabaseError> {
        let name = format!("ps_data__{kind}");
        // SQLite takes names that differ in case for one.
        let known = "SELECT count(*) FROM sqlite_master WHERE lower(name) = lower(?1)";
        let known: u64 = connection.query_row(known, [&name], |row| row.get(0))?;
        let is_new = known == 0 && creates;
        if is_new {
            connection.execute_batch(&format!("CREATE TABLE {}{COLUMNS}", quoted(&name)))?;
        }
        let table = "SELECT rootpage, sql FROM sqlite_master WHERE type = 'table' AND name = ?1";
        let table = connection.query_row(table, [&name], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?))
        });
        let Some((root, sql)) = table.optional()? else {
            return Ok(None);
        };
        let indexes = "SELECT name, rootpage, sql IS NULL FROM sqlite_master WHERE type = 'index' AND tbl_name = ?1";
        let mut indexes = connection.prepare_cached(indexes)?;
        let indexes = indexes.query_map([&name], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
        })?;
        let indexes: Vec<(String, u32, bool)> = indexes.collect::<Result<_, _>>()?;
        let (keys, others): (Vec<_>, Vec<_>) = indexes.into_iter().partition(|index| index.2);
        let [(_, key_root, _)] = keys[..] else {
            return Ok(None);
        };
        Ok(sql.ends_with(COLUMNS).then(|| Self {
            name: quoted(&name),
            rows: Table::new(root, page_bytes),
            key_root,
            indexes: others.into_iter().map(|(name, ..)| name).collect(),
            is_new,
        }))
    }
}
