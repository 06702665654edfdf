//! What is asked of a file, and what is known of one that was verified.

use rusqlite::Connection;
use seedbed_protocol::manifest::{Checkpoint, TableRows};

use super::{error::VerifyError, readable::UnreadableRows, sql::count};
use crate::oplog::RawTable;

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

/// Refuses a file that needs others beside it.
pub(super) fn check_journal_mode(connection: &Connection) -> Result<(), VerifyError> {
    let journal_mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal_mode != "delete" {
        return Err(VerifyError::JournalMode(journal_mode));
    }
    Ok(())
}
