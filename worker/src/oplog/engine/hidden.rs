//! Indexes of clients' tables that SQLite does not see while rows are appended.
//!
//! An index whose rows arrive in no order is built once, sorted, when all of them are there. The one of a primary key cannot be
//! dropped. So the definitions are taken out of the schema, with the primary key out of that of its table, and are put back later;
//! until then, the empty index keeps its first page.

use rusqlite::{Connection, OptionalExtension};

use crate::oplog::sqlite::{DatabaseError, quoted};

/// The columns of a client's table as the core extension writes them, and without the primary key.
const COLUMNS: &str = "(id TEXT PRIMARY KEY NOT NULL, data TEXT)";
const PLAIN_COLUMNS: &str = "(id TEXT NOT NULL, data TEXT)";

/// The indexes of one client's table.
pub(super) struct Hidden {
    table: String,
    /// The table's own definition.
    definition: String,
    indexes: Vec<Index>,
}

struct Index {
    name: String,
    root: i64,
    definition: Option<String>,
}

impl Hidden {
    /// Hides the indexes of a client's table, which has no rows; `None` if it is none of the core extension's.
    pub(super) fn of(connection: &Connection, table: &str) -> Result<Option<Self>, DatabaseError> {
        let definition = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?1";
        let definition = connection.query_row(definition, [table], |row| row.get::<_, String>(0));
        let Some(definition) = definition.optional()? else {
            return Ok(None);
        };
        let Some(start) = definition.strip_suffix(COLUMNS) else {
            return Ok(None);
        };
        let mut indexes = connection.prepare_cached(
            "SELECT name, rootpage, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?1",
        )?;
        let indexes = indexes.query_map([table], |row| {
            Ok(Index {
                name: row.get(0)?,
                root: row.get(1)?,
                definition: row.get(2)?,
            })
        })?;
        let indexes = indexes.collect::<Result<_, _>>()?;
        change_schema(connection, || {
            connection.execute(
                "DELETE FROM sqlite_master WHERE type = 'index' AND tbl_name = ?1",
                [table],
            )?;
            define(connection, table, &format!("{start}{PLAIN_COLUMNS}"))
        })?;
        Ok(Some(Self {
            table: table.to_owned(),
            definition,
            indexes,
        }))
    }

    /// Builds the indexes. Afterwards, the table is as it was.
    pub(super) fn build(self, connection: &Connection) -> Result<(), DatabaseError> {
        change_schema(connection, || {
            define(connection, &self.table, &self.definition)?;
            let mut insert = connection.prepare_cached(
                "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('index', ?1, ?2, ?3, ?4)",
            )?;
            for index in &self.indexes {
                insert.execute((&index.name, &self.table, index.root, &index.definition))?;
            }
            Ok(())
        })?;
        for index in &self.indexes {
            connection.execute_batch(&format!("REINDEX {}", quoted(&index.name)))?;
        }
        Ok(())
    }
}

fn define(connection: &Connection, table: &str, sql: &str) -> Result<(), rusqlite::Error> {
    let define = "UPDATE sqlite_master SET sql = ?2 WHERE type = 'table' AND name = ?1";
    connection.execute(define, [table, sql]).map(drop)
}

/// Lets `change` write to the schema, and reads it again.
fn change_schema(
    connection: &Connection,
    change: impl FnOnce() -> Result<(), rusqlite::Error>,
) -> Result<(), DatabaseError> {
    connection.pragma_update(None, "writable_schema", "on")?;
    change()?;
    connection.pragma_update(None, "writable_schema", "reset")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oplog::{initialize, open_in_memory};

    #[test]
    fn a_table_whose_indexes_were_hidden_is_as_if_they_had_not_been() {
        let schema = r#"{"tables":[{"name":"t \"x","columns":[{"name":"n","type":"text"}],
            "indexes":[{"name":"by_n","columns":[{"name":"n","ascending":true,"type":"text"}]}]}]}"#;
        let table = "ps_data__t \"x";
        let fill = |connection: &Connection| {
            for row in 0..500 {
                let insert = format!("INSERT INTO {} VALUES (?1, ?2)", quoted(table));
                let id = (row * 7919 % 1000).to_string();
                connection
                    .execute(&insert, [&id, &format!(r#"{{"n":"{row}"}}"#)])
                    .unwrap();
            }
        };
        let dumps = [true, false].map(|hides| {
            let connection = open_in_memory().unwrap();
            initialize(&connection).unwrap();
            let replace = "SELECT powersync_replace_schema(?1)";
            connection.query_row(replace, [schema], |_| Ok(())).unwrap();
            connection.execute_batch("BEGIN").unwrap();
            let hidden = hides.then(|| Hidden::of(&connection, table).unwrap().unwrap());
            fill(&connection);
            if let Some(hidden) = hidden {
                assert_eq!(hidden.indexes.len(), 2);
                hidden.build(&connection).unwrap();
            }
            connection.execute_batch("COMMIT").unwrap();
            let check: String = connection
                .pragma_query_value(None, "integrity_check", |row| row.get(0))
                .unwrap();
            assert_eq!(check, "ok");
            let twice = format!("INSERT INTO {} VALUES ('1', '')", quoted(table));
            connection.execute(&twice, []).unwrap_err();
            let mut objects = connection
                .prepare("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY 1, 2")
                .unwrap();
            let objects = objects.query_map([], |row| {
                Ok((0..4).map(|n| row.get::<_, String>(n).unwrap()).collect::<Vec<_>>())
            });
            objects.unwrap().collect::<Result<Vec<_>, _>>().unwrap()
        });
        assert_eq!(dumps[0], dumps[1]);
    }
}
