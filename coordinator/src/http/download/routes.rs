//! The endpoints of downloads.

use std::sync::Arc;

use axum::routing::get;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{database, files, state::Downloads};

/// The endpoints, with `downloads` as their state. Browsers are let in by another layer.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(
    downloads: Arc<Downloads>,
) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(database::database))
        .route("/snapshots/{*key}", get(files::file))
        .with_state(downloads)
}
