//! Errors of reading the list of stores: the source cannot be read, or a line or row of it is no store.

use seedbed_protocol::{InvalidStoreId, settings::quoted};

use crate::outage::passes;

/// Why there is no list of stores.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing says where the stores are.
    #[error(
        "there is no list of stores: give --stores FILE (- for standard input), or set source.url, and \
         source.query or source.collection"
    )]
    NoSource,
    /// `source.url` is not a place for stores.
    #[error("source.url {problem}")]
    Url {
        /// What is wrong with it; never its password.
        problem: String,
    },
    /// A database without a query.
    #[error("source.query is missing; set it to a query with one row per store")]
    NoQuery,
    /// The text of the query cannot be used.
    #[error("source.query {problem}")]
    QueryText {
        /// What is wrong with it.
        problem: String,
    },
    /// A setting of `[source]` is missing, wrong, or not for this kind of source.
    #[error("source.{setting} {problem}")]
    Setting {
        setting: &'static str,
        problem: String,
    },
    /// MongoDB is out of reach, or has failed for now.
    #[error("cannot read the list of stores from {database}: {problem}")]
    MongoAway { database: String, problem: String },
    /// MongoDB refused the user or the query.
    #[error("{database} refused to list stores: {problem}")]
    MongoRefused { database: String, problem: String },
    /// The format of a file cannot be told from its name.
    #[error(
        "cannot tell the format of {file} from its name; add --stores-format ndjson or \
         --stores-format csv"
    )]
    Format { file: String },
    /// The file or its text cannot be read.
    #[error("cannot read {origin}: {source}")]
    Unreadable {
        origin: String,
        source: std::io::Error,
    },
    /// The database refused to connect.
    #[error("cannot connect to the database of source.url ({database}): {source}")]
    Connect {
        database: String,
        source: sqlx::Error,
    },
    /// The database refused the query.
    #[error("source.query failed on {database}: {source}")]
    Query {
        database: String,
        source: sqlx::Error,
    },
    /// The reader ended before the end of the list.
    #[error("reading {origin} ended unexpectedly, before the end of the list")]
    Ended { origin: String },
    /// One line or row is not a store.
    #[error("{origin}, {unit} {position}: {problem}")]
    Record {
        origin: String,
        /// `line` or `row`.
        unit: &'static str,
        /// Which one, from 1.
        position: u64,
        problem: RecordProblem,
    },
}

/// What is wrong with one line or row.
#[derive(Debug, thiserror::Error)]
pub enum RecordProblem {
    /// It cannot be parsed.
    #[error("{0}")]
    Malformed(String),
    /// It does not have the configured column.
    #[error(
        "there is no column {column:?} with the store's id (source.store_id); there are {columns}",
        columns = quoted(columns)
    )]
    NoStoreId {
        /// `source.store_id`.
        column: String,
        /// The columns that it has.
        columns: Vec<String>,
    },
    /// The id is neither text nor an integer.
    #[error("the store id in {column:?} must be a text or an integer, not {found}{advice}")]
    StoreIdType {
        /// `source.store_id`.
        column: String,
        found: &'static str,
        /// What to write instead, after `; `; empty where nothing helps.
        advice: String,
    },
    /// A number that PowerSync would read as another one.
    #[error(
        "the number {number} in {column:?} would reach PowerSync as another one: numbers in tokens are exact up to \
         2^53 - 1 only. Send it as a text: {advice}, and compare it with CAST({column} AS TEXT) in the sync config"
    )]
    InexactNumber {
        column: String,
        /// Its digits.
        number: String,
        /// What to write to get a text.
        advice: String,
    },
    /// The id breaks a rule.
    #[error(transparent)]
    StoreId(#[from] InvalidStoreId),
    /// A column would overwrite what the token's signer sets.
    #[error("the column {column:?} is a claim that Seedbed sets itself; rename the column")]
    ReservedClaim { column: String },
    /// Two columns of one name: one of the two claims would be lost, and it may be the one that keeps
    /// stores apart.
    #[error("it has the column {column:?} twice; give each column a name of its own")]
    DuplicateColumn { column: String },
    /// A column of a type that a token cannot carry as PowerSync compares it.
    #[error("the column {column:?} has the type {type_name}, which cannot become {role}; {advice}")]
    ColumnType {
        column: String,
        type_name: String,
        /// `a claim` or `the store's id`.
        role: &'static str,
        /// What to write instead.
        advice: String,
    },
}

impl SourceError {
    /// Returns whether a person has to change the list, the query or the settings before it can succeed. A database
    /// that is down needs no change, a wrong password does.
    pub fn is_usage(&self) -> bool {
        !self.is_transient()
    }

    /// Returns whether the same call may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Ended { .. } | Self::MongoAway { .. } => true,
            Self::Connect { source, .. } | Self::Query { source, .. } => passes(source),
            _ => false,
        }
    }
}
