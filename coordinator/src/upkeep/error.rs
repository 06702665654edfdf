//! Why garbage was not collected, or what is forgotten not removed.

use seedbed_protocol::objects::StorageError;

use crate::catalog::CatalogError;

/// Why nothing more was removed.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The object storage failed.
    #[error(transparent)]
    Snapshots(#[from] StorageError),
    /// The two have nothing to do with each other.
    #[error(
        "none of the {snapshots} snapshots in the catalog is in {url}, and nothing was removed: do snapshots.url \
         and catalog.url belong together? If the objects are really gone, start with a new catalog"
    )]
    WrongStorage {
        /// Snapshots that should be there.
        snapshots: u64,
        url: String,
    },
}

impl GcError {
    /// Returns whether a person has to change the settings before it can succeed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_usage(),
            Self::Snapshots(error) => !error.is_transient(),
            Self::WrongStorage { .. } => true,
        }
    }

    /// Returns whether the same call may succeed later, and continue, without any change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_transient(),
            Self::Snapshots(error) => error.is_transient(),
            Self::WrongStorage { .. } => false,
        }
    }
}
