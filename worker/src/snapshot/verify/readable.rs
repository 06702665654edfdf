//! Finds rows that no client can read: each is read as the view of its table will read it.
//!
//! A view takes every column out of the row's JSON with `json_extract`. That cannot fail for a plain JSON object and
//! columns with plain names, which costs one look at the row's bytes. Whatever is not plain is read through the view
//! itself.

use std::{borrow::Cow, fmt};

use rusqlite::{
    Connection, Statement, ToSql,
    types::{ToSqlOutput, ValueRef},
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::oplog::quoted;

/// SQLite reads JSON that is nested up to this deep.
const MAX_JSON_DEPTH: usize = 1000;

/// The comment at the end of each view that the core extension makes.
const MADE_BY_CORE: &str = "-- powersync-auto-generated";

/// Rows of one table that no client can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRows {
    /// The table, as the app knows it.
    pub table: String,
    /// How many rows of it cannot be read.
    pub rows: u64,
    /// The id of the first of them.
    pub id: String,
    /// What is wrong with that row.
    pub reason: String,
}

impl fmt::Display for UnreadableRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            table,
            rows,
            id,
            reason,
        } = self;
        write!(
            f,
            "table {table:?}: no client can read {rows} of its rows; the first has the id {id:?}: {reason}"
        )
    }
}

/// Reads the rows of one table as a client will.
pub(super) struct ClientView<'c> {
    table: String,
    /// The type of a row's JSON, and the row through the view, by its id.
    statements: [Option<Statement<'c>>; 2],
    /// Whether no column's name can make `json_extract` fail.
    plain_columns: bool,
    unreadable: Option<UnreadableRows>,
}

impl<'c> ClientView<'c> {
    /// Opens the view of `ps_data__<table>`; a table may have none.
    pub(super) fn of(connection: &'c Connection, table: &str) -> Result<Self, rusqlite::Error> {
        let stored = quoted(&format!("ps_data__{table}"));
        let json = connection.prepare(&format!(
            "SELECT json_type(data) FROM {stored} WHERE id = ?1"
        ))?;
        let ending = format!("FROM {stored} {MADE_BY_CORE}");
        let mut views = connection.prepare(
            "SELECT name FROM sqlite_master WHERE type = 'view' AND substr(sql, -length(?1)) = ?1",
        )?;
        let mut views = views.query([ending])?;
        let (mut view, mut plain_columns) = (None, true);
        if let Some(row) = views.next()? {
            let name: String = row.get(0)?;
            let statement =
                connection.prepare(&format!("SELECT * FROM {} WHERE id = ?1", quoted(&name)))?;
            plain_columns = statement.column_names().iter().all(|name| is_plain(name));
            view = Some(statement);
        }
        Ok(Self {
            table: table.to_owned(),
            statements: [Some(json), view],
            plain_columns,
            unreadable: None,
        })
    }

    /// Reads one row, given as it is stored.
    pub(super) fn read(&mut self, id: &[u8], data: &[u8]) -> Result<(), rusqlite::Error> {
        let reason = match Form::of(data) {
            Form::Plain if self.plain_columns => return Ok(()),
            Form::HasNamelessField => Some("it has a field without a name".to_owned()),
            Form::Plain | Form::Other => self.reason(id)?,
        };
        if let Some(reason) = reason {
            let unreadable = self.unreadable.get_or_insert_with(|| UnreadableRows {
                table: self.table.clone(),
                rows: 0,
                id: String::from_utf8_lossy(id).into_owned(),
                reason,
            });
            unreadable.rows += 1;
        }
        Ok(())
    }

    /// Returns why this row cannot be read, if so.
    fn reason(&mut self, id: &[u8]) -> Result<Option<String>, rusqlite::Error> {
        for (number, statement) in self.statements.iter_mut().enumerate() {
            let Some(statement) = statement else { continue };
            let read = statement.query_row([Text(id)], |row| {
                let value = row.get_ref(0)?.as_str_or_null()?;
                Ok(value.map(ToOwned::to_owned))
            });
            match read {
                Ok(kind) if number == 0 && kind.as_deref() != Some("object") => {
                    let kind = kind.unwrap_or_default();
                    return Ok(Some(format!("its JSON is no object ({kind})")));
                }
                Ok(_) => {}
                // What SQLite's functions refuse; anything else is not the row's fault.
                Err(rusqlite::Error::SqliteFailure(error, Some(reason)))
                    if error.extended_code == rusqlite::ffi::SQLITE_ERROR =>
                {
                    return Ok(Some(reason));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Returns the rows that cannot be read, if there are any.
    pub(super) fn unreadable(self) -> Option<UnreadableRows> {
        self.unreadable
    }
}

/// Reads every row of the views that the core extension did not make, such as those of a raw table's `ddl`.
pub(super) fn read_other_views(
    connection: &Connection,
) -> Result<Vec<UnreadableRows>, rusqlite::Error> {
    let mut names = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'view' AND instr(sql, ?1) = 0")?;
    let names = names.query_map([MADE_BY_CORE], |row| row.get::<_, String>(0))?;
    let mut unreadable = Vec::new();
    for name in names {
        let name = name?;
        let read = connection
            .prepare(&format!("SELECT * FROM {}", quoted(&name)))
            .and_then(|mut view| {
                let mut rows = view.query([])?;
                while rows.next()?.is_some() {}
                Ok(())
            });
        match read {
            Ok(()) => {}
            Err(rusqlite::Error::SqliteFailure(error, Some(reason)))
                if error.extended_code == rusqlite::ffi::SQLITE_ERROR =>
            {
                unreadable.push(UnreadableRows {
                    table: name,
                    rows: 1,
                    id: String::new(),
                    reason,
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(unreadable)
}

/// Whether `json_extract` takes a column's name as one step of a path, so that the name cannot make it fail.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('"') && !name.contains(['.', '['])
}

/// What a row's JSON looks like.
enum Form {
    /// An object as RFC 8259 has it, not nested too deep.
    Plain,
    /// Such an object with a field that no schema can declare.
    HasNamelessField,
    /// Anything else, which SQLite may read all the same.
    Other,
}

impl Form {
    fn of(data: &[u8]) -> Self {
        // No value is nested deeper than it has brackets, and most have fewer bytes.
        let is_shallow = data.len() <= MAX_JSON_DEPTH || {
            let brackets = data.iter().filter(|byte| matches!(byte, b'{' | b'['));
            brackets.count() <= MAX_JSON_DEPTH
        };
        let mut json = serde_json::Deserializer::from_slice(data);
        let fields = json.deserialize_map(Fields).and_then(|nameless| {
            json.end()?;
            Ok(nameless)
        });
        match fields {
            Ok(true) => Self::HasNamelessField,
            Ok(false) if is_shallow => Self::Plain,
            _ => Self::Other,
        }
    }
}

/// Reads an object; returns whether one of its fields has no name.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut nameless = false;
        while let Some((Name(name), IgnoredAny)) = fields.next_entry()? {
            nameless |= name.is_empty();
        }
        Ok(nameless)
    }
}

/// A text in SQLite's own bytes.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oplog;

    /// What is found in a table with these columns and this row.
    fn found(columns: &[&str], data: &str) -> Option<String> {
        let connection = oplog::open_in_memory().unwrap();
        oplog::initialize(&connection).unwrap();
        let columns: Vec<_> = columns
            .iter()
            .map(|name| serde_json::json!({ "name": name, "type": "text" }))
            .collect();
        let schema = serde_json::json!({ "tables": [{ "name": "t", "columns": columns }] });
        let replace = "SELECT powersync_replace_schema(?1)";
        connection
            .query_row(replace, [schema.to_string()], |_| Ok(()))
            .unwrap();
        let insert = "INSERT INTO ps_data__t (id, data) VALUES ('x', ?1)";
        connection.execute(insert, [data]).unwrap();
        let mut view = ClientView::of(&connection, "t").unwrap();
        view.read(b"x", data.as_bytes()).unwrap();
        let found = view.unreadable();
        let found = found.inspect(|found| assert_eq!((&*found.id, found.rows), ("x", 1)));
        let read = connection.query_row("SELECT * FROM t", [], |_| Ok(()));
        assert!(read.is_ok() || found.is_some(), "{data}: missed {read:?}");
        found.map(|found| found.reason)
    }

    #[test]
    fn what_a_client_can_read_is_found_readable() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(900), "]".repeat(900));
        let many = format!(r#"{{"a":[{}[]]}}"#, "[],".repeat(5_000));
        for data in [
            "{}",
            r#" {"a":1.5e3,"b":null,"c":[true]} "#,
            r#"{"a":"\u0000\ud800 ","b":1e999,"c":123456789012345678901234567890}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a.b":{"[":1}}"#,
            // SQLite reads JSON5 as well.
            r"{a:1}",
            deep.as_str(),
            many.as_str(),
        ] {
            assert_eq!(found(&["a", "b"], data), None, "{data:.80}");
        }
        assert_eq!(found(&["a.b"], r#"{"a":{"b":1}}"#), None);
    }

    #[test]
    fn what_no_client_can_read_is_found_with_its_reason() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1_100), "]".repeat(1_100));
        for (data, reason) in [
            (r#"{"a":1} trailing"#, "malformed JSON"),
            (r#"{"a":1}{"b":2}"#, "malformed JSON"),
            (r#"{"a":1,"#, "malformed JSON"),
            ("", "malformed JSON"),
            (deep.as_str(), "malformed JSON"),
            (r#"{"":1}"#, "without a name"),
            (r#"{"a":1,"":2}"#, "without a name"),
            ("[1]", "no object (array)"),
            ("7", "no object (integer)"),
            ("null", "no object (null)"),
        ] {
            let found = found(&["a"], data).unwrap_or_default();
            assert!(found.contains(reason), "{data:.80}: {found}");
        }
        let found = found(&["a["], r#"{"a":[1]}"#).unwrap_or_default();
        assert!(found.contains("path"), "{found}");
    }
}
