//! The app's schema: which tables and views the snapshot has.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rusqlite::Connection;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::oplog::log::{self as database, DatabaseError};

/// Why a schema file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It cannot be read.
    #[error("schema.file {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// It is not the SDK's schema JSON.
    #[error("schema.file {} is not a schema as PowerSync's SDKs print it: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// One of its tables is wrong.
    #[error("schema.file {}: table {table:?}: {reason}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// What is wrong with it.
        reason: String,
    },
    /// SQLite or the core extension refuses it.
    #[error("schema.file {} is refused: {source}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Who says what.
        source: Box<DatabaseError>,
    },
}

/// The tables of a snapshot.
#[derive(Debug, Clone)]
pub enum Schema {
    /// The app's own.
    Given(GivenSchema),
    /// From the rows that come: a table for each type, a column for each field.
    Inferred,
}

/// A checked schema file.
#[derive(Debug, Clone)]
pub struct GivenSchema {
    /// What the core extension is given.
    json: String,
    /// What the app creates by itself for its raw tables.
    ddl: Vec<String>,
    raw_tables: Vec<RawTable>,
    fingerprint: String,
    empty: Arc<EmptyDatabase>,
}

/// The file that every sync with one schema starts from; made when it is first needed.
type EmptyDatabase = OnceLock<Arc<[u8]>>;

/// A table of the app's own making, which the core extension fills by statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTable {
    /// The type of its rows in the sync stream.
    pub name: String,
    /// The table in SQLite.
    pub table: String,
}

impl Schema {
    /// Reads and checks `file`; without one, the schema is inferred.
    ///
    /// # Errors
    /// [`SchemaError`] names the table and what is wrong with it.
    pub fn load(file: Option<&Path>) -> Result<Self, SchemaError> {
        let Some(path) = file else {
            return Ok(Self::Inferred);
        };
        let text = std::fs::read_to_string(path).map_err(|source| SchemaError::File {
            path: path.to_owned(),
            source,
        })?;
        let schema = Self::Given(GivenSchema::parse(path, &text)?);
        // The last word is the core extension's own: try it on a database that nobody needs.
        let trial = database::open_in_memory();
        let refused = |source| SchemaError::Refused {
            path: path.to_owned(),
            source: Box::new(source),
        };
        trial
            .and_then(|trial| {
                database::initialize(&trial)?;
                schema.create(&trial)?;
                schema.open_every_view(&trial)?;
                schema.find_raw_tables(&trial)
            })
            .map_err(refused)?;
        Ok(schema)
    }

    /// SHA-256, in hex, of what the schema says.
    pub fn fingerprint(&self) -> String {
        match self {
            Self::Given(given) => given.fingerprint.clone(),
            Self::Inferred => format!("{:x}", Sha256::digest("inferred")),
        }
    }

    /// The schema as `powersync_control` wants it when a sync starts.
    pub fn start_payload(&self) -> Value {
        match self {
            Self::Given(given) => {
                serde_json::from_str(&given.json).expect("it was checked when it was loaded")
            }
            Self::Inferred => serde_json::json!({ "tables": [] }),
        }
    }

    /// The raw tables.
    pub fn raw_tables(&self) -> &[RawTable] {
        match self {
            Self::Given(given) => &given.raw_tables,
            Self::Inferred => &[],
        }
    }

    /// A database file with PowerSync's internal tables and those that are known before the first row. Making it
    /// takes longer than seeding a small store.
    ///
    /// # Errors
    /// What SQLite or the core extension says.
    pub(crate) fn empty_database(&self) -> Result<Arc<[u8]>, DatabaseError> {
        static INFERRED: EmptyDatabase = OnceLock::new();
        let cell = match self {
            Self::Given(given) => &given.empty,
            Self::Inferred => &INFERRED,
        };
        if let Some(file) = cell.get() {
            return Ok(Arc::clone(file));
        }
        let connection = database::open_in_memory()?;
        database::initialize(&connection)?;
        self.create(&connection)?;
        connection.execute_batch("VACUUM")?;
        let file = connection.serialize("main")?;
        Ok(Arc::clone(cell.get_or_init(|| Arc::from(&file[..]))))
    }

    /// Creates the tables that are known before the first row.
    ///
    /// # Errors
    /// What SQLite or the core extension says.
    pub fn create(&self, connection: &Connection) -> Result<(), DatabaseError> {
        let Self::Given(given) = self else {
            return Ok(());
        };
        for statement in &given.ddl {
            connection.execute_batch(statement)?;
        }
        replace_schema(connection, &given.json)
    }

    /// Creates the tables that only the rows tell, once all of them are in `ps_oplog`.
    ///
    /// # Errors
    /// What SQLite or the core extension says.
    pub fn create_inferred(&self, connection: &Connection) -> Result<(), DatabaseError> {
        match self {
            Self::Given(_) => Ok(()),
            Self::Inferred => replace_schema(connection, &infer(connection)?.schema()),
        }
    }

    /// Reads rows as they come; `None` when they tell nothing about the tables.
    pub(crate) fn inference(&self) -> Option<Inference> {
        match self {
            Self::Given(_) => None,
            Self::Inferred => Some(Inference::default()),
        }
    }

    /// Creates the tables that the rows have told.
    ///
    /// # Errors
    /// What SQLite or the core extension says.
    pub(crate) fn create_as(
        &self,
        connection: &Connection,
        inference: Inference,
    ) -> Result<(), DatabaseError> {
        match self {
            Self::Given(_) => Ok(()),
            Self::Inferred => replace_schema(connection, &inference.schema()),
        }
    }

    /// A raw table that its DDL does not create would only be missed when the snapshot is verified.
    fn find_raw_tables(&self, connection: &Connection) -> Result<(), DatabaseError> {
        for raw in self.raw_tables() {
            connection.prepare(&format!("SELECT * FROM {}", quoted(&raw.table)))?;
        }
        Ok(())
    }

    /// A view with a broken column is created without complaint and fails when it is read.
    fn open_every_view(&self, connection: &Connection) -> Result<(), DatabaseError> {
        let mut names = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'view'")?;
        for name in names.query_map([], |row| row.get::<_, String>(0))? {
            connection.prepare(&format!("SELECT * FROM {}", quoted(&name?)))?;
        }
        Ok(())
    }
}

fn replace_schema(connection: &Connection, json: &str) -> Result<(), DatabaseError> {
    connection.query_row("SELECT powersync_replace_schema(?1)", [json], |_| Ok(()))?;
    Ok(())
}

/// An identifier in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[derive(Deserialize)]
struct SchemaFile {
    tables: Vec<TableFile>,
    #[serde(default)]
    raw_tables: Vec<RawTableFile>,
}

#[derive(Deserialize)]
struct TableFile {
    name: String,
    view_name: Option<String>,
    columns: Vec<ColumnFile>,
    #[serde(default)]
    indexes: Vec<IndexFile>,
}

#[derive(Deserialize)]
struct ColumnFile {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct IndexFile {
    name: String,
    columns: Vec<IndexedColumnFile>,
}

#[derive(Deserialize)]
struct IndexedColumnFile {
    name: String,
}

#[derive(Deserialize)]
struct RawTableFile {
    name: String,
    table_name: Option<String>,
    put: Option<Value>,
    ddl: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl GivenSchema {
    fn parse(path: &Path, text: &str) -> Result<Self, SchemaError> {
        let form = |e: serde_json::Error| SchemaError::Form {
            path: path.to_owned(),
            reason: e.to_string(),
        };
        let file: SchemaFile = serde_json::from_str(text).map_err(form)?;
        let mut value: Value = serde_json::from_str(text).map_err(form)?;
        let mut names = HashSet::new();
        for table in &file.tables {
            table
                .check()
                .and_then(|()| table.check_names(&mut names))
                .map_err(|reason| SchemaError::Table {
                    path: path.to_owned(),
                    table: table.name.clone(),
                    reason,
                })?;
        }
        // `ddl` is Seedbed's addition; the core extension would not know what to do with it.
        for raw in value
            .get_mut("raw_tables")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            raw.as_object_mut().map(|raw| raw.shift_remove("ddl"));
        }
        let (ddl, raw_tables) = raw_tables(path, file.raw_tables)?;
        let fingerprint = format!("{:x}", Sha256::digest(text));
        Ok(Self {
            json: value.to_string(),
            ddl,
            raw_tables,
            fingerprint,
            empty: Arc::default(),
        })
    }
}

fn raw_tables(
    path: &Path,
    files: Vec<RawTableFile>,
) -> Result<(Vec<String>, Vec<RawTable>), SchemaError> {
    let mut ddl = Vec::new();
    let mut tables = Vec::new();
    for raw in files {
        let bad = |reason: &str| SchemaError::Table {
            path: path.to_owned(),
            table: raw.name.clone(),
            reason: reason.to_owned(),
        };
        match raw.ddl {
            Some(OneOrMany::One(statement)) => ddl.push(statement),
            Some(OneOrMany::Many(statements)) => ddl.extend(statements),
            None => return Err(bad("a raw table needs its CREATE TABLE statement in `ddl`")),
        }
        if raw.table_name.is_none() && raw.put.is_none() {
            return Err(bad(
                "a raw table needs `table_name`, or `put` and `delete` statements",
            ));
        }
        let table = raw.table_name.unwrap_or_else(|| raw.name.clone());
        tables.push(RawTable {
            name: raw.name,
            table,
        });
    }
    Ok((ddl, tables))
}

impl TableFile {
    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("it has no name".to_owned());
        }
        let mut columns = HashSet::new();
        for column in &self.columns {
            let name = &column.name;
            if name.is_empty() {
                return Err("a column has no name".to_owned());
            }
            if name.eq_ignore_ascii_case("id") {
                return Err("the column \"id\" is implied and must not be listed".to_owned());
            }
            if !columns.insert(name.to_lowercase()) {
                return Err(format!("the column {name:?} is listed twice"));
            }
            if !["text", "integer", "real"].contains(&column.kind.to_lowercase().as_str()) {
                let kind = &column.kind;
                return Err(format!(
                    "the column {name:?} has the type {kind:?}; it must be text, integer or real"
                ));
            }
        }
        for index in &self.indexes {
            let unknown = index
                .columns
                .iter()
                .find(|column| !columns.contains(&column.name.to_lowercase()));
            if let Some(unknown) = unknown {
                return Err(format!(
                    "the index {:?} uses the unknown column {:?}",
                    index.name, unknown.name
                ));
            }
        }
        Ok(())
    }

    fn check_names(&self, names: &mut HashSet<String>) -> Result<(), String> {
        let view = self.view_name.as_ref().unwrap_or(&self.name);
        if names.insert(view.to_lowercase()) {
            return Ok(());
        }
        Err(format!("there are two tables with the view name {view:?}"))
    }
}

#[derive(Serialize)]
struct InferredSchema {
    tables: Vec<InferredTable>,
}

#[derive(Serialize)]
struct InferredTable {
    name: String,
    columns: Vec<InferredColumn>,
}

#[derive(Serialize)]
struct InferredColumn {
    name: String,
    #[serde(rename = "type")]
    kind: ColumnKind,
}

/// SQLite's column types in PowerSync's schema, from the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum ColumnKind {
    Integer,
    Real,
    Text,
}

/// Columns in the order in which they first came; a kind only after the first value that is not null.
type Columns = Vec<(String, Option<ColumnKind>)>;

/// What the rows so far tell about their tables. Fields that are null in every row become text.
#[derive(Default)]
pub(crate) struct Inference(BTreeMap<String, Columns>);

impl Inference {
    /// Learns from a row's JSON.
    ///
    /// # Errors
    /// [`DatabaseError::Row`] when it is no object.
    pub(crate) fn add(&mut self, table: &str, data: &str) -> Result<(), DatabaseError> {
        let columns = self.columns(table);
        let mut json = serde_json::Deserializer::from_str(data);
        let widened = json.deserialize_map(Widen(columns));
        widened.map_err(|e| DatabaseError::Row {
            table: table.to_owned(),
            reason: e.to_string(),
        })
    }

    /// The columns of a table, which has at least an operation.
    fn columns(&mut self, table: &str) -> &mut Columns {
        if !self.0.contains_key(table) {
            self.0.insert(table.to_owned(), Columns::new());
        }
        self.0.get_mut(table).expect("it was just inserted")
    }

    /// The schema in the SDK's JSON.
    fn schema(self) -> String {
        let column = |(name, kind): (String, Option<ColumnKind>)| InferredColumn {
            name,
            kind: kind.unwrap_or(ColumnKind::Text),
        };
        let table = |(name, columns): (String, Columns)| InferredTable {
            name,
            columns: columns.into_iter().map(column).collect(),
        };
        let schema = InferredSchema {
            tables: self.0.into_iter().map(table).collect(),
        };
        serde_json::to_string(&schema).expect("names and kinds are text")
    }
}

/// One pass over all rows.
fn infer(connection: &Connection) -> Result<Inference, DatabaseError> {
    let mut inference = Inference::default();
    let mut rows =
        connection.prepare("SELECT row_type, data FROM ps_oplog WHERE row_type IS NOT NULL")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let table = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let data = row
            .get_ref(1)?
            .as_str_or_null()
            .map_err(rusqlite::Error::from)?;
        match data {
            Some(data) => inference.add(table, data)?,
            None => drop(inference.columns(table)),
        }
    }
    Ok(inference)
}

/// Widens the known columns by one row.
struct Widen<'a>(&'a mut Columns);

impl<'de> Visitor<'de> for Widen<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut row: A) -> Result<(), A::Error> {
        // Rows of a table name the same columns in the same order: look where the last one was found.
        let mut next = 0;
        while let Some(Name(name)) = row.next_key()? {
            let kind = row.next_value::<Kind>()?.0;
            if name.eq_ignore_ascii_case("id") {
                continue;
            }
            let at_hand = self.0.get(next).is_some_and(|(known, _)| *known == name);
            let found = if at_hand {
                Some(next)
            } else {
                self.0.iter().position(|(known, _)| *known == name)
            };
            let index = found.unwrap_or_else(|| {
                self.0.push((name.into_owned(), None));
                self.0.len() - 1
            });
            let known = &mut self.0[index].1;
            *known = (*known).max(kind);
            next = index + 1;
        }
        Ok(())
    }
}

/// A column's name; that of a `Cow` without an attribute is never borrowed.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The kind of a JSON value; `None` for null.
struct Kind(Option<ColumnKind>);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KindVisitor;
        impl<'de> Visitor<'de> for KindVisitor {
            type Value = Option<ColumnKind>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(None)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Some(ColumnKind::Integer))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Some(ColumnKind::Integer))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Some(ColumnKind::Integer))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Some(ColumnKind::Real))
            }
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Some(ColumnKind::Text))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Some(ColumnKind::Text))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Some(ColumnKind::Text))
            }
        }
        deserializer.deserialize_any(KindVisitor).map(Self)
    }
}
