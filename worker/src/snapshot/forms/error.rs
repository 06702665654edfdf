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
        "the finished compact file differs from the file in table {table:?}: {missing} of {rows} rows are missing or \
         differ, {extra} are not in the file"
    )]
    Rows {
        table: String,
        /// How many the file has.
        rows: u64,
        missing: u64,
        extra: u64,
    },
    /// A table, an index, a view or a trigger differs.
    #[error("the finished compact file differs from the file: {name:?} is {how}")]
    Object { name: String, how: &'static str },
}

impl FormError {
    /// Returns whether another attempt could help. A difference is as transient as one that verification finds.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) | Self::Step { source: error, .. } => error.is_transient(),
            _ => true,
        }
    }
}

impl From<rusqlite::Error> for FormError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}
