//! Errors of seeding in one process.

use seedbed_protocol::{broker::BrokerError, objects::StorageError, settings::SettingsError};
use seedbed_worker::seed::ConfigError;

use super::lock::LockError;
use crate::{
    catalog::CatalogError,
    programs::serve::ServeError,
    runs::{RecordError, RunError},
};

/// Why seeding in this process stopped.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Another process works on the same data, or the lock file cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The object storage failed.
    #[error(transparent)]
    Snapshots(#[from] StorageError),
    /// The worker's settings are wrong, or what they name is missing.
    #[error(transparent)]
    Worker(#[from] ConfigError),
    /// The run did not start.
    #[error(transparent)]
    NotStarted(RunError),
    /// The run could not be published.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What workers report can no longer be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Requests cannot be answered, or no longer.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A part of this process ended without a reason.
    #[error("the {part} ended unexpectedly: {reason}")]
    Ended { part: &'static str, reason: String },
}

impl LocalError {
    /// Returns whether a person has to change the settings or the list of stores before it can succeed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Settings(_) | Self::Worker(_) | Self::Lock(LockError::Unusable { .. }) => true,
            Self::Catalog(error) => error.is_usage(),
            Self::Snapshots(error) => !error.is_transient(),
            Self::NotStarted(error) => error.is_usage(),
            Self::Run(_) => false,
            Self::Serve(error) => error.is_usage(),
            Self::Lock(LockError::Locked { .. })
            | Self::Record(_)
            | Self::Broker(_)
            | Self::Ended { .. } => false,
        }
    }

    /// Returns whether nothing was started, and the same call may succeed later. `is_opening`: no part was open yet.
    pub fn may_start_later(&self, is_opening: bool) -> bool {
        match self {
            Self::Lock(LockError::Locked { .. }) => true,
            Self::NotStarted(error) => error.is_transient(),
            Self::Serve(error) => error.may_start_later(),
            Self::Catalog(error) => is_opening && error.is_transient(),
            Self::Snapshots(error) => is_opening && error.is_transient(),
            _ => false,
        }
    }
}
