//! The endpoints of figures.

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use super::launches;
use crate::http::api::state::Api;

pub(in crate::http::api) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(launches::launches))
        .routes(routes!(launches::launches_csv))
}
