//! Reads a schema file, as PowerSync's SDKs print it, and checks it.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use seedbed_protocol::digest::sha256_hex;
use serde::Deserialize;
use serde_json::Value;

use super::raw::{RawDefinition, RawProblem};
use crate::oplog::sqlite::DatabaseError;

/// Why a schema file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file cannot be read.
    #[error("schema.file {} cannot be read: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The file is not the SDK's schema JSON.
    #[error("schema.file {} is not a schema as PowerSync's SDKs print it: {reason}", path.display())]
    Form { path: PathBuf, reason: String },
    /// One of the tables is wrong.
    #[error("schema.file {}: table {table:?}: {reason}", path.display())]
    Table {
        path: PathBuf,
        table: String,
        reason: String,
    },
    /// SQLite or the core extension refuses the schema.
    #[error("schema.file {} is refused: {source}", path.display())]
    Refused {
        path: PathBuf,
        source: Box<DatabaseError>,
    },
}

/// Why a direct table, which newer SDKs have, is refused.
const DIRECT: &str = "it is a direct table (`\"direct\": true`), which the core extension in Seedbed does not know: its rows \
                      would be stored as JSON; leave out `direct` in schema.file and in the app, or make it a raw table";

/// A schema file that passed every check.
#[derive(Debug, Clone)]
pub(super) struct CheckedSchema {
    /// The schema as the core extension takes it.
    pub(super) json: String,
    /// The statements that create the raw tables, which the app creates by itself.
    pub(super) ddl: Vec<String>,
    pub(super) raw_tables: Vec<RawDefinition>,
    /// SHA-256 of the file, in hex.
    pub(super) fingerprint: String,
}

impl CheckedSchema {
    /// Reads and checks the text of the schema file `path`.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SchemaError> {
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
        // `ddl` is an addition of Seedbed, which the core extension does not know.
        for raw in value
            .get_mut("raw_tables")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            raw.as_object_mut().map(|raw| raw.shift_remove("ddl"));
        }
        let (ddl, raw_tables) = raw_tables(path, file.raw_tables, &file.tables)?;
        let fingerprint = sha256_hex(text);
        Ok(Self {
            json: value.to_string(),
            ddl,
            raw_tables,
            fingerprint,
        })
    }
}

impl SchemaError {
    /// Returns the error of a raw table in the schema file `path`.
    pub(super) fn of_raw_table(path: &Path, problem: RawProblem) -> Self {
        let path = path.to_owned();
        match problem {
            RawProblem::Refused { name, reason } => Self::Table {
                path,
                table: name,
                reason,
            },
            RawProblem::Database(source) => Self::Refused {
                path,
                source: Box::new(source),
            },
        }
    }
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
    #[serde(default)]
    direct: bool,
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
    put: Option<StatementFile>,
    delete: Option<StatementFile>,
    #[serde(default)]
    direct: bool,
    ddl: Option<OneOrMany>,
}

#[derive(Deserialize)]
struct StatementFile {
    sql: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn raw_tables(
    path: &Path,
    files: Vec<RawTableFile>,
    json_tables: &[TableFile],
) -> Result<(Vec<String>, Vec<RawDefinition>), SchemaError> {
    let mut ddl = Vec::new();
    let mut tables = Vec::new();
    for raw in files {
        let bad = |reason: &str| SchemaError::Table {
            path: path.to_owned(),
            table: raw.name.clone(),
            reason: reason.to_owned(),
        };
        if raw.direct {
            return Err(bad(DIRECT));
        }
        if json_tables.iter().any(|table| table.name == raw.name) {
            return Err(bad("it is listed both in `tables` and in `raw_tables`"));
        }
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
        tables.push(RawDefinition {
            name: raw.name,
            table_name: raw.table_name,
            put: raw.put.map(|statement| statement.sql),
            delete: raw.delete.map(|statement| statement.sql),
        });
    }
    Ok((ddl, tables))
}

impl TableFile {
    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("it has no name".to_owned());
        }
        if self.direct {
            return Err(DIRECT.to_owned());
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
