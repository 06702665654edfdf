//! The list of stores, from a file, standard input or a database; streamed, never all in memory.

use std::{fmt, path::PathBuf};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use seedbed_protocol::{InvalidStoreId, JsonObject, StoreId, message::Scope};
use seedbed_worker::token::RESERVED_CLAIMS;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::{
    file::{self, FileFormat, Input},
    sql::SqlSource,
};
use crate::settings::root::SourceConfig;
use seedbed_protocol::{json::kind_of, template::quoted};

/// Records that a reader may be ahead of whoever takes them.
pub(crate) const READ_AHEAD: usize = 256;

/// One store of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// What selects its rows.
    pub scope: Scope,
    /// The line of a file or the row of a query's result, from 1.
    pub position: u64,
}

/// Why there is no list of stores.
#[derive(Debug, thiserror::Error)]
pub enum StoresError {
    /// Nothing says where the stores are.
    #[error(
        "there is no list of stores: give --stores FILE (- for standard input), or set source.url \
         and source.query"
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
    /// The format of a file cannot be told from its name.
    #[error(
        "cannot tell the format of {file} from its name; add --stores-format ndjson or \
         --stores-format csv"
    )]
    Format {
        /// The file.
        file: String,
    },
    /// The file or its text cannot be read.
    #[error("cannot read {origin}: {source}")]
    Unreadable {
        /// The file.
        origin: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// The database refused to connect.
    #[error("cannot connect to the database of source.url ({database}): {source}")]
    Connect {
        /// Host and name of the database.
        database: String,
        /// The driver's word.
        source: sqlx::Error,
    },
    /// The database refused the query.
    #[error("source.query failed on {database}: {source}")]
    Query {
        /// Host and name of the database.
        database: String,
        /// The driver's word.
        source: sqlx::Error,
    },
    /// Whatever reads the list is gone, and did not come to its end.
    #[error("reading {origin} ended unexpectedly, before the end of the list")]
    Ended {
        /// The file or the database.
        origin: String,
    },
    /// One line or row is not a store.
    #[error("{origin}, {unit} {position}: {problem}")]
    Record {
        /// The file or the query.
        origin: String,
        /// `line` or `row`.
        unit: &'static str,
        /// Which one, from 1.
        position: u64,
        /// What is wrong with it.
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
    #[error("the store id in {column:?} must be a text or an integer, not {found}")]
    StoreIdType {
        /// `source.store_id`.
        column: String,
        /// What it is.
        found: &'static str,
    },
    /// The id breaks a rule.
    #[error(transparent)]
    StoreId(#[from] InvalidStoreId),
    /// A column would overwrite what the token's signer sets.
    #[error("the column {column:?} is a claim that Seedbed sets itself; rename the column")]
    ReservedClaim {
        /// The column.
        column: String,
    },
    /// Two columns of one name: one of the two claims would be lost, and it may be the one that keeps
    /// stores apart.
    #[error("it has the column {column:?} twice; give each column a name of its own")]
    DuplicateColumn {
        /// The column.
        column: String,
    },
    /// A column of a type that has no place in JSON.
    #[error(
        "the column {column:?} has the type {type_name}, which cannot become a claim; convert it in \
         source.query, as in CAST({column} AS CHAR) AS {column}"
    )]
    ColumnType {
        /// The column.
        column: String,
        /// Its type on the database.
        type_name: String,
    },
}

/// A place that lists stores.
#[derive(Debug)]
pub enum StoreSource {
    /// A file or standard input.
    File {
        /// Which of them.
        input: Input,
        /// How it is written; `None` looks at its beginning.
        format: Option<FileFormat>,
        /// The column with the store's id.
        store_id: String,
    },
    /// A database.
    Sql(Box<SqlSource>),
}

impl StoreSource {
    /// The source that `stores` names (a file, or `-`), else the one of `config`.
    ///
    /// # Errors
    /// [`StoresError`] when neither names one, or what they name is incomplete.
    pub fn new(
        stores: Option<&str>,
        format: Option<FileFormat>,
        config: &SourceConfig,
    ) -> Result<Self, StoresError> {
        let file = |input: Input| {
            let format = match format {
                Some(format) => Some(format),
                None => input.format()?,
            };
            Ok(Self::File {
                input,
                format,
                store_id: config.store_id.clone(),
            })
        };
        if let Some(stores) = stores {
            return file(Input::named(stores));
        }
        let url = config.url.as_ref().ok_or(StoresError::NoSource)?.expose();
        if let Some(path) = url.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return file(Input::File(PathBuf::from(path)));
        }
        let query = config.query.as_deref().ok_or(StoresError::NoQuery)?;
        let source = SqlSource::new(url, query, &config.store_id)?;
        Ok(Self::Sql(Box::new(source)))
    }

    /// The file or the database, for messages; without any password.
    pub fn name(&self) -> String {
        match self {
            Self::File { input, .. } => input.to_string(),
            Self::Sql(source) => source.database().to_owned(),
        }
    }

    /// The database's `db.system.name` in spans; `None` for a file.
    pub(crate) fn db_system(&self) -> Option<&'static str> {
        match self {
            Self::File { .. } => None,
            Self::Sql(source) => Some(source.db_system()),
        }
    }

    /// Whether it can tell which stores have changed since a time.
    pub fn knows_changes(&self) -> bool {
        match self {
            Self::File { .. } => false,
            Self::Sql(source) => source.knows_changes(),
        }
    }

    /// Its stores, in its order; only those that have changed after `since`, if it [knows](Self::knows_changes). Ends
    /// after the first error.
    pub fn stores(&self, since: DateTime<Utc>) -> BoxStream<'_, Result<Store, StoresError>> {
        match self {
            Self::File {
                input,
                format,
                store_id,
            } => file::stores(input, *format, store_id),
            Self::Sql(source) => source.stores(since),
        }
    }
}

/// What a reader sends: a store, or `None` at the end of the list. A reader that is gone without having said
/// so did not read all of it.
pub(crate) type Read = Result<Option<Store>, StoresError>;

/// The stores that a reader sends, up to the end of the list or the first error.
pub(crate) fn until_end<'a>(
    receiver: mpsc::Receiver<Read>,
    origin: String,
) -> BoxStream<'a, Result<Store, StoresError>> {
    futures::stream::unfold(Some((receiver, origin)), async |reader| {
        let (mut receiver, origin) = reader?;
        match receiver.recv().await {
            Some(Ok(Some(store))) => Some((Ok(store), Some((receiver, origin)))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Err(StoresError::Ended { origin }), None)),
        }
    })
    .boxed()
}

/// The columns of one record, in their order; no two have the same name.
#[derive(Debug, Default)]
pub(crate) struct Columns(Map<String, Value>);

impl Columns {
    pub(crate) fn add(&mut self, column: &str, value: Value) -> Result<(), RecordProblem> {
        match self.0.insert(column.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(RecordProblem::DuplicateColumn {
                column: column.to_owned(),
            }),
        }
    }
}

/// JSON allows a name twice, and most parsers keep only the last value.
impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Record;

        impl<'de> Visitor<'de> for Record {
            type Value = Columns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Columns, A::Error> {
                let mut columns = Columns::default();
                while let Some((column, value)) = entries.next_entry::<String, Value>()? {
                    columns.add(&column, value).map_err(A::Error::custom)?;
                }
                Ok(columns)
            }
        }

        deserializer.deserialize_map(Record)
    }
}

/// The scope of a record with these columns.
pub(crate) fn scope(
    Columns(columns): Columns,
    store_id_column: &str,
) -> Result<Scope, RecordProblem> {
    let reserved = |name: &&String| RESERVED_CLAIMS.contains(&name.as_str());
    if let Some(column) = columns.keys().find(reserved) {
        let column = column.clone();
        return Err(RecordProblem::ReservedClaim { column });
    }
    let wrong_type = |found| RecordProblem::StoreIdType {
        column: store_id_column.to_owned(),
        found,
    };
    let id = match columns.get(store_id_column) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
        Some(other) => return Err(wrong_type(kind_of(other))),
        None => {
            return Err(RecordProblem::NoStoreId {
                column: store_id_column.to_owned(),
                columns: columns.into_iter().map(|(name, _)| name).collect(),
            });
        }
    };
    Ok(Scope {
        store_id: StoreId::new(id)?,
        claims: JsonObject(columns),
    })
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use seedbed_protocol::settings::Secret;

    use super::*;

    #[tokio::test]
    async fn a_reader_that_dies_is_not_the_end_of_the_list() {
        let (sender, receiver) = mpsc::channel::<Read>(1);
        drop(sender);
        let stores: Result<Vec<_>, _> = until_end(receiver, "stores.csv".to_owned())
            .try_collect()
            .await;
        assert!(stores.unwrap_err().to_string().contains("stores.csv"));
        let (sender, receiver) = mpsc::channel::<Read>(1);
        sender.send(Ok(None)).await.unwrap();
        let stores: Vec<_> = until_end(receiver, "stores.csv".to_owned())
            .try_collect()
            .await
            .unwrap();
        assert!(stores.is_empty());
    }

    #[test]
    fn a_file_url_names_the_same_file_with_and_without_slashes() {
        for url in ["file:stores.csv", "file://stores.csv"] {
            let config = SourceConfig {
                url: Some(Secret::new(url)),
                query: None,
                store_id: "store_id".to_owned(),
            };
            let source = StoreSource::new(None, None, &config).unwrap();
            assert_eq!(source.name(), "stores.csv");
        }
    }
}
