//! Why a file of an app or of a service cannot be read.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use seedbed_worker::oplog::SchemaError;

/// Why a file cannot be read. All of these are for a person to change.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ImportError {
    #[error("{} cannot be read: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Something in a text that is not understood.
    #[error("{}, line {line}: {reason}", path.display())]
    Text {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    /// Something about a file as a whole.
    #[error("{}: {reason}", path.display())]
    Content { path: PathBuf, reason: String },
    /// SQLite cannot read a snapshot.
    #[error("{} is no SQLite database that can be read: {source}", path.display())]
    Database { path: PathBuf, source: sqlx::Error },
    /// The schema would be refused as `schema.file`.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl ImportError {
    pub(super) fn content(path: &Path, reason: impl Into<String>) -> Self {
        Self::Content {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

/// The largest file that is read. A device or a pipe may have no end.
const MAX_BYTES: u64 = 16 << 20;

/// Reads a whole file as text.
pub(super) fn text_of(path: &Path) -> Result<String, ImportError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes as u64 > MAX_BYTES => {
            let reason = format!("it has more than {} MiB", MAX_BYTES >> 20);
            Err(ImportError::content(path, reason))
        }
        Ok(_) => Ok(text),
        Err(source) => Err(ImportError::File {
            path: path.to_owned(),
            source,
        }),
    }
}
