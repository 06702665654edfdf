//! SQLite with the core extension linked in: opens databases, names their errors, interrupts them, defers indexes.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Once,
};

use rusqlite::{Connection, ErrorCode, InterruptHandle};

/// Why a job's database failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The disk is full.
    #[error(
        "the disk of worker.directory is full, or that of SQLite's temporary files (SQLITE_TMPDIR, else /var/tmp): {0}; free some space or lower worker.slots"
    )]
    Full(Box<dyn std::error::Error + Send + Sync>),
    /// An error of SQLite or of the core extension.
    #[error("SQLite: {0}")]
    Sqlite(rusqlite::Error),
    /// The file cannot be created.
    #[error("cannot make {}: {source}; is worker.directory writable, and its disk not full?", path.display())]
    Create {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The file cannot be read or written, apart from SQLite.
    #[error("the job's database in worker.directory: {0}")]
    File(std::io::Error),
    /// A row that is not a JSON object.
    #[error("a row of {table:?} cannot be read: {reason}")]
    Row { table: String, reason: String },
    /// The core extension answered in an unexpected way.
    #[error("the PowerSync core extension: {0}")]
    Core(String),
    /// Nobody waits for the database any more.
    #[error("the job was abandoned")]
    Abandoned,
    /// The thread that writes the database panicked.
    #[error("the database thread panicked")]
    Panicked,
}

impl DatabaseError {
    /// Returns whether another attempt could help. A full disk may have room later or on another worker. Other SQLite
    /// errors are retried: bad data that is really at the source fails again and uses up the attempts.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Row { .. } => false,
            // A row that a raw table's constraints refuse.
            Self::Sqlite(error) => !matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
            ),
            _ => true,
        }
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.into()),
            _ => Self::Sqlite(error),
        }
    }
}

impl From<std::io::Error> for DatabaseError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(error.into()),
            _ => Self::File(error),
        }
    }
}

/// Creates PowerSync's internal tables in a database from [`open`] or [`open_in_memory`].
///
/// # Errors
/// When SQLite or the core extension fails.
pub fn initialize(connection: &Connection) -> Result<(), DatabaseError> {
    connection.query_row("SELECT powersync_init()", [], |_| Ok(()))?;
    Ok(())
}

/// Opens or creates a file, with the core extension loaded.
///
/// # Errors
/// When SQLite fails.
pub fn open(path: &Path) -> Result<Connection, DatabaseError> {
    load_core_extension();
    Ok(Connection::open(path)?)
}

/// Opens a database in memory, with the core extension loaded.
///
/// # Errors
/// When SQLite fails.
pub fn open_in_memory() -> Result<Connection, DatabaseError> {
    load_core_extension();
    Ok(Connection::open_in_memory()?)
}

/// Returns the version of the linked core extension.
///
/// # Errors
/// When SQLite fails.
pub fn core_version() -> Result<String, DatabaseError> {
    Ok(open_in_memory()?.query_row("SELECT powersync_rs_version()", [], |row| row.get(0))?)
}

/// Registers the core extension for every connection that this process opens from now on.
pub(crate) fn load_core_extension() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        powersync_core::powersync_init_static();
    });
}

/// Interrupts the statement that a connection runs when this is dropped: the job was abandoned.
pub struct InterruptOnDrop(InterruptHandle);

impl InterruptOnDrop {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self(connection.get_interrupt_handle())
    }
}

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

/// Opens a file that only this connection ever uses. Nothing is journalled or fsynced: a failure throws the file away.
pub(crate) fn open_alone(path: &Path, cache_kib: u32) -> Result<Connection, DatabaseError> {
    let connection = open(path)?;
    connection.pragma_update(None, "journal_mode", "off")?;
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    // Rows arrive in no order that a raw table's foreign keys could ask for, and a cascade would remove rows that the
    // service still holds.
    connection.pragma_update(None, "foreign_keys", "off")?;
    set_cache(&connection, cache_kib)?;
    Ok(connection)
}

/// Leaves the file as it is until its journal mode is changed: all changes go to a log beside it.
pub(crate) fn keep_log(connection: &Connection) -> Result<(), DatabaseError> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(())
}

pub(crate) fn set_cache(connection: &Connection, kib: u32) -> Result<(), DatabaseError> {
    Ok(connection.pragma_update(None, "cache_size", -i64::from(kib))?)
}

/// Indexes that are dropped while rows arrive in another order: keeping them sorted all the time costs far more than
/// sorting them once at the end.
#[derive(Default)]
pub(crate) struct DeferredIndexes(Vec<String>);

impl DeferredIndexes {
    /// Drops the named indexes.
    pub(crate) fn take_from(
        connection: &Connection,
        names: &[&str],
    ) -> Result<Self, DatabaseError> {
        let definition = "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?1";
        let mut definitions = Vec::new();
        for name in names {
            definitions.push(connection.query_row(definition, [name], |row| row.get(0))?);
            connection.execute_batch(&format!("DROP INDEX {}", quoted(name)))?;
        }
        Ok(Self(definitions))
    }

    /// Drops a table's indexes, except those that its constraints make.
    pub(crate) fn take_all_of(connection: &Connection, table: &str) -> Result<Self, DatabaseError> {
        let mut names = connection.prepare(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL",
        )?;
        let names: Vec<String> = names
            .query_map([table], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        Self::take_from(connection, &names)
    }

    /// Creates the dropped indexes; does nothing when called again.
    pub(crate) fn build(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        for definition in self.0.drain(..) {
            connection.execute_batch(&definition)?;
        }
        Ok(())
    }
}

/// Quotes an identifier for SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
