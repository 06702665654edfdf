//! Parses `source.url`: which database of which servers it names. No user or password of it is ever shown.

use mongodb::options::{ConnectionString, HostInfo};

use crate::{settings::mongo_connection, source::error::SourceError};

/// A database and its servers.
pub(super) struct Address {
    pub(super) connection: ConnectionString,
    /// The name of the database.
    pub(super) database: String,
    /// Servers and database, for messages.
    pub(super) name: String,
}

impl Address {
    /// Returns what `url` names. Nothing is opened, no name is looked up.
    ///
    /// # Errors
    /// When it is malformed, or names no database.
    pub(super) fn of(url: &str) -> Result<Self, SourceError> {
        let (connection, database) =
            mongo_connection(url).map_err(|problem| SourceError::Url { problem })?;
        let hosts = match &connection.host_info {
            HostInfo::HostIdentifiers(hosts) => {
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                hosts.join(",")
            }
            HostInfo::DnsRecord(host) => host.clone(),
            _ => "…".to_owned(),
        };
        let scheme = url.split(':').next().unwrap_or_default();
        Ok(Self {
            name: format!("{scheme}://{hosts}/{database}"),
            connection,
            database,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(url: &str) -> Result<String, String> {
        let address = Address::of(url);
        address
            .map(|address| address.name)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn hosts_and_database_are_shown_and_nothing_else() {
        for (url, expected) in [
            (
                "mongodb://me:hunter2@a:1,b:2/app?replicaSet=r",
                "mongodb://a:1,b:2/app",
            ),
            (
                "mongodb+srv://me:hunter2@cluster.example.com/app",
                "mongodb+srv://cluster.example.com/app",
            ),
        ] {
            assert_eq!(name(url).unwrap(), expected);
        }
    }

    #[test]
    fn a_bad_url_is_refused_without_its_password() {
        for url in [
            "mongodb://me:hunter2@a",
            "mongodb://me:hun@hunter2@a/app",
            "mongodb://me:hunter2/x@a/app",
            "mongodb://me:hunter2@a:x/app",
            "mongodb://me:hunter2@a/app?readPreference=hunter2",
            "mongodb://me:hunter2@a/app?nonsense",
            "mongodb+srv://me:hunter2@a:1/app",
        ] {
            let error = name(url).unwrap_err();
            assert!(
                error.contains("source.url") && !error.contains("hunter2"),
                "{url}: {error}"
            );
        }
    }
}
