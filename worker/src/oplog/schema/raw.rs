//! Finds the table that the statements of each raw table write, and refuses statements whose rows nothing could check.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension};

use crate::oplog::sqlite::{DatabaseError, quoted};

/// A table that the app defines itself. The core extension fills it with the app's own statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTable {
    /// The type of its rows in the sync stream.
    pub name: String,
    /// The table in SQLite that they are written into.
    pub table: String,
}

/// A raw table as the schema file has it.
#[derive(Debug, Clone)]
pub(super) struct RawDefinition {
    pub(super) name: String,
    pub(super) table_name: Option<String>,
    pub(super) put: Option<String>,
    pub(super) delete: Option<String>,
}

/// Why a raw table is refused.
pub(super) enum RawProblem {
    /// Its definition is at fault, for this reason.
    Refused { name: String, reason: String },
    /// SQLite fails.
    Database(DatabaseError),
}

impl From<rusqlite::Error> for RawProblem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Returns the raw tables, in a database in which their `ddl` was run.
pub(super) fn resolve(
    connection: &Connection,
    definitions: &[RawDefinition],
) -> Result<Vec<RawTable>, RawProblem> {
    let mut tables = HashSet::new();
    let mut resolved = Vec::new();
    for definition in definitions {
        let refused = |reason: String| RawProblem::Refused {
            name: definition.name.clone(),
            reason,
        };
        let table = definition.table(connection, &refused)?;
        if table.to_lowercase().starts_with("ps_") {
            let reason = format!("its rows would go into {table:?}, a table of PowerSync's own");
            return Err(refused(reason));
        }
        if !tables.insert(table.to_lowercase()) {
            let reason = format!(
                "its rows would go into {table:?}, as those of another raw table do; give each a table of its own"
            );
            return Err(refused(reason));
        }
        resolved.push(RawTable {
            name: definition.name.clone(),
            table,
        });
    }
    Ok(resolved)
}

impl RawDefinition {
    /// Returns the table that its rows are put into and deleted from, whatever it is called.
    fn table(
        &self,
        connection: &Connection,
        refused: &impl Fn(String) -> RawProblem,
    ) -> Result<String, RawProblem> {
        let put = self.target(connection, "put", self.put.as_deref(), refused)?;
        let delete = self.target(connection, "delete", self.delete.as_deref(), refused)?;
        if put == delete {
            Ok(put)
        } else {
            Err(refused(format!(
                "its rows are put into {put:?} and deleted from {delete:?}; it has to be one table"
            )))
        }
    }

    /// Returns the table that one of its statements writes; without a statement, the one that the core extension
    /// would make is for `table_name`.
    fn target(
        &self,
        connection: &Connection,
        kind: &str,
        statement: Option<&str>,
        refused: &impl Fn(String) -> RawProblem,
    ) -> Result<String, RawProblem> {
        let Some(statement) = statement else {
            let table = self.table_name.as_deref().ok_or_else(|| {
                refused(format!("it needs `table_name`, or a `{kind}` statement"))
            })?;
            connection
                .prepare(&format!("SELECT id FROM {}", quoted(table)))
                .map_err(|error| refused(format!("its table cannot be used: {error}")))?;
            return Ok(stored_name(connection, table)?.unwrap_or_else(|| table.to_owned()));
        };
        let written = written_table(connection, statement)
            .map_err(|error| refused(format!("its `{kind}` statement is refused: {error}")))?;
        written.ok_or_else(|| {
            refused(format!(
                "its `{kind}` statement writes into no table that `ddl` makes"
            ))
        })
    }
}

/// Returns a table's name as it was created.
fn stored_name(connection: &Connection, table: &str) -> Result<Option<String>, rusqlite::Error> {
    let stored = "SELECT name FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(?1)";
    connection
        .query_row(stored, [table], |row| row.get(0))
        .optional()
}

/// Returns the table that a statement writes, as SQLite has compiled it: the first one that it opens for writing,
/// outside of triggers.
fn written_table(
    connection: &Connection,
    statement: &str,
) -> Result<Option<String>, rusqlite::Error> {
    let mut program = connection.prepare(&format!("EXPLAIN {statement}"))?;
    let mut steps = program.raw_query();
    let mut last = -1;
    while let Some(step) = steps.next()? {
        let address: i64 = step.get("addr")?;
        if address <= last {
            // A trigger's program follows.
            break;
        }
        last = address;
        let (name, root, database): (String, i64, i64) =
            (step.get("opcode")?, step.get("p2")?, step.get("p3")?);
        if name != "OpenWrite" || database != 0 {
            continue;
        }
        let table = "SELECT name FROM sqlite_master
                     WHERE type = 'table' AND rootpage = ?1 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        let table = connection
            .query_row(table, [root], |row| row.get(0))
            .optional()?;
        if table.is_some() {
            return Ok(table);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE one (id TEXT PRIMARY KEY, n INTEGER REFERENCES two (id));
                 CREATE TABLE two (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER UNIQUE);
                 CREATE TABLE three (id TEXT PRIMARY KEY) WITHOUT ROWID;
                 CREATE TRIGGER copied AFTER INSERT ON one BEGIN INSERT INTO three VALUES (NEW.id); END;
                 CREATE VIEW shown AS SELECT * FROM one;
                 CREATE TRIGGER written INSTEAD OF INSERT ON shown BEGIN SELECT 1; END;
                 CREATE TABLE ps_data__x (id TEXT PRIMARY KEY, data TEXT);",
            )
            .unwrap();
        connection
    }

    #[test]
    fn the_table_that_a_statement_writes_is_found_whatever_it_is_called() {
        let connection = database();
        for (statement, table) in [
            (
                "INSERT OR REPLACE INTO one (id, n) VALUES (?, ?)",
                Some("one"),
            ),
            (
                "INSERT INTO ONE SELECT id, n FROM two WHERE id = ?",
                Some("one"),
            ),
            (
                "INSERT INTO two (n) VALUES (?) ON CONFLICT DO UPDATE SET n = 1",
                Some("two"),
            ),
            ("REPLACE INTO three VALUES (?)", Some("three")),
            ("DELETE FROM two WHERE id = ?", Some("two")),
            ("INSERT INTO shown (id) VALUES (?)", None),
            ("SELECT 1", None),
        ] {
            let found = written_table(&connection, statement).unwrap();
            assert_eq!(found.as_deref(), table, "{statement}");
        }
        assert!(written_table(&connection, "INSERT INTO nowhere VALUES (?)").is_err());
    }

    #[test]
    fn what_could_not_be_checked_is_refused_with_the_reason() {
        let raw =
            |name: &str, table_name: Option<&str>, put: Option<&str>, delete: Option<&str>| {
                RawDefinition {
                    name: name.to_owned(),
                    table_name: table_name.map(ToOwned::to_owned),
                    put: put.map(ToOwned::to_owned),
                    delete: delete.map(ToOwned::to_owned),
                }
            };
        let put = |table: &str| format!("INSERT OR REPLACE INTO {table} (id, n) VALUES (?, ?)");
        let delete = |table: &str| format!("DELETE FROM {table} WHERE id = ?");
        let connection = database();
        let named = raw("two", Some("two"), Some(&put("one")), Some(&delete("one")));
        let Ok(resolved) = resolve(&connection, &[named]) else {
            panic!("both statements are for one table")
        };
        assert_eq!(resolved[0].table, "one");
        let inferred = raw("two", Some("TWO"), None, None);
        assert!(
            matches!(resolve(&connection, &[inferred]), Ok(tables) if tables[0].table == "two")
        );

        for (definitions, expected) in [
            (
                vec![raw("a", Some("two"), Some(&put("one")), None)],
                "deleted from \"two\"",
            ),
            (
                vec![raw("a", None, Some(&put("one")), None)],
                "a `delete` statement",
            ),
            (vec![raw("a", Some("nowhere"), None, None)], "no such table"),
            (
                vec![raw("a", None, Some("SELECT ?"), Some(&delete("one")))],
                "no table that `ddl` makes",
            ),
            (
                vec![raw("a", None, Some("INSERT"), Some(&delete("one")))],
                "is refused",
            ),
            (
                vec![raw(
                    "a",
                    None,
                    Some("INSERT INTO ps_data__x VALUES (?, ?)"),
                    Some(&delete("ps_data__x")),
                )],
                "PowerSync's own",
            ),
            (
                vec![
                    raw("a", Some("one"), None, None),
                    raw("b", Some("one"), None, None),
                ],
                "another raw table",
            ),
        ] {
            let problem = resolve(&connection, &definitions);
            let Err(RawProblem::Refused { reason, .. }) = problem else {
                panic!("{definitions:?} is not refused")
            };
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
