//! A store of a list that is being written.

use seedbed_protocol::{StoreId, message::Scope};

use crate::catalog::database::CatalogError;

/// A store of the list.
pub(super) struct Entry {
    pub(super) scope: Scope,
    pub(super) position: u64,
}

/// Returns the stores' ids.
pub(super) fn store_ids(stores: &[Entry]) -> impl Iterator<Item = &StoreId> {
    stores.iter().map(|store| &store.scope.store_id)
}

/// Returns a store's claims as JSON.
pub(super) fn claims_of(store: &Entry) -> Result<String, CatalogError> {
    serde_json::to_string(&store.scope.claims).map_err(|e| CatalogError::Unstorable {
        what: "claims of a store",
        reason: e.to_string(),
    })
}
