//! The configured source: a file, standard input or a database. Streams the list of stores, never all in memory.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

use super::store::Store;
use super::{
    error::SourceError,
    file::{self, Input},
    format::FileFormat,
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
    /// A database.
    Sql(Box<SqlSource>),
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
        let query = config.query.as_deref().ok_or(SourceError::NoQuery)?;
        let source = SqlSource::new(url, query, &config.store_id)?;
        Ok(Self::Sql(Box::new(source)))
    }

    /// Returns the name of the file or the database, for messages; without any password.
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

    /// Returns whether it can tell which stores have changed since a time.
    pub fn knows_changes(&self) -> bool {
        match self {
            Self::File { .. } => false,
            Self::Sql(source) => source.knows_changes(),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use seedbed_protocol::settings::Secret;

    use super::*;

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
