//! The tables of a snapshot: those of the app's schema file, or inferred from the rows.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use rusqlite::Connection;
use seedbed_protocol::digest::sha256_hex;
use serde_json::Value;

use super::{
    file::{CheckedSchema, SchemaError},
    inferred::Inference,
    raw::{self, RawTable},
};
use crate::oplog::sqlite::{self, DatabaseError, quoted};

/// The tables of a snapshot.
#[derive(Debug, Clone)]
pub enum Schema {
    /// The tables of the app's schema file.
    Given(GivenSchema),
    /// A table for each type of row that arrives, with a column for each field.
    Inferred,
}

/// A checked schema file, and the empty database that it makes.
#[derive(Debug, Clone)]
pub struct GivenSchema {
    checked: CheckedSchema,
    raw_tables: Vec<RawTable>,
    empty: Arc<EmptyDatabase>,
}

/// The bytes of the file that every sync with one schema starts from; made when first needed.
type EmptyDatabase = OnceLock<Arc<[u8]>>;

impl Schema {
    /// Reads and checks `file`. Without a file, the schema is inferred.
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
        Self::parse(path, &text)
    }

    /// Checks `text`, which errors call the file `path`.
    ///
    /// # Errors
    /// [`SchemaError`] names the table and what is wrong with it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SchemaError> {
        let mut given = GivenSchema {
            checked: CheckedSchema::parse(path, text)?,
            raw_tables: Vec::new(),
            empty: Arc::default(),
        };
        let schema = Self::Given(given.clone());
        // Only the core extension can tell whether it takes the schema: try it in memory.
        let trial = sqlite::open_in_memory();
        let refused = |source| SchemaError::Refused {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let trial = trial
            .and_then(|trial| {
                sqlite::initialize(&trial)?;
                schema.create(&trial)?;
                schema.open_every_view(&trial)?;
                Ok(trial)
            })
            .map_err(refused)?;
        given.raw_tables = raw::resolve(&trial, &given.checked.raw_tables)
            .map_err(|problem| SchemaError::of_raw_table(path, problem))?;
        Ok(Self::Given(given))
    }

    /// Returns the schema's SHA-256, in hex.
    pub fn fingerprint(&self) -> String {
        match self {
            Self::Given(given) => given.checked.fingerprint.clone(),
            Self::Inferred => sha256_hex("inferred"),
        }
    }

    /// Returns the schema as `powersync_control` takes it when a sync starts.
    pub(crate) fn start_payload(&self) -> Value {
        match self {
            Self::Given(given) => serde_json::from_str(&given.checked.json)
                .expect("it was checked when it was loaded"),
            Self::Inferred => serde_json::json!({ "tables": [] }),
        }
    }

    /// Returns the raw tables.
    pub fn raw_tables(&self) -> &[RawTable] {
        match self {
            Self::Given(given) => &given.raw_tables,
            Self::Inferred => &[],
        }
    }

    /// Returns the bytes of a database with PowerSync's internal tables and those that are known before the first row.
    /// It is made once and kept: making it takes longer than seeding a small store.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub(crate) fn empty_database(&self) -> Result<Arc<[u8]>, DatabaseError> {
        static INFERRED: EmptyDatabase = OnceLock::new();
        let cell = match self {
            Self::Given(given) => &given.empty,
            Self::Inferred => &INFERRED,
        };
        if let Some(file) = cell.get() {
            return Ok(Arc::clone(file));
        }
        let connection = sqlite::open_in_memory()?;
        sqlite::initialize(&connection)?;
        self.create(&connection)?;
        connection.execute_batch("VACUUM")?;
        let file = connection.serialize("main")?;
        Ok(Arc::clone(cell.get_or_init(|| Arc::from(&file[..]))))
    }

    /// Creates the tables that are known before the first row.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub fn create(&self, connection: &Connection) -> Result<(), DatabaseError> {
        let Self::Given(given) = self else {
            return Ok(());
        };
        for statement in &given.checked.ddl {
            connection.execute_batch(statement)?;
        }
        replace_schema(connection, &given.checked.json)
    }

    /// Infers the tables from the rows, once all of them are in `ps_oplog`, and creates them.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
    pub fn create_inferred(&self, connection: &Connection) -> Result<(), DatabaseError> {
        match self {
            Self::Given(_) => Ok(()),
            Self::Inferred => {
                replace_schema(connection, &Inference::of_all_rows(connection)?.schema())
            }
        }
    }

    /// Returns an empty inference, to be fed with rows as they arrive; `None` when the tables are given.
    pub(crate) fn inference(&self) -> Option<Inference> {
        match self {
            Self::Given(_) => None,
            Self::Inferred => Some(Inference::default()),
        }
    }

    /// Creates the tables that `inference` has found.
    ///
    /// # Errors
    /// When SQLite or the core extension fails.
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

    /// Reads every view: one with a broken column is created without an error and fails when it is read.
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
