//! Why a run did not start, or could not be published, retried or cancelled.

use seedbed_protocol::{broker::BrokerError, message::codec::CodecError, settings::TemplateError};

use crate::{catalog::CatalogError, source::SourceError};

/// Why nothing became of a run, or of a change to it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The list of stores is wrong or cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The list of stores is empty.
    #[error("no stores: {origin} lists none")]
    NoStores {
        /// The file or the database.
        origin: String,
    },
    /// A store that was asked for is not in the list.
    #[error("there is no store {store_id:?} in {origin}; nothing was started")]
    UnknownStore {
        /// The store.
        store_id: String,
        /// The file or the database.
        origin: String,
    },
    /// A template of the configuration does not fit a store.
    #[error("{setting} does not fit the store {store_id:?} (at {position} of {origin}): {source}")]
    Template {
        /// The setting.
        setting: String,
        /// The store.
        store_id: String,
        /// Its line or row.
        position: u64,
        /// The file or the database.
        origin: String,
        /// What is missing.
        source: TemplateError,
    },
    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A job does not fit a message.
    #[error("cannot publish the job of the store {store_id:?}: {source}")]
    Job {
        /// The store.
        store_id: String,
        /// Why not.
        source: CodecError,
    },
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl RunError {
    /// Whether the same call may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_transient(),
            Self::Broker(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Whether a person has to change the list of stores, the settings or the command before it can succeed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Source(error) => error.is_usage(),
            Self::Catalog(error) => error.is_usage(),
            Self::NoStores { .. } | Self::UnknownStore { .. } | Self::Template { .. } => true,
            Self::Job { .. } | Self::Broker(_) => false,
        }
    }
}

impl CatalogError {
    /// Whether a person has to change the list of stores, the settings or the command before it can succeed.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Open { .. }
                | Self::Newer { .. }
                | Self::DuplicateStore { .. }
                | Self::FewerStores { .. }
                | Self::UnknownRun { .. }
                | Self::RunEnded { .. }
        )
    }
}
