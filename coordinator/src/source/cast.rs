//! What to write in each kind of list so that a value arrives as a text, or in the form that a token can carry.

/// The kind of list that a column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    File,
    Postgres,
    MySql,
    Sqlite,
    Mongo,
}

impl Origin {
    /// What to write so that `column` is a text.
    pub(super) fn as_text(self, column: &str) -> String {
        match self {
            Self::File => format!("write the value of {column:?} in quotes"),
            Self::Postgres => in_query(&format!("CAST({column} AS text)"), column),
            Self::MySql => in_query(&format!("CAST({column} AS CHAR)"), column),
            Self::Sqlite => in_query(&format!("CAST({column} AS TEXT)"), column),
            Self::Mongo => in_fields(column, "text"),
        }
    }

    /// What to write so that the bytes of `column` are the text that PowerSync's `hex` makes of them.
    pub(super) fn as_hex(self, column: &str) -> String {
        let cast = match self {
            Self::File => self.as_text(column),
            Self::Postgres => in_query(&format!("upper(encode({column}, 'hex'))"), column),
            Self::MySql | Self::Sqlite => in_query(&format!("HEX({column})"), column),
            Self::Mongo => in_fields(column, "hex"),
        };
        format!(
            "PowerSync has it as a blob, which equals no claim: {cast}, and compare it with hex({column}) in the sync config"
        )
    }
}

/// What to write in the query, so that `column` has the value of `expression`.
pub(super) fn in_query(expression: &str, column: &str) -> String {
    format!("write {expression} AS {column} in source.query")
}

fn in_fields(column: &str, cast: &str) -> String {
    format!(
        "write ::{cast} behind the field of {column} in source.fields, as in {column} = \"_id::{cast}\""
    )
}
