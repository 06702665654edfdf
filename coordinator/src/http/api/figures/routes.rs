//! The endpoints of figures.

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use super::{costs, freshness, launches, sizes};
use crate::http::api::state::Api;

pub(in crate::http::api) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(freshness::freshness))
        .routes(routes!(launches::launches))
        .routes(routes!(launches::launches_csv))
        .routes(routes!(sizes::sizes))
        .routes(routes!(sizes::sizes_csv))
        .routes(routes!(costs::costs))
        .routes(routes!(costs::costs_csv))
}
