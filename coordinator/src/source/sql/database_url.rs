//! Parses `source.url`: which database it names, and how to connect to it.

use std::{fmt, str::FromStr};

use seedbed_protocol::settings::without_secrets;
use sqlx::{
    ConnectOptions, mysql::MySqlConnectOptions, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use url::Url;

use super::scanner::Dialect;
use crate::source::{cast::Origin, error::SourceError};

/// The parameters of a Postgres URL that sqlx knows, except `options[…]`. It would log any other one with its
/// value, which may be a misspelt password.
const POSTGRES_PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

#[derive(Clone)]
pub(super) enum Driver {
    Postgres(PgConnectOptions),
    MySql(MySqlConnectOptions),
    Sqlite(SqliteConnectOptions),
}

/// Without the options, whose own `Debug` shows the password.
impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres(_) => "Postgres",
            Self::MySql(_) => "MySql",
            Self::Sqlite(_) => "Sqlite",
        })
    }
}

impl Driver {
    /// The database at `url`, and its name for messages. Nothing is opened.
    pub(super) fn of(url: &str) -> Result<(Self, String), SourceError> {
        let bad = |problem: String| SourceError::Url { problem };
        let malformed = |e: &dyn fmt::Display| bad(format!("is malformed: {e}"));
        let (scheme, rest) = url.split_once(':').ok_or_else(|| {
            bad("must begin with postgres:, mysql:, mongodb:, sqlite: or file:".to_owned())
        })?;
        let driver = match scheme {
            "postgres" | "postgresql" => {
                if let Some(unknown) = unknown_parameter(url) {
                    return Err(bad(format!(
                        "has a parameter {unknown:?} that Postgres connections do not have; remove it"
                    )));
                }
                let options = PgConnectOptions::from_str(url).map_err(|e| malformed(&e))?;
                // PgBouncer refuses it unless told to ignore it, and floats are written exactly without it.
                let options = options.extra_float_digits(None);
                Driver::Postgres(options.disable_statement_logging())
            }
            "mysql" | "mariadb" => {
                let options = MySqlConnectOptions::from_str(url).map_err(|e| malformed(&e))?;
                Driver::MySql(options.disable_statement_logging())
            }
            "sqlite" => {
                let options = SqliteConnectOptions::new()
                    .filename(rest.strip_prefix("//").unwrap_or(rest))
                    .create_if_missing(false)
                    .read_only(true);
                Driver::Sqlite(options.disable_statement_logging())
            }
            other => {
                return Err(bad(format!(
                    "begins with {other}:, but must begin with postgres:, mysql:, mongodb:, sqlite: or file:"
                )));
            }
        };
        Ok((driver, display_name(url, scheme, rest)))
    }

    /// How it writes texts and comments.
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::MySql(_) => Dialect::MySql,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// How it casts values.
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Postgres(_) => Origin::Postgres,
            Self::MySql(_) => Origin::MySql,
            Self::Sqlite(_) => Origin::Sqlite,
        }
    }

    /// Its `db.system.name` in spans.
    pub(super) fn system(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgresql",
            Self::MySql(_) => "mysql",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

/// The name of the database in messages, without its password.
fn display_name(url: &str, scheme: &str, rest: &str) -> String {
    if scheme == "sqlite" {
        return format!("sqlite:{}", rest.strip_prefix("//").unwrap_or(rest));
    }
    without_secrets(url)
}

/// The first parameter of a Postgres URL that sqlx does not know.
fn unknown_parameter(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let mut names = url.query_pairs().map(|(name, _)| name.into_owned());
    names
        .find(|name| !POSTGRES_PARAMETERS.contains(&name.as_str()) && !name.starts_with("options["))
}
