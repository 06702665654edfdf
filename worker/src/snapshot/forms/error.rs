//! Why a form could not be made, or is not what the file is.

use std::path::PathBuf;

use crate::{oplog::DatabaseError, snapshot::verify::VerifyError};

/// Why a form could not be made, or is not what the file is.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// SQLite or the core extension fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A file cannot be copied.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The core extension refuses a line of a stream.
    #[error("the stream cannot be applied: line {line}: {source}")]
    Line {
        /// Its number, from 1.
        line: usize,
        source: DatabaseError,
    },
    /// A stream would never be left by an SDK.
    #[error("the stream does not end with {{\"token_expires_in\":0}}")]
    Unended,
    /// The compact file holds what a device has to make by itself.
    #[error("the compact file has {0}, which a device could not finish")]
    NotCompact(String),
    /// The compact file has traces of the client that made it.
    #[error("the compact file: {0}")]
    Traces(VerifyError),
    /// A step of finishing fails.
    #[error("the compact file cannot be finished: {step}: {source}")]
    Step {
        /// The step's name in the description.
        step: String,
        source: DatabaseError,
    },
    /// A step of finishing does not return what it has to.
    #[error("the compact file cannot be finished: {step} returned {found:?} instead of {expected}")]
    Unfinished {
        /// The step's name in the description.
        step: String,
        expected: i64,
        found: Option<i64>,
    },
    /// Rows differ.
    #[error(
        "the {form} form differs from the file in table {table:?}: {missing} of {rows} rows are missing or \
         differ, {extra} are not in the file"
    )]
    Rows {
        /// The form's name.
        form: &'static str,
        table: String,
        /// How many the file has.
        rows: u64,
        missing: u64,
        extra: u64,
    },
    /// A table, an index, a view or a trigger differs.
    #[error("the {form} form differs from the file: {name:?} is {how}")]
    Object {
        /// The form's name.
        form: &'static str,
        name: String,
        how: &'static str,
    },
}

impl FormError {
    /// Returns whether another attempt could help. A difference is as transient as one that verification finds.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error)
            | Self::Step { source: error, .. }
            | Self::Line { source: error, .. } => error.is_transient(),
            _ => true,
        }
    }
}

impl From<rusqlite::Error> for FormError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}
