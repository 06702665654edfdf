//! Why a worker cannot start.

use super::workdir::WorkDirectoryError;
use crate::{
    oplog::{DatabaseError, SchemaError},
    powersync::{StreamError, TokenError},
};

/// Why a worker cannot start: each error names the setting that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `[token]`
    #[error(transparent)]
    Token(#[from] TokenError),
    /// `[powersync]`
    #[error(transparent)]
    PowerSync(#[from] StreamError),
    /// `[schema]`
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// `worker.directory`
    #[error(transparent)]
    WorkDirectory(#[from] WorkDirectoryError),
    /// The core extension cannot be loaded.
    #[error("the PowerSync core extension cannot be loaded: {0}")]
    Core(DatabaseError),
}
