//! Errors of downloading a store, and whether another attempt could help.

use crate::{
    oplog::{DatabaseError, OpLogError},
    powersync::{StreamError, TokenError},
};

/// Why a store was not downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// No token could be signed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The stream was refused or broke off.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The claims select no bucket. An empty snapshot would look like a good one.
    #[error(
        "the claims select no bucket at all: is the store in the source, and do the sync config's parameters use these claims?"
    )]
    NoBucket,
    /// The service does not know streams that the job subscribes to; their names, quoted.
    #[error("the service's sync config has no stream {0}; check [[streams]]")]
    UnknownStream(String),
    /// The service could not resolve a stream, so that its rows would be missing.
    #[error("the service could not resolve the stream {stream:?}: {reason}")]
    BrokenStream { stream: String, reason: String },
    /// The downloaded operations do not match the service's checksums.
    #[error("the downloaded operations do not match the service's checksums: {0}")]
    Checksum(String),
}

impl DownloadError {
    /// Returns the error's kind as one short word, for `error.type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Stream(error) => error.name(),
            Self::Database(_) => "sqlite",
            Self::NoBucket => "no_bucket",
            Self::UnknownStream(_) => "unknown_stream",
            Self::BrokenStream { .. } => "broken_stream",
            Self::Checksum(_) => "checksum",
        }
    }

    /// Returns whether another attempt could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Token(_)
            | Self::NoBucket
            | Self::UnknownStream(_)
            | Self::BrokenStream { .. } => false,
            Self::Stream(error) => error.is_transient(),
            Self::Database(error) => error.is_transient(),
            Self::Checksum(_) => true,
        }
    }
}

impl From<OpLogError> for DownloadError {
    fn from(error: OpLogError) -> Self {
        match error {
            OpLogError::Line(error) => Self::Stream(error),
            OpLogError::Database(error) => Self::Database(error),
        }
    }
}
