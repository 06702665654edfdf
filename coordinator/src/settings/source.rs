//! `[source]`: where the list of stores comes from.

pub(crate) mod mongo;

use std::collections::BTreeMap;

use seedbed_protocol::settings::{Secret, SettingsError, check_database_url, invalid};
use serde::Deserialize;
use serde_json::Value as Json;

/// What `source.url` may begin with.
const SCHEMES: [&str; 8] = [
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "mongodb+srv",
    "sqlite",
    "file",
];

/// Where the list of stores comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// A database to query, or `file:FILE`. Secret because of the password that it may contain.
    pub url: Option<Secret>,
    /// The query, for an SQL database.
    pub query: Option<String>,
    /// The collection, for MongoDB.
    pub collection: Option<String>,
    /// Which of its documents are stores, in MongoDB's Extended JSON; all of them without it.
    pub filter: Option<String>,
    /// The field of each column, for MongoDB; every field is a column without it.
    pub fields: Option<BTreeMap<String, String>>,
    /// The column with the store's id.
    pub store_id: String,
}

impl SourceConfig {
    /// Checks what every source needs. What only a database needs is checked when it is opened.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.store_id.trim().is_empty() {
            return invalid(
                "source.store_id",
                "is empty; name the column with the store's id",
            );
        }
        if let Some(filter) = &self.filter
            && let Err(error) = serde_json::from_str::<serde_json::Map<String, Json>>(filter)
        {
            return invalid(
                "source.filter",
                format!("is not a JSON object such as {{\"active\": true}}: {error}"),
            );
        }
        let Some(url) = &self.url else {
            return Ok(());
        };
        let scheme = url.expose().split_once(':').map(|(scheme, _)| scheme);
        if !scheme.is_some_and(|scheme| SCHEMES.contains(&scheme)) {
            // All of it may be a password.
            return invalid(
                "source.url",
                format!("must begin with {}:", SCHEMES.join(":, ")),
            );
        }
        if scheme.is_some_and(|scheme| scheme.starts_with("mongodb"))
            && let Err(problem) = mongo::mongo_connection(url.expose())
        {
            return invalid("source.url", problem);
        }
        check_database_url("source.url", url.expose())
    }
}
