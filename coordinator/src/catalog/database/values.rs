//! Many values in one parameter of a statement.
//!
//! A parameter for each would make another statement for each number of them, to be parsed and planned anew; and SQLite looks each name
//! like `$7` up among all the others, so that twice as many parameters take four times as long.

use serde::Serialize;

use super::session::Dialect;

/// Returns `rows` as JSON, for the parameter of [`Dialect::rows_in`] or [`Dialect::among`].
pub(in crate::catalog) fn json<T: Serialize>(rows: impl IntoIterator<Item = T>) -> String {
    let rows: Vec<T> = rows.into_iter().collect();
    serde_json::to_string(&rows).expect("texts and numbers are JSON")
}

/// Returns ids as JSON, for the parameter of [`Dialect::among`].
pub(in crate::catalog) fn ids<T: ToString>(ids: impl IntoIterator<Item = T>) -> String {
    json(ids.into_iter().map(|id| id.to_string()))
}

/// Returns ids as JSON, for the parameter of [`Dialect::wanted`].
pub(in crate::catalog) fn wanted<T: ToString>(ids: impl IntoIterator<Item = T>) -> String {
    json(ids.into_iter().map(|id| (id.to_string(),)))
}

impl Dialect {
    /// Returns the definition of a table `wanted` with a column `id`: the texts of the JSON array `$1`, for `FROM wanted CROSS JOIN`,
    /// which makes SQLite begin with it. For conditions beside which SQLite would take [`Self::among`] for the weaker one, as beside
    /// `state = 'live'`, and read every live snapshot.
    pub(in crate::catalog) fn wanted(self) -> String {
        format!("wanted AS MATERIALIZED ({})", self.rows_in("id TEXT"))
    }

    /// Returns a condition on a column of texts: that it is among those of the JSON array `$parameter`.
    pub(in crate::catalog) fn among(self, parameter: usize) -> String {
        match self {
            Self::Sqlite => format!("IN (SELECT value FROM json_each(${parameter}))"),
            Self::Postgres | Self::SharedPostgres => format!(
                "= ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(${parameter} AS jsonb))))"
            ),
        }
    }

    /// Returns a query of the rows in the JSON array `$1`, each of them an array. `columns` are their names and types, as in
    /// `id TEXT, attempt BIGINT`.
    pub(in crate::catalog) fn rows_in(self, columns: &str) -> String {
        let columns = columns.split(", ").enumerate().map(|(place, column)| {
            let (name, kind) = column.split_once(' ').unwrap_or((column, "TEXT"));
            format!("CAST(value ->> {place} AS {kind}) AS {name}")
        });
        let elements = match self {
            Self::Sqlite => "json_each($1)",
            Self::Postgres | Self::SharedPostgres => "jsonb_array_elements(CAST($1 AS jsonb))",
        };
        let columns: Vec<String> = columns.collect();
        format!("SELECT {} FROM {elements}", columns.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_one_parameter() {
        assert_eq!(
            Dialect::Sqlite.rows_in("id TEXT, attempt BIGINT"),
            "SELECT CAST(value ->> 0 AS TEXT) AS id, CAST(value ->> 1 AS BIGINT) AS attempt FROM json_each($1)"
        );
        assert_eq!(
            json([("1", Some(2)), ("3", None)]),
            r#"[["1",2],["3",null]]"#
        );
    }
}
