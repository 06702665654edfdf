//! Opens a finished file and runs every check on it, structure and content at the same time.

use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
};

use foldhash::quality::FixedState;

use rusqlite::{Connection, OpenFlags};

use super::{
    checksums::check_checksums,
    error::VerifyError,
    facts::{Expected, FileFacts, check_journal_mode, facts_of},
    identity::check_identity,
    operations::Operations,
    pages::Version,
    readable::read_other_views,
    rows::{check_rows, check_untyped, read_table},
    whole::{check_pages, structure},
};
use crate::{
    oplog::{InterruptOnDrop, load_core_extension},
    snapshot::stop::{Stop, StopOnDrop},
};

/// Runs every check on a file but that against the service's checkpoint. Blocks.
///
/// # Errors
/// [`VerifyError`] names the first thing that is wrong.
pub fn verify_file(file: &Path) -> Result<FileFacts, VerifyError> {
    SnapshotFile::open(file)?.verify(&Expected::default())
}

/// A file with fewer bytes is read on one thread: another connection would take longer than half of it.
const SMALL: u64 = 4 << 20;

/// A finished file, open for reading.
pub struct SnapshotFile {
    path: PathBuf,
    /// For the second thread, if the file is not small.
    structure: Option<Connection>,
    pub(super) content: Connection,
    /// Asked before each page that is read without SQLite.
    pub(super) stop: Stop,
}

/// Stops a verification when it is dropped: the walk over the pages, and the statements of both connections.
pub struct Abandon {
    _pages: StopOnDrop,
    _statements: Vec<InterruptOnDrop>,
}

impl SnapshotFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`VerifyError::Unreadable`] when there is no such file or it is not an SQLite database.
    pub fn open(file: &Path) -> Result<Self, VerifyError> {
        let is_small = std::fs::metadata(file).is_ok_and(|file| file.len() < SMALL);
        Ok(Self {
            path: file.to_owned(),
            structure: match is_small {
                true => None,
                false => Some(open_for_structure(file)?),
            },
            content: open_to_read(file)?,
            stop: Stop::default(),
        })
    }

    /// Returns a guard that stops the verification when it is dropped.
    pub fn abandon_on_drop(&self) -> Abandon {
        Abandon {
            _pages: self.stop.on_drop(),
            _statements: (self.structure.iter())
                .chain([&self.content])
                .map(InterruptOnDrop::of)
                .collect(),
        }
    }

    /// Checks the file against what is expected. Blocks.
    ///
    /// # Errors
    /// [`VerifyError`] names the first thing that is wrong.
    pub fn verify(self, expected: &Expected<'_>) -> Result<FileFacts, VerifyError> {
        let file = File::open(&self.path).map_err(VerifyError::Read)?;
        check_journal_mode(&self.content)?;
        match Version::of(&file, &self.stop)? {
            Some(version) => check_pages(version, (self.structure, &self.content), expected),
            None => self.verify_by_sqlite(expected),
        }
    }

    /// Checks the file by SQLite alone, which knows every kind of file, its structure and its content at the same time.
    /// Blocks.
    ///
    /// # Errors
    /// [`VerifyError`] names the first thing that is wrong.
    pub fn verify_by_sqlite(self, expected: &Expected<'_>) -> Result<FileFacts, VerifyError> {
        let structure = match self.structure {
            Some(structure) => structure,
            None => open_for_structure(&self.path)?,
        };
        by_sqlite(structure, &self.content, expected)
    }
}

fn open_to_read(file: &Path) -> Result<Connection, rusqlite::Error> {
    load_core_extension();
    // Each connection is used by one thread, so SQLite need not lock it for every value that is read.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(file, flags)
}

fn open_for_structure(file: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = open_to_read(file)?;
    connection.pragma_update(None, "cache_size", -structure::CACHE_KIB)?;
    Ok(connection)
}

fn by_sqlite(
    structure: Connection,
    content: &Connection,
    expected: &Expected<'_>,
) -> Result<FileFacts, VerifyError> {
    std::thread::scope(|threads| {
        let structure = threads.spawn(move || check_structure(&structure));
        let content = check_content(content, expected);
        // Damage explains every other error, so it is reported first.
        structure
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        content
    })
}

fn check_content(
    connection: &Connection,
    expected: &Expected<'_>,
) -> Result<FileFacts, VerifyError> {
    check_identity(connection)?;
    check_untyped(connection)?;
    let hasher = FixedState::with_seed(RandomState::new().hash_one(0));
    let operations = Operations::read(connection, &hasher)?;
    check_checksums(connection, &operations, expected.checkpoint)?;
    let (tables, mut unreadable) =
        check_rows(connection, &operations, expected.raw_tables, |table| {
            read_table(connection, table, &hasher)
        })?;
    unreadable.extend(read_other_views(connection)?);
    facts_of(connection, tables, unreadable)
}

fn check_structure(connection: &Connection) -> Result<(), VerifyError> {
    check_journal_mode(connection)?;
    structure::check(connection)
}
