//! Errors of a worker's settings, found when it starts.

use super::workdir::WorkDirectoryError;
use crate::{
    oplog::{DatabaseError, SchemaError},
    powersync::{StreamError, TokenError},
};

/// Why a worker cannot start: each error names the setting that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    PowerSync(#[from] StreamError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    WorkDirectory(#[from] WorkDirectoryError),
    /// The core extension cannot be loaded.
    #[error("the PowerSync core extension cannot be loaded: {0}")]
    Core(DatabaseError),
}
