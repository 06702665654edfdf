//! Why a file was not sealed, or cannot be opened.

use std::path::PathBuf;

use seedbed_protocol::snapshots::SealingError;

use crate::oplog::DatabaseError;

/// Why a file was not sealed, or cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// SQLite fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// There is no key.
    #[error(transparent)]
    Key(#[from] SealingError),
    /// A file cannot be read or written.
    #[error("cannot seal or open {}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The file has no pages of the size that both formats have by default.
    #[error("{} is no database with pages of {expected} bytes", path.display())]
    NoPages { path: PathBuf, expected: usize },
    /// The tag of a page is not the one of its content, its number and the key.
    #[error("page {page} is damaged, or was sealed with another key")]
    Page {
        /// Its number, from 1.
        page: u32,
    },
}

impl SealError {
    /// Returns whether another attempt could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => error.is_transient(),
            Self::Key(_) | Self::NoPages { .. } => false,
            Self::File { .. } | Self::Page { .. } => true,
        }
    }
}

impl From<rusqlite::Error> for SealError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}
