//! The JSON of a declared schema, field by field what `Schema.toJSON()` of `@powersync/common` 2.3.0 makes of it.

use serde_json::{Map, Value as Json, json};

use super::{declarations::Declared, tokens::Problem, values::Value};

/// Returns the schema as the SDK prints it.
pub(super) fn schema(declared: &Declared) -> Result<Json, Problem> {
    let line = declared.line;
    let tables: Vec<Json> = match &declared.tables {
        Value::List(tables) => {
            let tables = tables.iter().map(|made| table(made, None, line));
            tables.collect::<Result<_, _>>()?
        }
        Value::Fields(tables) => {
            let tables = tables
                .iter()
                .map(|(name, made)| table(made, Some(name), line));
            tables.collect::<Result<_, _>>()?
        }
        _ => {
            return Err(Problem::new(
                line,
                "`new Schema(…)` needs an object of tables",
            ));
        }
    };
    let mut raw_tables = Vec::new();
    for added in &declared.raw_tables {
        let Value::Fields(added) = added else {
            return Err(Problem::new(
                line,
                "`withRawTables(…)` needs an object of raw tables",
            ));
        };
        for (name, raw) in added {
            raw_tables.push(raw_table(name, raw, line)?);
        }
    }
    Ok(json!({ "tables": tables, "raw_tables": raw_tables }))
}

/// A table by whichever way it was made; within an object of tables `name` is its key there.
fn table(made: &Value, name: Option<&str>, schema_line: usize) -> Result<Json, Problem> {
    let shown = name.unwrap_or("a table");
    let Value::Made { by, with, line } = made else {
        return Err(Problem::new(
            schema_line,
            format!("{shown} is no `new Table(…)`"),
        ));
    };
    let first = with.first().unwrap_or(&Value::Nothing);
    let options = with.get(1).unwrap_or(&Value::Nothing);
    let forced = match by.as_str() {
        "Table" | "TableV2" | "ResolvedTable" => None,
        "Table.createLocalOnly" => Some("localOnly"),
        "Table.createInsertOnly" => Some("insertOnly"),
        _ => {
            let reason = format!("{shown} is made by `{by}`, which is not known here");
            return Err(Problem::new(*line, reason));
        }
    };
    let read = Read { line: *line };
    // The older way: one object with the name and lists of columns and indexes.
    let is_older = matches!(field(first, "columns"), Some(Value::List(_)));
    let options = if is_older { first } else { options };
    let named = match (name, is_older) {
        (Some(name), _) => name.to_owned(),
        (None, true) => read.text(field(first, "name"), "the table's name")?,
        (None, false) => {
            return Err(Problem::new(
                *line,
                "a table in a list has no name: `new Schema({ name: table })` gives it one",
            ));
        }
    };
    let columns = match is_older {
        true => read.older_columns(field(first, "columns"))?,
        false => read.columns(first)?,
    };
    let view = match field(options, "viewName") {
        None | Some(Value::Nothing) => named.clone(),
        view => read.text(view, "viewName")?,
    };
    let indexes = read.indexes(field(options, "indexes"), &columns)?;
    let mut table = Map::new();
    table.insert("name".to_owned(), named.into());
    table.insert("view_name".to_owned(), view.into());
    let columns = columns
        .iter()
        .map(|(name, kind)| json!({"name": name, "type": kind}));
    table.insert("columns".to_owned(), columns.collect());
    table.insert("indexes".to_owned(), indexes.into());
    let flags = read.options(options, |name| Some(Json::Bool(forced == Some(name))))?;
    table.extend(flags);
    Ok(table.into())
}

fn raw_table(name: &str, raw: &Value, line: usize) -> Result<Json, Problem> {
    let read = Read { line };
    let mut table = Map::new();
    table.insert("name".to_owned(), name.into());
    for statement in ["put", "delete", "clear"] {
        if let Some(value) = field(raw, statement) {
            table.insert(statement.to_owned(), read.plain(value)?);
        }
    }
    if let Some(schema) = field(raw, "schema") {
        let called = match field(schema, "tableName") {
            None | Some(Value::Nothing) => name.to_owned(),
            called => read.text(called, "tableName")?,
        };
        table.insert("table_name".to_owned(), called.into());
        if let Some(synced) = field(schema, "syncedColumns") {
            table.insert("synced_columns".to_owned(), read.plain(synced)?);
        }
        table.extend(read.options(schema, |_| None)?);
    }
    Ok(table.into())
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Fields(fields) = value else {
        return None;
    };
    fields
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

/// Reads the parts of a table that begins in `line`.
struct Read {
    line: usize,
}

impl Read {
    fn problem(&self, reason: impl Into<String>) -> Problem {
        Problem::new(self.line, reason)
    }

    fn text(&self, value: Option<&Value>, what: &str) -> Result<String, Problem> {
        match value {
            Some(Value::Text(text)) => Ok(text.clone()),
            _ => Err(self.problem(format!("{what} is no text"))),
        }
    }

    /// `{ name: column.text, … }`
    fn columns(&self, columns: &Value) -> Result<Vec<(String, String)>, Problem> {
        let Value::Fields(columns) = columns else {
            return Err(self.problem("the table's columns are no object"));
        };
        let columns = columns.iter().map(|(name, column)| {
            let kind = self.text(field(column, "type"), &format!("the type of column {name}"))?;
            Ok((name.clone(), kind))
        });
        columns.collect()
    }

    /// `[new Column({ name, type }), …]`
    fn older_columns(&self, columns: Option<&Value>) -> Result<Vec<(String, String)>, Problem> {
        let Some(Value::List(columns)) = columns else {
            return Err(self.problem("the table's columns are no list"));
        };
        let columns = columns.iter().map(|column| {
            let given = made_with(column, "Column");
            let name = self.text(given.and_then(|g| field(g, "name")), "a column's name")?;
            let kind = given.and_then(|g| field(g, "type"));
            Ok((
                name.clone(),
                self.text(kind, &format!("the type of column {name}"))?,
            ))
        });
        columns.collect()
    }

    /// Both `{ name: ['column', '-column'] }` and `[new Index({ name, columns })]`.
    fn indexes(
        &self,
        indexes: Option<&Value>,
        columns: &[(String, String)],
    ) -> Result<Vec<Json>, Problem> {
        let named = match indexes {
            None | Some(Value::Nothing) => Vec::new(),
            Some(Value::Fields(indexes)) => {
                let indexes = indexes
                    .iter()
                    .map(|(name, list)| (name.clone(), list.clone()));
                indexes.collect()
            }
            Some(Value::List(indexes)) => {
                let indexes = indexes.iter().map(|index| self.older_index(index));
                indexes.collect::<Result<_, _>>()?
            }
            Some(_) => return Err(self.problem("the table's indexes are no object")),
        };
        let indexes = named.iter().map(|(name, list)| {
            let Value::List(list) = list else {
                return Err(self.problem(format!("the columns of index {name} are no list")));
            };
            let indexed = list.iter().map(|column| self.indexed(column, columns));
            let indexed: Vec<Json> = indexed.collect::<Result<_, _>>()?;
            Ok(json!({ "name": name, "columns": indexed }))
        });
        indexes.collect()
    }

    fn older_index(&self, index: &Value) -> Result<(String, Value), Problem> {
        let given = made_with(index, "Index").or(made_with(index, "Index.createAscending"));
        let name = self.text(given.and_then(|g| field(g, "name")), "an index's name")?;
        let listed = match index {
            Value::Made { with, .. } => with.get(1),
            _ => None,
        };
        let columns = listed.or(given.and_then(|g| field(g, "columns")));
        Ok((name, columns.cloned().unwrap_or(Value::List(Vec::new()))))
    }

    /// A column of an index: its name, `-` before it for descending, or an `IndexedColumn`.
    fn indexed(&self, column: &Value, columns: &[(String, String)]) -> Result<Json, Problem> {
        let (name, ascending) = match column {
            Value::Text(text) => match text.strip_prefix('-') {
                Some(name) => (name.to_owned(), false),
                None => (text.clone(), true),
            },
            _ => {
                let by_name = made_with(column, "IndexedColumn.createAscending");
                let given = made_with(column, "IndexedColumn").unwrap_or(column);
                let name = by_name.or(field(given, "name"));
                let ascending = match field(given, "ascending") {
                    None | Some(Value::Flag(true)) => true,
                    Some(Value::Flag(false)) => false,
                    Some(_) => return Err(self.problem("`ascending` is neither true nor false")),
                };
                (self.text(name, "an indexed column")?, ascending)
            }
        };
        let found = columns.iter().find(|(known, _)| *known == name);
        let kind = found.map_or("TEXT", |(_, kind)| kind);
        Ok(json!({ "name": name, "ascending": ascending, "type": kind }))
    }

    /// The flags of a table, as the SDK's `encodeTableOptions` does; those that are not given are `default`s.
    fn options(
        &self,
        options: &Value,
        default: impl Fn(&str) -> Option<Json>,
    ) -> Result<Map<String, Json>, Problem> {
        let mut flags = Map::new();
        let mut put = |key: &str, value: Option<Json>| {
            flags.extend(value.map(|value| (key.to_owned(), value)));
        };
        put("local_only", self.flag(options, "localOnly", &default)?);
        put("insert_only", self.flag(options, "insertOnly", &default)?);
        let previous = field(options, "trackPrevious");
        let (old, only_changed) = match previous {
            Some(Value::Fields(_)) => {
                let given = previous.expect("it was just matched");
                let columns = field(given, "columns").map(|columns| self.plain(columns));
                let only = field(given, "onlyWhenChanged") == Some(&Value::Flag(true));
                (Some(columns.unwrap_or(Ok(Json::Bool(true)))?), only)
            }
            _ => (self.flag(options, "trackPrevious", &default)?, false),
        };
        put("include_old", old);
        put("include_old_only_when_changed", Some(only_changed.into()));
        put(
            "include_metadata",
            self.flag(options, "trackMetadata", &default)?,
        );
        put(
            "ignore_empty_update",
            self.flag(options, "ignoreEmptyUpdates", &default)?,
        );
        Ok(flags)
    }

    fn flag(
        &self,
        options: &Value,
        name: &str,
        default: impl Fn(&str) -> Option<Json>,
    ) -> Result<Option<Json>, Problem> {
        match field(options, name) {
            None | Some(Value::Nothing) => Ok(default(name)),
            Some(Value::Flag(flag)) => Ok(Some((*flag).into())),
            Some(_) => Err(self.problem(format!("`{name}` is neither true nor false"))),
        }
    }

    /// A value that is the same in JSON.
    fn plain(&self, value: &Value) -> Result<Json, Problem> {
        Ok(match value {
            Value::Nothing => Json::Null,
            Value::Text(text) => text.as_str().into(),
            // Lengths and the like: JSON has whole numbers without a fraction.
            #[expect(clippy::cast_possible_truncation, reason = "it has no fraction")]
            Value::Number(number) if number.fract() == 0.0 => (*number as i64).into(),
            Value::Number(number) => (*number).into(),
            Value::Flag(flag) => (*flag).into(),
            Value::List(list) => {
                let list = list.iter().map(|value| self.plain(value));
                Json::Array(list.collect::<Result<_, _>>()?)
            }
            Value::Fields(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.plain(value)?)));
                Json::Object(fields.collect::<Result<_, Problem>>()?)
            }
            Value::Made { by, .. } => {
                return Err(self.problem(format!("what `{by}` makes cannot be read here")));
            }
        })
    }
}

/// What `class` was made with.
fn made_with<'a>(value: &'a Value, class: &str) -> Option<&'a Value> {
    match value {
        Value::Made { by, with, .. } if by == class => with.first(),
        _ => None,
    }
}
