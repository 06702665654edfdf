//! `[source]`: where the list of stores comes from.

use std::collections::BTreeMap;

use seedbed_protocol::settings::{Secret, SettingsError, check_tls_files, invalid};
use serde::Deserialize;

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
        match &self.url {
            Some(url) => check_tls_files("source.url", url.expose()),
            None => Ok(()),
        }
    }
}
