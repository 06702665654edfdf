//! Opens a finished file and runs every check on it, structure and content at the same time.

use std::{hash::RandomState, path::Path};

use rusqlite::{Connection, OpenFlags};
use seedbed_protocol::manifest::{Checkpoint, TableRows};

use super::{
    checksums::check_checksums,
    error::VerifyError,
    identity::check_identity,
    operations::Operations,
    readable::{UnreadableRows, read_other_views},
    rows::{check_rows, check_untyped},
    sql::count,
    structure,
};
use crate::oplog::{InterruptOnDrop, RawTable, load_core_extension};

/// Facts about a verified file, for its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Rows of each table, sorted by name.
    pub tables: Vec<TableRows>,
    /// The version of PowerSync's internal tables.
    pub internal_schema_version: u32,
    /// Rows that no client can read, by table.
    pub unreadable: Vec<UnreadableRows>,
}

impl FileFacts {
    /// Refuses a file with rows that no client can read.
    ///
    /// # Errors
    /// [`VerifyError::UnreadableRows`]
    pub fn refuse_unreadable(&self) -> Result<(), VerifyError> {
        match self.unreadable.first() {
            Some(rows) => Err(VerifyError::UnreadableRows(rows.clone())),
            None => Ok(()),
        }
    }
}

/// What a file has to match, besides being consistent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    /// The service's checkpoint.
    pub checkpoint: Option<&'a Checkpoint>,
    /// Tables that the app fills by its own statements.
    pub raw_tables: &'a [RawTable],
}

/// Runs every check on a file but that against the service's checkpoint. Blocks.
///
/// # Errors
/// [`VerifyError`] names the first thing that is wrong.
pub fn verify_file(file: &Path) -> Result<FileFacts, VerifyError> {
    SnapshotFile::open(file)?.verify(&Expected::default())
}

/// A finished file, open for reading.
pub struct SnapshotFile {
    structure: Connection,
    pub(super) content: Connection,
}

impl SnapshotFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`VerifyError::Unreadable`] when there is no such file or it is not an SQLite database.
    pub fn open(file: &Path) -> Result<Self, VerifyError> {
        load_core_extension();
        // Each connection is used by one thread, so SQLite need not lock it for every value that is read.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || Connection::open_with_flags(file, flags);
        let (structure, content) = (open()?, open()?);
        structure.pragma_update(None, "cache_size", -structure::CACHE_KIB)?;
        Ok(Self { structure, content })
    }

    /// Returns guards that stop [`Self::verify`] when they are dropped.
    pub(crate) fn interrupts(&self) -> [InterruptOnDrop; 2] {
        [
            InterruptOnDrop::of(&self.structure),
            InterruptOnDrop::of(&self.content),
        ]
    }

    /// Checks the file against what is expected, its structure and its content at the same time. Blocks.
    ///
    /// # Errors
    /// [`VerifyError`] names the first thing that is wrong.
    pub fn verify(self, expected: &Expected<'_>) -> Result<FileFacts, VerifyError> {
        let Self { structure, content } = self;
        std::thread::scope(|threads| {
            let structure = threads.spawn(move || check_structure(&structure));
            let content = check_content(&content, expected);
            // Damage explains every other error, so it is reported first.
            structure
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            content
        })
    }
}

fn check_content(
    connection: &Connection,
    expected: &Expected<'_>,
) -> Result<FileFacts, VerifyError> {
    check_identity(connection)?;
    check_untyped(connection)?;
    let hasher = RandomState::new();
    let operations = Operations::read(connection, &hasher)?;
    check_checksums(connection, &operations, expected.checkpoint)?;
    let (tables, mut unreadable) =
        check_rows(connection, &operations, &hasher, expected.raw_tables)?;
    unreadable.extend(read_other_views(connection)?);
    facts_of(connection, tables, unreadable)
}

/// Returns the facts about a file with these rows.
pub(super) fn facts_of(
    connection: &Connection,
    mut tables: Vec<TableRows>,
    unreadable: Vec<UnreadableRows>,
) -> Result<FileFacts, VerifyError> {
    tables.sort_by(|a, b| a.table.cmp(&b.table));
    let internal_schema_version = count(connection, "SELECT max(id) FROM ps_migration", [])?;
    Ok(FileFacts {
        tables,
        internal_schema_version: internal_schema_version.try_into().unwrap_or(u32::MAX),
        unreadable,
    })
}

fn check_structure(connection: &Connection) -> Result<(), VerifyError> {
    check_journal_mode(connection)?;
    structure::check(connection)
}

pub(super) fn check_journal_mode(connection: &Connection) -> Result<(), VerifyError> {
    let journal_mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal_mode != "delete" {
        return Err(VerifyError::JournalMode(journal_mode));
    }
    Ok(())
}
