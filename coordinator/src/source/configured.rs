//! The configured source: a file, standard input or a database. Streams the list of stores, never all in memory.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

use super::store::Store;
use super::{
    error::SourceError,
    file::{self, Input},
    format::FileFormat,
    mongo::MongoSource,
    sql::SqlSource,
};
use crate::settings::SourceConfig;

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
    /// An SQL database.
    Sql(Box<SqlSource>),
    /// A collection of MongoDB.
    Mongo(Box<MongoSource>),
}

impl StoreSource {
    /// Returns the source that `stores` names (a file, or `-`), else the one of `config`.
    ///
    /// # Errors
    /// [`SourceError`] when neither names one, or what they name is incomplete.
    pub fn new(
        stores: Option<&str>,
        format: Option<FileFormat>,
        config: &SourceConfig,
    ) -> Result<Self, SourceError> {
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
        let url = config.url.as_ref().ok_or(SourceError::NoSource)?.expose();
        if let Some(path) = url.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return file(Input::File(PathBuf::from(path)));
        }
        if url.starts_with("mongodb:") || url.starts_with("mongodb+srv:") {
            return Ok(Self::Mongo(Box::new(MongoSource::new(url, config)?)));
        }
        for (setting, is_set) in [
            ("collection", config.collection.is_some()),
            ("filter", config.filter.is_some()),
            ("fields", config.fields.is_some()),
        ] {
            if is_set {
                let problem = "is for MongoDB; other databases have source.query".to_owned();
                return Err(SourceError::Setting { setting, problem });
            }
        }
        let query = config.query.as_deref().ok_or(SourceError::NoQuery)?;
        let source = SqlSource::new(url, query, &config.store_id)?;
        Ok(Self::Sql(Box::new(source)))
    }

    /// Returns the name of the file or the database, for messages; without any password.
    pub fn name(&self) -> String {
        match self {
            Self::File { input, .. } => input.to_string(),
            Self::Sql(source) => source.database().to_owned(),
            Self::Mongo(source) => source.name().to_owned(),
        }
    }

    /// The database's `db.system.name` in spans; `None` for a file.
    pub(crate) fn db_system(&self) -> Option<&'static str> {
        match self {
            Self::File { .. } => None,
            Self::Sql(source) => Some(source.db_system()),
            Self::Mongo(_) => Some("mongodb"),
        }
    }

    /// What is asked of it, as `db.operation.name` in spans.
    pub(crate) fn db_operation(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Sql(_) => "SELECT",
            Self::Mongo(_) => "find",
        }
    }

    /// Returns whether it can tell which stores have changed since a time.
    pub fn knows_changes(&self) -> bool {
        match self {
            Self::File { .. } => false,
            Self::Sql(source) => source.knows_changes(),
            Self::Mongo(source) => source.knows_changes(),
        }
    }

    /// Streams its stores, in its order; only those that have changed after `since`, if it
    /// [knows](Self::knows_changes). Ends after the first error.
    pub fn stores(&self, since: DateTime<Utc>) -> BoxStream<'_, Result<Store, SourceError>> {
        match self {
            Self::File {
                input,
                format,
                store_id,
            } => file::stores(input, *format, store_id),
            Self::Sql(source) => source.stores(since),
            Self::Mongo(source) => source.stores(since),
        }
    }
}

#[cfg(test)]
mod tests {
    use seedbed_protocol::settings::Secret;

    use super::*;

    fn config(url: &str) -> SourceConfig {
        SourceConfig {
            url: Some(Secret::new(url)),
            query: None,
            collection: None,
            filter: None,
            fields: None,
            store_id: "store_id".to_owned(),
        }
    }

    fn refused(config: &SourceConfig) -> String {
        StoreSource::new(None, None, config)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_file_url_names_the_same_file_with_and_without_slashes() {
        for url in ["file:stores.csv", "file://stores.csv"] {
            let source = StoreSource::new(None, None, &config(url)).unwrap();
            assert_eq!(source.name(), "stores.csv");
        }
    }

    #[test]
    fn a_setting_for_another_kind_of_database_is_refused() {
        let mongo = SourceConfig {
            collection: Some("stores".to_owned()),
            ..config("mongodb://db/app")
        };
        let source = StoreSource::new(None, None, &mongo).unwrap();
        assert_eq!(source.name(), "mongodb://db:27017/app.stores");
        assert!(!source.knows_changes());
        assert!(refused(&config("mongodb://db/app")).contains("source.collection is missing"));
        let both = SourceConfig {
            query: Some("SELECT 1".to_owned()),
            ..mongo.clone()
        };
        assert!(refused(&both).contains("source.query is for SQL"));
        let sql = SourceConfig {
            url: Some(Secret::new("postgres://db/app")),
            ..both
        };
        assert!(refused(&sql).contains("source.collection is for MongoDB"));
    }
}
