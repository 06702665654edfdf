//! Runs, jobs and snapshots, in SQLite; the same queries will do for Postgres.
//!
//! The contract:
//! * A run's jobs are listed all together or not at all ([`Listing`]).
//! * Applying an event again, late, or in another order than it happened changes nothing that should stay
//!   ([`Catalog::apply`]).
//! * Each store has at most one job in flight and at most one live snapshot. The snapshot of an earlier job
//!   never replaces that of a later one.
//! * Whatever is committed survives a crash of the process. What was not committed was not acknowledged
//!   to the broker either.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use chrono::{DateTime, Utc};
use sqlx::{
    AnyConnection, AnyPool, Connection,
    any::{AnyPoolOptions, AnyRow},
    migrate::{MigrateError, Migrator},
};

mod apply;
mod jobs;
mod listing;
mod read;

pub use apply::Applied;
pub use jobs::PendingJob;
pub use listing::Listing;
pub use read::{FailedJob, RunReport, SnapshotRecord, Totals};

/// How much of a damaged value is shown: all of a manifest would fill screens.
const SHOWN_CHARS: usize = 80;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Why the catalog did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// There is none yet.
    #[error("there is no catalog at {}; `seedbed local` makes one", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be made or opened.
    #[error("cannot open the catalog {} (catalog.url): {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What stands in the way.
        reason: String,
    },
    /// It could be opened, but not now.
    #[error("cannot open the catalog {} now: {reason}", path.display())]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// What stands in the way: a full disk, or another program.
        reason: String,
    },
    /// A newer program has changed its tables.
    #[error(
        "the catalog {} was made by a newer version of Seedbed: update this program, or set catalog.url \
         to another file", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// A store is twice in one list.
    #[error(
        "the store {store_id:?} is listed twice, at {first} and at {second}; nothing was started. \
         Remove one of them"
    )]
    DuplicateStore {
        /// The store.
        store_id: String,
        /// Where it was first, as a line or row number.
        first: i64,
        /// Where it was again.
        second: u64,
    },
    /// A store still has a job of an earlier run.
    #[error(
        "the store {store_id:?} still has a job in flight, of run {run_id}; wait for it to end"
    )]
    InFlight {
        /// The store.
        store_id: String,
        /// The earlier run.
        run_id: String,
    },
    /// A value in the catalog is not what this program writes.
    #[error("the catalog holds {value:?} where {expected} should be; was it edited by hand?")]
    Damaged {
        /// The beginning of what is there.
        value: String,
        /// What should be.
        expected: String,
    },
    /// A value is too large for the catalog.
    #[error("cannot store the {what}: {reason}")]
    Unstorable {
        /// What should have been stored.
        what: &'static str,
        /// Why it cannot be.
        reason: String,
    },
    /// The database refused.
    #[error("the catalog failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// The catalog of one installation.
#[derive(Debug, Clone)]
pub struct Catalog {
    pool: AnyPool,
}

impl Catalog {
    /// Opens the catalog at `url` (`sqlite:FILE`), and makes it and its directory if there is none.
    ///
    /// # Errors
    /// [`CatalogError`] says what stands in the way.
    pub async fn open(url: &str) -> Result<Self, CatalogError> {
        let path = file_of(url);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|e| CatalogError::Open {
                path: path.clone(),
                reason: format!("cannot make its directory: {e}"),
            })?;
        }
        Self::connect(path).await
    }

    /// Opens the catalog at `url`, but does not make one.
    ///
    /// # Errors
    /// [`CatalogError::Missing`] when there is none; otherwise as [`Self::open`].
    pub async fn open_existing(url: &str) -> Result<Self, CatalogError> {
        let path = file_of(url);
        if !path.exists() {
            return Err(CatalogError::Missing { path });
        }
        Self::connect(path).await
    }

    async fn connect(path: PathBuf) -> Result<Self, CatalogError> {
        sqlx::any::install_default_drivers();
        let unusable = |reason: String| CatalogError::Open {
            path: path.clone(),
            reason,
        };
        let cannot_open = |error: &sqlx::Error| {
            if passes(error) {
                let (path, reason) = (path.clone(), error.to_string());
                return CatalogError::Unavailable { path, reason };
            }
            unusable(advice(error))
        };
        let url = connection_url(&path).map_err(unusable)?;
        // The pool would try again and again to open a file that is no database; this tells at once.
        let mut first = AnyConnection::connect(&url)
            .await
            .map_err(|e| cannot_open(&e))?;
        set_up(&mut first).await.map_err(|e| cannot_open(&e))?;
        // SQLite has one writer: whoever queues for the connection waits in order, and never meets
        // SQLITE_BUSY.
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .after_connect(|connection, _| Box::pin(set_up(connection)))
            .connect(&url)
            .await
            .map_err(|e| cannot_open(&e))?;
        first.close().await?;
        MIGRATIONS.run(&pool).await.map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
                CatalogError::Newer { path: path.clone() }
            }
            MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => cannot_open(&e),
            other => unusable(other.to_string()),
        })?;
        Ok(Self { pool })
    }

    /// Closes the catalog; what was committed is in its file afterwards.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// FULL: an event is acknowledged after its commit, which therefore has to survive a power cut. Commits are
/// few, because events are applied in batches.
async fn set_up(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let settings = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; \
         PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
    sqlx::raw_sql(settings).execute(connection).await.map(drop)
}

/// The file that `sqlite:FILE` names.
pub fn file_of(url: &str) -> PathBuf {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    path.strip_prefix("//").unwrap_or(path).into()
}

/// A URL that names `path` whatever characters it has.
fn connection_url(path: &Path) -> Result<String, String> {
    let absolute = std::path::absolute(path).map_err(|e| e.to_string())?;
    let url =
        url::Url::from_file_path(&absolute).map_err(|()| "the path is not usable".to_owned())?;
    Ok(format!("sqlite://{}?mode=rwc", url.path()))
}

/// Whether SQLite's reason may pass without anybody changing the settings: the file is locked, or the disk is
/// full or fails.
fn passes(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    let code: Option<u32> = code.and_then(|code| code.parse().ok());
    // The lowest byte of an extended code: SQLITE_BUSY, _LOCKED, _NOMEM, _IOERR and _FULL.
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 10 | 13))
}

fn advice(error: &sqlx::Error) -> String {
    let reason = error.to_string();
    if reason.contains("readonly") || reason.contains("unable to open") {
        return format!("{reason}; is the file, and the directory around it, writable?");
    }
    reason
}

fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

fn time(millis: i64) -> Result<DateTime<Utc>, CatalogError> {
    DateTime::from_timestamp_millis(millis).ok_or_else(|| damaged(millis, "a time"))
}

fn damaged(value: impl ToString, expected: impl Into<String>) -> CatalogError {
    let mut value = value.to_string();
    if let Some((end, _)) = value.char_indices().nth(SHOWN_CHARS) {
        value.truncate(end);
        value.push('…');
    }
    CatalogError::Damaged {
        value,
        expected: expected.into(),
    }
}

/// Reads a text column as a `T`.
fn parsed<T: FromStr>(
    row: &AnyRow,
    column: &str,
    expected: &'static str,
) -> Result<T, CatalogError> {
    let text: String = sqlx::Row::try_get(row, column)?;
    text.parse().map_err(|_| damaged(text, expected))
}

#[cfg(test)]
mod tests;
