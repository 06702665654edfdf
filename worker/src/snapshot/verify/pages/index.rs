//! The indexes of a table.

use rusqlite::Connection;

use crate::{oplog::quoted, snapshot::verify::error::VerifyError};

/// An index of all rows by some of their columns, in SQLite's own order.
pub(in super::super) struct Index {
    name: String,
    unique: bool,
    columns: Vec<String>,
}

impl Index {
    /// Returns a table's indexes; `None` when one of them is not that simple.
    pub(in super::super) fn all_of(
        connection: &Connection,
        table: &str,
    ) -> Result<Option<Vec<Self>>, VerifyError> {
        let mut found = connection
            .prepare_cached(r#"SELECT name, "unique", partial FROM pragma_index_list(?1)"#)?;
        let mut found = found.query([table])?;
        let mut indexes = Vec::new();
        while let Some(index) = found.next()? {
            let name: String = index.get(0)?;
            let columns = match index.get(2)? {
                true => None,
                false => Self::columns_of(connection, &name)?,
            };
            let Some(columns) = columns else {
                return Ok(None);
            };
            indexes.push(Self {
                name,
                unique: index.get(1)?,
                columns,
            });
        }
        Ok(Some(indexes))
    }

    fn columns_of(
        connection: &Connection,
        index: &str,
    ) -> Result<Option<Vec<String>>, VerifyError> {
        let mut found = connection.prepare_cached(
            r#"SELECT name, "desc" = 0 AND coll = 'BINARY' FROM pragma_index_xinfo(?1) WHERE key ORDER BY seqno"#,
        )?;
        let mut found = found.query([index])?;
        let mut columns = Vec::new();
        while let Some(column) = found.next()? {
            // An expression has no name.
            match (column.get(0)?, column.get(1)?) {
                (Some(name), true) => columns.push(name),
                _ => return Ok(None),
            }
        }
        Ok(Some(columns))
    }

    /// Returns its columns and the row id, as SQL.
    pub(in super::super) fn entry(&self) -> String {
        let mut entry: Vec<_> = self.columns.iter().map(|column| quoted(column)).collect();
        entry.push("rowid".to_owned());
        entry.join(", ")
    }

    pub(in super::super) fn name(&self) -> &str {
        &self.name
    }

    pub(in super::super) fn is_unique(&self) -> bool {
        self.unique
    }

    pub(in super::super) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(in super::super) fn wrong(&self, table: &str, how: &str) -> VerifyError {
        VerifyError::Integrity(format!("index {} of table {table} {how}", self.name))
    }
}
