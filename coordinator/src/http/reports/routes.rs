//! The endpoint of reports.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{intake, state::Reports};

/// The largest report, in bytes.
const MAX_BYTES: usize = 4 * 1024;

/// The endpoint, with `reports` as its state. Browsers are let in by another layer.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(reports: Arc<Reports>) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(intake::report))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .with_state(reports)
}
