//! The endpoints of first syncs.

use std::sync::Arc;

use axum::routing::{get, post};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{elsewhere, start, state::FirstSyncs, stream};

/// The endpoints, with `first_syncs` as their state. Browsers are let in by another layer.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(
    first_syncs: Arc<FirstSyncs>,
) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(start::start))
        .routes(routes!(stream::of_token))
        .routes(routes!(stream::of_store))
        .routes(routes!(elsewhere::write_checkpoint))
        .routes(routes!(elsewhere::checkpoint_request))
        // The same for a store's own endpoint.
        .route(
            "/stores/{store_id}/write-checkpoint2.json",
            get(async || elsewhere::not_here()),
        )
        .route(
            "/stores/{store_id}/sync/checkpoint-request",
            post(async || elsewhere::not_here()),
        )
        .with_state(first_syncs)
}
