//! Parses `source.url`: which database of which servers it names. No user or password of it is ever shown.

use mongodb::{
    error::{Error, ErrorKind},
    options::{ConnectionString, HostInfo},
};

use crate::source::error::SourceError;

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
        let bad = |problem: String| SourceError::Url { problem };
        let connection = ConnectionString::parse(url)
            .map_err(|error| bad(format!("is malformed: {}", reason(&error, url))))?;
        let database = connection.default_database.clone().ok_or_else(|| {
            bad(
                "names no database; write it behind the hosts, as in mongodb://HOST/DATABASE"
                    .to_owned(),
            )
        })?;
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

/// The driver's reason, unless it quotes what may be a secret: a password with an `@` or a `/` in it ends up in the host's name.
fn reason(error: &Error, url: &str) -> String {
    let reason = match error.kind.as_ref() {
        ErrorKind::InvalidArgument { message, .. } => message.clone(),
        other => other.to_string(),
    };
    let (_, after) = url.split_once("://").unwrap_or_default();
    let secrets = after.rsplit_once('@').map_or("", |(user, _)| user);
    let options = after.split_once('?').map_or("", |(_, options)| options);
    let values = options
        .split('&')
        .filter_map(|option| option.split_once('='));
    let parts = secrets
        .split([':', '@', '/', ','])
        .chain(values.map(|(_, value)| value));
    let quotes_a_secret = parts
        .filter(|part| !part.is_empty())
        .any(|part| reason.contains(part));
    if quotes_a_secret {
        "percent-encode : / ? # [ ] @ % in user and password, and look at the options behind the ?"
            .to_owned()
    } else {
        reason
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
