//! Why a run did not start, could not be published, retried or cancelled, or why what workers report is no longer recorded.

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
    NoStores { origin: String },
    /// A store that was asked for is not in the list.
    #[error("there is no store {store_id:?} in {origin}; nothing was started")]
    UnknownStore { store_id: String, origin: String },
    /// A template of the configuration does not fit a store.
    #[error("{setting} does not fit the store {store_id:?} (at {position} of {origin}): {source}")]
    Template {
        setting: String,
        store_id: String,
        position: u64,
        origin: String,
        source: TemplateError,
    },
    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A job does not fit a message.
    #[error("cannot publish the job of the store {store_id:?}: {source}")]
    Job {
        store_id: String,
        source: CodecError,
    },
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl RunError {
    /// Returns whether the same call may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Source(error) => error.is_transient(),
            Self::Catalog(error) => error.is_transient(),
            Self::Broker(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Returns whether a person has to change the list of stores, the settings or the command before it can succeed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Source(error) => error.is_usage(),
            Self::Catalog(error) => error.is_usage(),
            Self::NoStores { .. } | Self::UnknownStore { .. } | Self::Template { .. } => true,
            Self::Broker(error) => error.is_configuration(),
            Self::Job { .. } => false,
        }
    }
}

/// Why events are no longer applied.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The catalog refused; the events were not acknowledged.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl From<RecordError> for RunError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Catalog(error) => Self::Catalog(error),
            RecordError::Broker(error) => Self::Broker(error),
        }
    }
}

impl RecordError {
    /// Returns whether the same events may be applied later without any change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_transient(),
            Self::Broker(error) => error.is_transient(),
        }
    }

    /// Returns whether a person has to change the settings before it can succeed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_usage(),
            Self::Broker(error) => error.is_configuration(),
        }
    }
}
