//! Opens the catalog, an SQLite file or a Postgres database, and migrates its tables.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use seedbed_protocol::settings::without_secrets;
use sqlx::{AnyConnection, Connection, any::AnyPoolOptions, migrate::MigrateError};

use super::{
    error::CatalogError,
    handle::Catalog,
    migrations::MIGRATIONS,
    room::full_disk,
    session::{Connections, Dialect},
};
use crate::outage::passes;

/// Connections of one process to Postgres: for events, progress, a listing and requests at the same time.
pub(super) const POSTGRES_CONNECTIONS: u32 = 8;

/// Read-only connections of one process to SQLite, in addition to the one that writes.
const SQLITE_READERS: u32 = 4;

/// How long a query waits for a connection of the pool. Listing 100,000 stores takes less, and holds the only
/// connection that writes to SQLite.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(120);

/// A server that does not answer within this time counts as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long processes that open a new file at the same time let each other go first, and the pause between two tries.
const SQLITE_SWITCH_TIMEOUT: Duration = Duration::from_secs(30);
const SQLITE_SWITCH_PAUSE: Duration = Duration::from_millis(20);

/// SQLite's code for a file that another process has locked.
const SQLITE_BUSY: &str = "5";

/// The parameter of a Postgres URL that says how many statements a connection keeps prepared. PgBouncer in transaction
/// mode cannot keep any, so that there are none without it.
const KEPT_STATEMENTS: &str = "statement-cache-capacity";

/// Begins the migration of Postgres. The lock ends with the transaction. Migrations are run by statements with names,
/// and PgBouncer may lend a connection where such names are taken.
const BEGIN_MIGRATION: &str =
    "BEGIN; DEALLOCATE ALL; SELECT pg_advisory_xact_lock(7378697629483820646);";

/// Where a catalog is.
pub(super) enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Catalog {
    /// Opens the catalog at `url`, `sqlite:FILE` or `postgres://…`. Creates the file and the tables if they are
    /// missing. Several processes may do so at once.
    ///
    /// # Errors
    /// [`CatalogError`] says why not.
    pub async fn open(url: &str) -> Result<Self, CatalogError> {
        let place = Place::of(url);
        if let Place::Sqlite(path) = &place
            && let Some(directory) = path.parent()
        {
            std::fs::create_dir_all(directory).map_err(|e| CatalogError::Open {
                catalog: place.name(),
                reason: format!("cannot make its directory: {e}"),
            })?;
        }
        place.connect().await
    }

    /// Opens the catalog at `url`, but creates no file.
    ///
    /// # Errors
    /// [`CatalogError::Missing`] when there is none; otherwise as [`Self::open`].
    pub async fn open_existing(url: &str) -> Result<Self, CatalogError> {
        let place = Place::of(url);
        if let Place::Sqlite(path) = &place
            && !path.exists()
        {
            return Err(CatalogError::Missing { path: path.clone() });
        }
        place.connect().await
    }
}

impl Place {
    pub(super) fn of(url: &str) -> Self {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Self::Postgres(url.to_owned());
        }
        Self::Sqlite(file_of(url))
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(url) => without_secrets(url),
        }
    }

    fn connection_url(&self) -> Result<String, CatalogError> {
        match self {
            Self::Postgres(url) => Ok(url.clone()),
            Self::Sqlite(path) => sqlite_url(path, "rwc").map_err(|reason| CatalogError::Open {
                catalog: self.name(),
                reason,
            }),
        }
    }

    async fn connect(&self) -> Result<Catalog, CatalogError> {
        sqlx::any::install_default_drivers();
        let url = self.connection_url()?;
        let cannot_open = |error: sqlx::Error| self.cannot_open(&error);
        // The pool retries to open a file that is no database; a single connection fails at once.
        let mut first = connect(&url).await.map_err(cannot_open)?;
        if let Self::Sqlite(_) = self {
            set_up_new_sqlite(&mut first).await.map_err(cannot_open)?;
        }
        self.migrate(&mut first).await?;
        first.close().await?;
        let dialect = self.dialect();
        let options = AnyPoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
        let (pool, readers) = match self {
            Self::Sqlite(_) => {
                let options =
                    options.after_connect(|connection, _| Box::pin(set_up_sqlite(connection)));
                // SQLite has one writer: writers queue for the one connection in order. Readers never wait.
                let readers = options.clone().max_connections(SQLITE_READERS);
                let pool = options.max_connections(1).connect(&url).await;
                (pool, Some(readers.connect_lazy(&url).map_err(cannot_open)?))
            }
            Self::Postgres(_) => {
                let options = options.max_connections(POSTGRES_CONNECTIONS);
                (options.connect(&url).await, None)
            }
        };
        let pool = pool.map_err(cannot_open)?;
        let readers = readers.unwrap_or_else(|| pool.clone());
        Ok(Catalog {
            pool: Connections::new(pool, dialect),
            readers: Connections::new(readers, dialect),
            dialect,
        })
    }

    fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(url) if keeps_statements(url) => Dialect::Postgres,
            Self::Postgres(_) => Dialect::SharedPostgres,
        }
    }

    /// Migrates the tables, one process at a time: on SQLite the write lock serves as one.
    async fn migrate(&self, connection: &mut AnyConnection) -> Result<(), CatalogError> {
        let migrated = match self {
            Self::Postgres(_) => {
                let begun = connection.begin_with(BEGIN_MIGRATION).await;
                let mut transaction = begun.map_err(|e| self.cannot_open(&e))?;
                let migrating = async {
                    MIGRATIONS.run(&mut *transaction).await?;
                    let named = sqlx::raw_sql("DEALLOCATE ALL");
                    named.execute(&mut *transaction).await?;
                    Ok(transaction.commit().await?)
                };
                migrating.await
            }
            // Without the lock, which a process that lists a long run may hold.
            Self::Sqlite(_) if is_up_to_date(connection).await => MIGRATIONS.run(connection).await,
            Self::Sqlite(_) => {
                let begun = connection.begin_with("BEGIN IMMEDIATE").await;
                let mut transaction = begun.map_err(|e| self.cannot_open(&e))?;
                match MIGRATIONS.run(&mut *transaction).await {
                    Ok(()) => transaction.commit().await.map_err(MigrateError::Execute),
                    failed => failed,
                }
            }
        };
        migrated.map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                CatalogError::Newer {
                    catalog: self.name(),
                }
            }
            MigrateError::VersionMismatch(_) => CatalogError::Open {
                catalog: self.name(),
                reason:
                    "its tables are of a version that was never released; name another one, and \
                         `seedbed rebuild-catalog` takes the snapshots in"
                        .to_owned(),
            },
            MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => self.cannot_open(&e),
            other => CatalogError::Open {
                catalog: self.name(),
                reason: other.to_string(),
            },
        })
    }

    pub(super) fn cannot_open(&self, error: &sqlx::Error) -> CatalogError {
        let catalog = self.name();
        let full = match self {
            Self::Sqlite(path) => full_disk(error, path),
            Self::Postgres(_) => None,
        };
        if full.is_some() || passes(error) {
            let reason = full.unwrap_or_else(|| error.to_string());
            return CatalogError::Unavailable { catalog, reason };
        }
        let reason = advice(error);
        CatalogError::Open { catalog, reason }
    }
}

/// Whether there is nothing to migrate, so that [`MIGRATIONS`] only compares checksums.
async fn is_up_to_date(connection: &mut AnyConnection) -> bool {
    let newest: Result<Option<i64>, _> =
        sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
            .fetch_one(connection)
            .await;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max();
    newest.is_ok_and(|newest| newest.is_some() && newest >= known)
}

pub(super) async fn connect(url: &str) -> sqlx::Result<AnyConnection> {
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, AnyConnection::connect(url));
    connecting
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// Sets up a connection to SQLite. FULL: an event is acknowledged after its commit, which therefore has to survive
/// a power cut. Commits are few, because events are applied in batches. A minute: another process may be listing
/// many stores.
async fn set_up_sqlite(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let settings = "PRAGMA busy_timeout = 60000; PRAGMA journal_mode = WAL; \
         PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
    sqlx::raw_sql(settings).execute(connection).await.map(drop)
}

/// Sets up the first connection of a process. Processes that open a new file at the same time all switch it to WAL;
/// SQLite refuses all but one of them at once, whatever `busy_timeout` says.
async fn set_up_new_sqlite(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let deadline = Instant::now() + SQLITE_SWITCH_TIMEOUT;
    loop {
        match set_up_sqlite(connection).await {
            Err(error) if has_code(&error, SQLITE_BUSY) && Instant::now() < deadline => {
                tokio::time::sleep(SQLITE_SWITCH_PAUSE).await;
            }
            set_up => return set_up,
        }
    }
}

/// Returns the name of the catalog at `url` for messages, without its password.
pub fn name_of(url: &str) -> String {
    Place::of(url).name()
}

/// Whether the Postgres URL asks for prepared statements that stay.
fn keeps_statements(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else {
        return false;
    };
    let kept = url.query_pairs().find(|(name, _)| name == KEPT_STATEMENTS);
    kept.is_some_and(|(_, count)| count != "0")
}

/// Returns the file that `sqlite:FILE` names.
pub fn file_of(url: &str) -> PathBuf {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    path.strip_prefix("//").unwrap_or(path).into()
}

/// Returns a URL for `path` that escapes its special characters.
pub(super) fn sqlite_url(path: &Path, mode: &str) -> Result<String, String> {
    let absolute = std::path::absolute(path).map_err(|e| e.to_string())?;
    let url =
        url::Url::from_file_path(&absolute).map_err(|()| "the path is not usable".to_owned())?;
    Ok(format!("sqlite://{}?mode={mode}", url.path()))
}

pub(super) fn has_code(error: &sqlx::Error, code: &str) -> bool {
    let refused = error.as_database_error();
    refused.is_some_and(|refused| refused.code().as_deref() == Some(code))
}

fn advice(error: &sqlx::Error) -> String {
    let reason = error.to_string();
    if reason.contains("readonly") || reason.contains("unable to open") {
        return format!("{reason}; is the file, and the directory around it, writable?");
    }
    if reason.contains("extra_float_digits") {
        return format!(
            "{reason}; add it to ignore_startup_parameters in pgbouncer.ini, as for other clients"
        );
    }
    let code = error.as_database_error().and_then(|e| e.code());
    let hint = match code.as_deref() {
        Some("28P01" | "28000") => "check user and password",
        Some("3D000") => "create the database first",
        Some("42501") => "the user needs the right to create tables in the database's schema",
        _ => return reason,
    };
    format!("{reason}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_transient_and_a_missing_table_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/catalog.db", directory.path().display());
        let catalog = Catalog::open(&url).await.unwrap();
        let full = "CREATE TABLE big (x); PRAGMA max_page_count = 1; INSERT INTO big VALUES (zeroblob(9999999))";
        let full = sqlx::raw_sql(full).execute(&catalog.pool).await;
        assert!(CatalogError::from(full.unwrap_err()).is_transient());
        let missing = sqlx::raw_sql("SELECT * FROM nowhere");
        let missing = missing.execute(&catalog.pool).await;
        assert!(!CatalogError::from(missing.unwrap_err()).is_transient());
    }
}
